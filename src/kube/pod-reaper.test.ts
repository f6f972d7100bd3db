import { expect, test } from 'vitest';
import type { KubeAnswer, KubeClient } from './client.ts';
import { createKeeper, type Keeper } from './pod-reaper.ts';
import { createLeases } from './leases/leases.ts';
import type { PodPlan } from './pod.ts';
import { createTurns } from './turns.ts';

/** A keeper, and what it asks; nothing is answered until the test says so. */
function create(): { keeper: Keeper; asked: string[]; answer: () => void; stop: AbortController } {
  const stop = new AbortController();
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const client = {
    request: async ({ method, path }) => {
      asked.push(`${method} ${path}`);
      await new Promise<void>((resolve) => answers.push(resolve));
      return { kind: 'ok', body: {} } satisfies KubeAnswer;
    },
  } as Pick<KubeClient, 'request'> as KubeClient;
  const keeper = createKeeper({ client, leases: createLeases(client), turns: createTurns(), signal: stop.signal });
  return { keeper, asked, answer: () => answers.shift()?.(), stop };
}

function plan(name: string): PodPlan {
  return { namespace: 'ci', name, specHash: '', labels: { 'c3.build/scope': 'x' }, manifest: {} };
}

test('of a cluster with endless jobs the two hundred that were used last are kept in mind', () => {
  const { keeper, stop } = create();
  for (let index = 0; index < 300; index += 1) keeper.keep(plan(`pod-${index}`), { uid: 'u', idleMs: 3_600_000 });
  expect(keeper.count).toBe(200);
  keeper.take(plan('pod-0'));
  expect(keeper.count).toBe(200);
  keeper.take(plan('pod-299'));
  expect(keeper.count).toBe(199);
  stop.abort();
  expect(keeper.count).toBe(0);
});

test('a cluster that takes its time is tidied up by one at a time', async () => {
  const { keeper, asked, answer } = create();
  const first = keeper.tidyUp(plan('pod'), { idleMs: 1, isWarm: false });
  await keeper.tidyUp(plan('pod'), { idleMs: 1, isWarm: false });
  expect(asked).toHaveLength(1);
  answer();
  await first;
  void keeper.tidyUp(plan('pod'), { idleMs: 1, isWarm: false });
  expect(asked).toHaveLength(2);
});
