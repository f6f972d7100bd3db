import { expect, test } from 'vitest';
import { toPod } from './api-types.ts';
import { findLoss, isNodeSilent } from './pod-health.ts';

const RUNNING = {
  metadata: { name: 'shop-1', uid: 'u' },
  spec: { containers: [{ name: 'main', resources: { limits: { memory: '512Mi' } } }, { name: 'git' }] },
  status: {
    phase: 'Running',
    containerStatuses: [
      { name: 'main', restartCount: 0, state: { running: {} } },
      { name: 'git', restartCount: 0, state: { running: {} } },
    ],
  },
};
const BEFORE = toPod(RUNNING);

function withStatus(status: object): object {
  return { ...RUNNING, status: { ...RUNNING.status, ...status } };
}

function ended(name: string, terminated: object): object {
  return { name, restartCount: 0, state: { terminated } };
}

test('an unchanged Pod is not lost', () => {
  expect(findLoss(BEFORE, BEFORE)).toBeUndefined();
  const unready = withStatus({ conditions: [{ type: 'Ready', status: 'False' }] });
  expect(findLoss(toPod(unready), BEFORE)).toBeUndefined();
});

test('a missing Pod was deleted', () => {
  expect(findLoss(undefined, BEFORE)).toBe('Pod shop-1 was deleted');
});

const DELETING = { metadata: { ...RUNNING.metadata, deletionTimestamp: '2026-11-22T12:00:00Z' } };
const DISRUPTED = {
  conditions: [
    { type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message: 'preempting to accommodate' },
  ],
};

test.each<[string, object]>([
  ['Pod shop-1 was deleted and another one took its name', { ...RUNNING, metadata: { name: 'shop-1', uid: 'v' } }],
  ['Pod shop-1 is being deleted', { ...RUNNING, ...DELETING }],
  [
    'Pod shop-1 is being deleted',
    {
      ...withStatus({ containerStatuses: [ended('main', { exitCode: 143, reason: 'Error' })] }),
      ...DELETING,
    },
  ],
  [
    'Pod shop-1 was evicted: PreemptionByScheduler: preempting to accommodate',
    { ...withStatus(DISRUPTED), ...DELETING },
  ],
  [
    'Pod shop-1 was stopped: Evicted: The node was low on resource: ephemeral-storage.',
    withStatus({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: ephemeral-storage.' }),
  ],
  [
    'Pod shop-1 reached its age limit (activeDeadlineSeconds) and was stopped',
    withStatus({ phase: 'Failed', reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than' }),
  ],
  [
    'container "main" ran out of memory (its limit is 512Mi) and was killed',
    withStatus({ containerStatuses: [ended('main', { exitCode: 137, reason: 'OOMKilled' })] }),
  ],
  [
    'container "git" ran out of memory (it has no limit of its own) and was killed',
    withStatus({ containerStatuses: [ended('git', { exitCode: 137, reason: 'OOMKilled' })] }),
  ],
  [
    'container "main" ended in the middle of the build (exit code 0); it must keep running for the steps, for example with command: [sleep, infinity]',
    withStatus({ containerStatuses: [ended('main', { exitCode: 0, reason: 'Completed' })] }),
  ],
  [
    'container "main" ran out of memory (its limit is 512Mi) and was killed',
    withStatus({
      containerStatuses: [
        {
          name: 'main',
          restartCount: 1,
          state: { running: {} },
          lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
        },
      ],
    }),
  ],
  [
    'container "main" restarted',
    withStatus({ containerStatuses: [{ name: 'main', restartCount: 1, state: { running: {} } }] }),
  ],
  [
    'Pod shop-1 was lost with its node "n1": Node n1 which was running pod shop-1 is unresponsive',
    {
      ...withStatus({ reason: 'NodeLost', message: 'Node n1 which was running pod shop-1 is unresponsive' }),
      ...DELETING,
      spec: { ...RUNNING.spec, nodeName: 'n1' },
    },
  ],
  ['Pod shop-1 ended (Failed)', withStatus({ phase: 'Failed', containerStatuses: [] })],
])('%s', (sentence, pod) => {
  expect(findLoss(toPod(pod), BEFORE)).toBe(sentence);
});

test.each<[string, boolean, object[]]>([
  [
    'is ready',
    false,
    [
      { type: 'Ready', status: 'True' },
      { type: 'ContainersReady', status: 'True' },
    ],
  ],
  [
    'is not ready itself',
    false,
    [
      { type: 'Ready', status: 'False' },
      { type: 'ContainersReady', status: 'False' },
    ],
  ],
  [
    'waits for its readiness gate',
    false,
    [
      { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady' },
      { type: 'ContainersReady', status: 'True' },
    ],
  ],
  [
    'is not ready although its containers are',
    true,
    [
      { type: 'Ready', status: 'False' },
      { type: 'ContainersReady', status: 'True' },
    ],
  ],
  [
    'is in an unknown state',
    true,
    [
      { type: 'Ready', status: 'Unknown' },
      { type: 'ContainersReady', status: 'True' },
    ],
  ],
])('the node of a Pod that %s is silent: %s', (_what, isSilent, conditions) => {
  expect(isNodeSilent(toPod(withStatus({ conditions })))).toBe(isSilent);
});
