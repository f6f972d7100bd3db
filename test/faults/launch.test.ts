import { beforeAll, describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { expectWhole, QUICK_EXECS, startStep, useProxiedCluster } from './fault-cluster.ts';

const world = useProxiedCluster({ execs: QUICK_EXECS });
const { faults } = world;
let workspace: Workspace;

beforeAll(async () => {
  workspace = await faults.openWorkspace();
});

/**
 * With it the launch alone is 32 kB; a handshake and c3's program for the agent come before it and are about 10 kB.
 */
const LONG_SCRIPT = `# ${'x'.repeat(32_000)}\nhead -c 100000 /dev/urandom`;

describe.each([
  ['loud', 2],
  ['silent', 1],
] as const)('a step whose connection is cut (%s, %i times)', (how, times) => {
  test.each([1000, 9000, 11_000, 12_000, 20_000, 40_000])(
    'after %i bytes of handshake, program and launch runs once and keeps its log',
    async (afterBytes) => {
      const before = world.proxy.cutCount;
      for (let cut = 0; cut < times; cut += 1) world.proxy.plan.push({ direction: 'sent', afterBytes, how });
      const step = startStep(workspace, LONG_SCRIPT);
      await expectWhole(faults, { pod: workspace.name, step });
      expect(world.proxy.cutCount - before).toBe(times);
    },
  );
});
