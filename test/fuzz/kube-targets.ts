import { EventEmitter } from 'node:events';
import * as fc from 'fast-check';
import type { WebSocket } from 'ws';
import type { ExecEnd } from '../../src/engine/cluster.ts';
import { toList, toPod, toPodEvent, toStatus } from '../../src/kube/api-types.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { describeFault } from '../../src/kube/cluster-connection.ts';
import { openSession } from '../../src/kube/exec-session.ts';
import { toRecord } from '../../src/kube/leases/lease-record.ts';
import { findLoss } from '../../src/kube/pod-health.ts';
import { classifyStart } from '../../src/kube/pod-health.ts';
import { watchPod } from '../../src/kube/watch.ts';
import { anyText, bent, jsonWith } from './arbitraries.ts';
import { defineTarget, ensure, orRefusalLater, type Target } from './target.ts';

export const pod: Readonly<Record<string, unknown>> = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'shop',
    uid: 'u1',
    resourceVersion: '7',
    annotations: { 'c3.build/spec-hash': 'x' },
    labels: { a: 'b' },
  },
  spec: {
    containers: [
      {
        name: 'main',
        image: 'x',
        resources: { limits: { memory: '64Mi' } },
        securityContext: { runAsNonRoot: true, capabilities: { drop: ['ALL'] } },
      },
    ],
    initContainers: [{ name: 'init', image: 'y', ports: [{ containerPort: 80 }] }],
    volumes: [{ name: 'c3', emptyDir: {} }],
    securityContext: { seccompProfile: { type: 'RuntimeDefault' }, sysctls: [] },
    activeDeadlineSeconds: 60,
    nodeName: 'n',
  },
  status: {
    phase: 'Running',
    startTime: '2026-11-22T10:00:00Z',
    conditions: [{ type: 'Ready', status: 'True', reason: '', message: '' }],
    containerStatuses: [
      {
        name: 'main',
        image: 'x',
        ready: true,
        restartCount: 0,
        state: { running: {} },
        lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
      },
    ],
  },
};
const status = {
  kind: 'Status',
  status: 'Failure',
  code: 410,
  reason: 'Expired',
  message: 'gone',
  details: { causes: [{ reason: 'ExitCode', message: '3' }] },
};
const lease = {
  metadata: {
    name: 'l',
    resourceVersion: '1',
    annotations: { 'c3.build/queue': '["a"]', 'c3.build/builds': '[{"build":"b","pod":"u"}]' },
  },
  spec: {
    holderIdentity: 'b@n',
    leaseDurationSeconds: 30,
    leaseTransitions: 4,
    renewTime: '2026-11-22T10:00:00.000000Z',
  },
};
const anyAnswer = fc.oneof(
  bent(pod),
  bent(status),
  bent(lease),
  jsonWith(['metadata', 'spec', 'status', 'name', 'items', 'type', 'object']),
);

/** The server's end of an exec that sends these frames. */
async function follow(frames: readonly Buffer[], closes: boolean): Promise<{ end: ExecEnd; stdout: Buffer }> {
  const socket = Object.assign(new EventEmitter(), {
    isPaused: false,
    bufferedAmount: 0,
    pause: () => {},
    resume: () => {},
    ping: () => {},
    terminate: () => {},
    send: () => {},
  });
  const chunks: Uint8Array[] = [];
  const abort = new AbortController();
  const options = {
    signal: abort.signal,
    onStdout: (chunk: Uint8Array) => void chunks.push(chunk),
    onStderr: () => {},
  };
  const session = openSession(socket as unknown as WebSocket, { options, limits: { closeMs: 0 } });
  for (const frame of frames) socket.emit('message', frame);
  if (closes) socket.emit('close', 1000, Buffer.from(''));
  else abort.abort();
  return { end: await session.done, stdout: Buffer.concat(chunks) };
}

