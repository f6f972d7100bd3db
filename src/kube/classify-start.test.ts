import { describe, expect, test } from 'vitest';
import { toPod, type PodEvent } from './api-types.ts';
import { classifyStart, rememberPulls, type StartHistory } from './pod-health.ts';

const NOTHING: StartHistory = { events: [], pullMessages: new Map() };
const SCHEDULED = { type: 'PodScheduled', status: 'True' };

/** Creates a Pod with one container "main" of image busybox:1 in the given state, as a kubelet reports it. */
function pod(state: object, changes: { phase?: string; status?: object; metadata?: object; container?: object } = {}) {
  return toPod({
    metadata: { name: 'shop-1', uid: 'u', ...changes.metadata },
    spec: { containers: [{ name: 'main' }] },
    status: {
      phase: changes.phase ?? 'Pending',
      conditions: [SCHEDULED],
      containerStatuses: [
        { name: 'main', image: 'busybox:1', restartCount: 0, ready: false, state, ...changes.container },
      ],
      ...changes.status,
    },
  });
}

function waiting(reason: string, message = ''): object {
  return { waiting: { reason, message } };
}

function event(reason: string, message: string): PodEvent {
  return { reason, message, podName: 'shop-1', podUid: 'u', fieldPath: '' };
}

function terminated(exitCode: number, reason: string, message = ''): object {
  return { terminated: { exitCode, reason, message } };
}

describe('a Pod that is ready', () => {
  test('has all its containers running and ready', () => {
    const running = pod({ running: {} }, { phase: 'Running', container: { ready: true } });
    expect(classifyStart(running, NOTHING)).toEqual({ kind: 'ready' });
  });

  test('has passed its readiness probe', () => {
    expect(classifyStart(pod({ running: {} }, { phase: 'Running' }), NOTHING)).toEqual({
      kind: 'starting',
      reason: 'container "main" is running but not ready',
    });
  });

  test('has a status for each container', () => {
    const partial = toPod({
      spec: { containers: [{ name: 'main' }, { name: 'git' }] },
      status: { phase: 'Running', containerStatuses: [{ name: 'main', ready: true, state: { running: {} } }] },
    });
    expect(classifyStart(partial, NOTHING).kind).toBe('starting');
  });
});

