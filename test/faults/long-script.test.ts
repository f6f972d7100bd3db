import { expect, test } from 'vitest';
import { expectWhole, startStep, useProxiedCluster } from './fault-cluster.ts';

/** A shell reads a script byte by byte. On a busy machine this takes seconds, in which no ping passes. */
const SLOW_INPUT = { silenceMs: 20_000, stalledInputMs: 60_000 };

const world = useProxiedCluster({ execs: SLOW_INPUT });

test('a script longer than any c3.yaml that is cut during its transfer runs once and keeps its log', async () => {
  const { faults, proxy } = world;
  const workspace = await faults.openWorkspace();
  proxy.plan.push({ direction: 'sent', afterBytes: 60_000, how: 'loud' });
  const lines = Array.from({ length: 1_500 }, (_, index) => `: ${String(index).padStart(66, '0')}`).join('\n');
  const step = startStep(workspace, `${lines}\nhead -c 100000 /dev/urandom`);
  await expectWhole(faults, { pod: workspace.name, step });
  expect(proxy.plan).toEqual([]);
});
