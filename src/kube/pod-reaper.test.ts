import { expect, test } from 'vitest';
import { KeyedSemaphore } from '../limiter.ts';
import type { KubeAnswer, KubeClient } from './client.ts';
import { createPodReaper, type PodReaper } from './pod-reaper.ts';
import { createLeases } from './leases/leases.ts';
import type { PodPlan } from './pod.ts';

/** Creates a reaper and records its requests. Each is answered when the test calls `answer`. */
function create(): { reaper: PodReaper; requests: string[]; answer: () => void; stop: AbortController } {
  const stop = new AbortController();
  const requests: string[] = [];
  const answers: (() => void)[] = [];
  const client = {
    request: async ({ method, path }) => {
      requests.push(`${method} ${path}`);
      await new Promise<void>((resolve) => answers.push(resolve));
      return { kind: 'ok', body: {} } satisfies KubeAnswer;
    },
  } as Pick<KubeClient, 'request'> as KubeClient;
  const reaper = createPodReaper({
    client,
    leases: createLeases(client),
    podLocks: new KeyedSemaphore(1),
    signal: stop.signal,
  });
  return { reaper, requests, answer: () => answers.shift()?.(), stop };
}

function plan(name: string): PodPlan {
  return { namespace: 'ci', name, specHash: '', labels: { 'c3.build/scope': 'x' }, manifest: {} };
}

test('remembers the two hundred warm Pods that were used last', () => {
  const { reaper, stop } = create();
  for (let index = 0; index < 300; index += 1) reaper.schedule(plan(`pod-${index}`), { uid: 'u', idleMs: 3_600_000 });
  expect(reaper.count).toBe(200);
  reaper.cancel(plan('pod-0'));
  expect(reaper.count).toBe(200);
  reaper.cancel(plan('pod-299'));
  expect(reaper.count).toBe(199);
  stop.abort();
  expect(reaper.count).toBe(0);
});

test('runs one sweep at a time', async () => {
  const { reaper, requests, answer } = create();
  const first = reaper.sweep(plan('pod'), { idleMs: 1, isWarm: false });
  await reaper.sweep(plan('pod'), { idleMs: 1, isWarm: false });
  expect(requests).toHaveLength(1);
  answer();
  await first;
  void reaper.sweep(plan('pod'), { idleMs: 1, isWarm: false });
  expect(requests).toHaveLength(2);
});
