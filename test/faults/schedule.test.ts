import { beforeAll, describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import type { Cut } from './cutting-proxy.ts';
import { expectWhole, QUICK_EXECS, startStep, useProxiedCluster } from './fault-cluster.ts';
import { createRandom, isLong, SEED, type Random } from '../random.ts';

const SCHEDULES = isLong ? 20 : 4;
/** Makes the script long enough for cuts during its transfer. */
const PADDING = `# ${'x'.repeat(20_000)}\n`;
/**
 * A connection sends 2 kB of handshake, 8 kB of program for the agent, then the script: a cut below this is before
 * its end.
 */
const MAX_SENT_BYTES = 25_000;
const MAX_RECEIVED_BYTES = 3_000_000;

const world = useProxiedCluster({ execs: QUICK_EXECS });
const { faults } = world;
let workspace: Workspace;

beforeAll(async () => {
  workspace = await faults.openWorkspace();
});

describe('a step', () => {
  test.each(Array.from({ length: SCHEDULES }, (_, index) => index + 1))(
    'that writes megabytes at odd paces runs once and keeps its log under random cuts (schedule %i)',
    async (number) => {
      const random = createRandom(SEED + number);
      const cuts = planCuts(random);
      const { body, bytes } = planOutput(random);
      const { proxy } = world;
      const before = proxy.cutCount;
      proxy.plan.splice(0, Infinity, ...cuts);
      const step = startStep(workspace, body);
      const what = `TEST_SEED=${SEED} schedule ${number}: ${JSON.stringify(cuts)}`;
      await expectWhole(faults, { pod: workspace.name, step, what });
      expect({ what, bytes: step.log().length }).toEqual({ what, bytes });
      // While only sent data is cut, the launch never completes: all these cuts happen.
      const late = cuts.findIndex(({ direction }) => direction === 'received');
      const sure = late === -1 ? cuts.length : late;
      expect({ what, hasCut: proxy.cutCount - before >= sure }).toEqual({ what, hasCut: true });
    },
  );
});

/**
 * One to six cuts; few are silent, because c3 needs some time to notice each. Small positions are as likely as
 * great ones.
 */
function planCuts(random: Random): Cut[] {
  return Array.from({ length: 1 + random(6) }, () => {
    const direction = random(3) === 0 ? 'sent' : 'received';
    const limit = direction === 'sent' ? MAX_SENT_BYTES : MAX_RECEIVED_BYTES;
    const afterBytes = 1 + random(Math.ceil(limit / 10 ** random(4)));
    return { direction, afterBytes, how: random(10) === 0 ? 'silent' : 'loud' };
  });
}

/** 1 to 5 MB in up to twenty pieces with pauses of up to 30 ms. */
function planOutput(random: Random): { body: string; bytes: number } {
  const total = 1_000_000 + random(4_000_000);
  const count = 1 + random(20);
  const pieces = Array.from({ length: count }, () => Math.floor(total / count));
  const body = PADDING + pieces.map((size) => `head -c ${size} /dev/urandom; sleep 0.0${10 + random(21)}`).join('\n');
  return { body, bytes: pieces.reduce((sum, size) => sum + size, 0) };
}