const execFrame = fc
  .tuple(
    fc.integer({ min: 0, max: 5 }),
    fc.oneof(
      anyText,
      bent(status).map((value) => JSON.stringify(value) ?? ''),
      fc.constantFrom('{"status":"Success"}', '{"status":"Failure"}'),
    ),
  )
  .map(([channel, text]) => Buffer.concat([Buffer.of(channel), Buffer.from(text)]));

/** Any response of a cluster. */
export const kubeTargets: readonly Target[] = [
  defineTarget('kubernetes-answers', fc.tuple(anyAnswer, anyAnswer), ([one, other]) => {
    const [before, after] = [toPod(one), toPod(other)];
    const loss = findLoss(after, before);
    ensure(loss === undefined || loss !== '', 'a loss has a message');
    const verdict = classifyStart(after, { events: [toPodEvent(one)], pullMessages: new Map() });
    ensure(['ready', 'starting', 'failed'].includes(verdict.kind), 'a start is one of three');
    const told = toStatus(one);
    ensure(told.exitCode === undefined || (told.exitCode >= 0 && told.exitCode <= 999), 'an exit code is a number');
    ensure(Array.isArray(toList(one).items), 'a list is an array');
    const record = toRecord(one);
    ensure(
      Array.isArray(record.queue) && Number.isFinite(record.renewedAt) && Number.isFinite(record.durationMs),
      'a record of a Lease is complete',
    );
    ensure(
      record.queue.every((entry) => typeof entry === 'string'),
      'a waiting container has a name',
    );
  }),

  defineTarget(
    'watch',
    fc.array(
      fc.oneof(
        fc
          .tuple(fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'), anyAnswer)
          .map(([type, object]) => JSON.stringify({ type, object })),
        anyText,
      ),
      { maxLength: 6 },
    ),
    async (lines) => {
      const over = new AbortController();
      async function* stream(): AsyncGenerator<string, void, undefined> {
        try {
          for (const line of lines) yield await Promise.resolve(line);
        } finally {
          // Also if the reader leaves it early, to start again.
          over.abort();
        }
      }
      const client: KubeClient = {
        budget: { receive: () => {}, delay: () => 0, buffer: () => false },
        access: { origin: 'https://k8s', basePath: '', namespace: 'default' },
        request: () => Promise.resolve({ kind: 'ok', body: { metadata: { resourceVersion: '1' }, items: [pod] } }),
        stream: () => Promise.resolve({ kind: 'ok', lines: stream() }),
        close: () => Promise.resolve(),
      };
      let count = 0;
      await orRefusalLater(async () => {
        for await (const state of watchPod(client, { namespace: 'default', name: 'shop', signal: over.signal })) {
          count += 1;
          ensure(state === undefined || typeof state.name === 'string', 'a state is a Pod or none');
        }
      });
      ensure(count <= lines.length + 1, 'there are not more states than lines');
    },
  ),

  defineTarget(
    'exec-frames',
    fc.tuple(fc.array(execFrame, { maxLength: 8 }), fc.boolean()),
    async ([frames, closes]) => {
      const { end, stdout } = await follow(frames, closes);
      const whole = Buffer.concat(frames.filter((frame) => frame[0] === 1).map((frame) => frame.subarray(1)));
      ensure(whole.subarray(0, stdout.length).equals(stdout), 'the output is all that arrived, in order');
      const statuses = frames.filter((frame) => frame[0] === 3).map((frame) => frame.subarray(1).toString());
      if (end.kind === 'status' && end.exitCode === 0)
        ensure(statuses.join('').includes('"Success"'), 'only a status means success');
    },
  ),

  defineTarget(
    'connection-faults',
    fc.tuple(anyText, anyText, fc.integer({ min: 0, max: 8 })),
    ([message, code, depth]) => {
      let error: Error = Object.assign(new Error(message), { code });
      for (let level = 0; level < depth; level += 1)
        error = level % 2 === 0 ? new Error('', { cause: error }) : new AggregateError([error], '');
      const fault = describeFault(error);
      ensure(fault.message !== '' && fault.message.length <= 500, 'a fault has a message');
    },
  ),
];