describe('a Pod that fails at once', () => {
  const notFound =
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/busybox:1": failed to resolve reference "docker.io/library/busybox:1": docker.io/library/busybox:1: not found';
  test.each<[string, object]>([
    [`container "main" cannot pull image "busybox:1": ${notFound}`, waiting('ErrImagePull', notFound)],
    ['container "main" cannot pull image "busybox:1": manifest unknown', waiting('ErrImagePull', 'manifest unknown')],
    [
      'container "main" cannot pull image "busybox:1": pull access denied, repository does not exist or may require authorization',
      waiting('ErrImagePull', 'pull access denied, repository does not exist or may require authorization'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: ErrImageNeverPull: Container image "busybox:1" is not present with pull policy of Never',
      waiting('ErrImageNeverPull', 'Container image "busybox:1" is not present with pull policy of Never'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: InvalidImageName: invalid reference format',
      waiting('InvalidImageName', 'invalid reference format'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: CreateContainerConfigError: secret "db" not found',
      waiting('CreateContainerConfigError', 'secret "db" not found'),
    ],
    [
      'container "main" exited with code 1 before the first step; it must keep running for the steps, for example with command: [sleep, infinity]',
      terminated(1, 'Error'),
    ],
    [
      'container "main" exited with code 128 before the first step (StartError: exec: "nope": not found); it must keep running for the steps, for example with command: [sleep, infinity]',
      terminated(128, 'StartError', 'exec: "nope": not found'),
    ],
  ])('%s', (message, state) => {
    expect(classifyStart(pod(state), NOTHING)).toEqual({ kind: 'failed', message });
  });

  test('describes a crash loop by the last exit', () => {
    const crashing = pod(waiting('CrashLoopBackOff', 'back-off 10s restarting failed container'), {
      phase: 'Running',
      container: { lastState: terminated(2, 'OOMKilled'), restartCount: 2 },
    });
    expect(classifyStart(crashing, NOTHING)).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(
        /^container "main" exited with code 2 before the first step \(OOMKilled\)/,
      ) as string,
    });
  });

  test('describes a failed init container', () => {
    const failing = pod(waiting('PodInitializing'), {
      status: {
        initContainerStatuses: [{ name: 'seed', image: 'a', state: terminated(7, 'Error') }],
        containerStatuses: [{ name: 'main', image: 'b', state: waiting('PodInitializing') }],
      },
    });
    expect(classifyStart(failing, NOTHING)).toEqual({
      kind: 'failed',
      message: 'init container "seed" exited with code 7 before the first step',
    });
  });

  test('describes an eviction, an age limit and a deletion', () => {
    const evicted = toPod({
      metadata: { name: 'shop-1' },
      status: { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' },
    });
    expect(classifyStart(evicted, NOTHING)).toEqual({
      kind: 'failed',
      message: 'Pod shop-1 ended before the first step: Evicted: The node was low on resource: memory.',
    });
    const deleted = pod({ running: {} }, { metadata: { deletionTimestamp: '2026-11-22T12:00:00Z' } });
    expect(classifyStart(deleted, NOTHING)).toEqual({
      kind: 'failed',
      message: 'Pod shop-1 was deleted while it was starting',
    });
  });

  test('keeps the message of a failed pull while the node backs off', () => {
    const first = pod(waiting('ErrImagePull', 'unauthorized: authentication required'));
    const pullMessages = rememberPulls(first, new Map());
    const second = pod(waiting('ImagePullBackOff', 'Back-off pulling image "busybox:1"'));
    expect(rememberPulls(second, pullMessages)).toEqual(pullMessages);
    expect(classifyStart(second, { events: [], pullMessages })).toEqual({
      kind: 'failed',
      message: 'container "main" cannot pull image "busybox:1": unauthorized: authentication required',
    });
  });

  test('uses an Event that describes a failed pull', () => {
    const events = [
      event('Failed', 'Failed to pull image "busybox:1": manifest unknown'),
      event('BackOff', 'Back-off'),
    ];
    const backing = pod(waiting('ImagePullBackOff', 'Back-off pulling image "busybox:1"'));
    expect(classifyStart(backing, { events, pullMessages: new Map() })).toMatchObject({ kind: 'failed' });
  });
});

describe('a Pod is still starting, with the reason', () => {
  test.each<[string, object]>([
    [
      'container "main" cannot pull image "busybox:1": toomanyrequests: denied, you have reached your pull rate limit',
      waiting('ErrImagePull', 'toomanyrequests: denied, you have reached your pull rate limit'),
    ],
    [
      'container "main" cannot pull image "busybox:1": unexpected status code [manifests 1]: 503 Service Unavailable',
      waiting('ErrImagePull', 'unexpected status code [manifests 1]: 503 Service Unavailable'),
    ],
    [
      'container "main" cannot pull image "busybox:1": dial tcp 10.0.0.1:443: i/o timeout',
      waiting('ErrImagePull', 'dial tcp 10.0.0.1:443: i/o timeout'),
    ],
    [
      'container "main" (image "busybox:1") cannot start: CreateContainerConfigError: failed to sync secret cache: timed out waiting for the condition',
      waiting('CreateContainerConfigError', 'failed to sync secret cache: timed out waiting for the condition'),
    ],
    ['starting the containers of Pod shop-1', waiting('ContainerCreating')],
  ])('%s', (reason, state) => {
    expect(classifyStart(pod(state), NOTHING)).toEqual({ kind: 'starting', reason });
  });

  test('the name of the image does not count in the message of a failed pull', () => {
    const image = 'registry.example.com/denied/not-found:1';
    const words = `failed to resolve reference "${image}": dial tcp: connection refused for ${image}`;
    const verdict = classifyStart(pod(waiting('ErrImagePull', words), { container: { image } }), NOTHING);
    expect(verdict.kind).toBe('starting');
  });

  test('the message of the scheduler', () => {
    const message = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity.";
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
    const unschedulable = toPod({ metadata: { name: 'shop-1' }, status: { phase: 'Pending', conditions } });
    expect(classifyStart(unschedulable, NOTHING)).toEqual({
      kind: 'starting',
      reason: `no node accepts Pod shop-1: ${message}`,
    });
    expect(classifyStart(toPod({ metadata: { name: 'shop-1' } }), NOTHING)).toEqual({
      kind: 'starting',
      reason: 'looking for a node for Pod shop-1',
    });
  });

  test('a volume that does not mount, or an image that is being pulled', () => {
    const creating = pod(waiting('ContainerCreating'));
    const mount = [event('Scheduled', 'ok'), event('FailedMount', 'secret "nope" not found')];
    expect(classifyStart(creating, { events: mount, pullMessages: new Map() })).toMatchObject({
      reason: 'FailedMount: secret "nope" not found',
    });
    const pulling = [event('Pulling', 'Pulling image "busybox:1"')];
    expect(classifyStart(creating, { events: pulling, pullMessages: new Map() })).toMatchObject({
      reason: 'pulling image "busybox:1"',
    });
  });
});

test('only the start of a pull message is searched, within a bounded distance', () => {
  const statuses = pod(waiting('ErrImagePull', `denied ${'status '.repeat(100_000)}: 503`));
  expect(classifyStart(statuses, NOTHING)).toMatchObject({ kind: 'failed' });
  const near = pod(waiting('ErrImagePull', `denied, unexpected status code [manifests ${'x'.repeat(250)}]: 503`));
  expect(classifyStart(near, NOTHING)).toMatchObject({ kind: 'starting' });
});

test('a container may be called "constructor", and messages of removed containers are dropped', () => {
  const [name, image] = ['constructor', 'busybox:1'];
  const backing = pod(waiting('ImagePullBackOff', 'Back-off'), { container: { name } });
  expect(classifyStart(backing, NOTHING)).toEqual({
    kind: 'starting',
    reason: `container "${name}" cannot pull image "${image}": Back-off`,
  });
  const failing = pod(waiting('ErrImagePull', 'no'), { container: { name } });
  const known = rememberPulls(failing, new Map([['gone', 'words']]));
  expect([...known]).toEqual([[name, 'no']]);
});
