import { beforeAll, describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import type { ExecBreak } from '../../dev/cluster/index.ts';
import { expectWhole, QUICK_EXECS, startStep, useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster({ execs: QUICK_EXECS });
let workspace: Workspace;

beforeAll(async () => {
  workspace = await faults.openWorkspace();
});

/** The kind and the number of cuts: c3 needs some time to notice a silent one. */
const CUTS: readonly [how: ExecBreak, times: number][] = [
  ['loud', 2],
  ['silent', 1],
];
/** Waits without output for a file of the test. */
const QUIET = 'echo started; until [ -e "/c3/go.$ID" ]; do sleep 0.05; done; echo done';
/** Writes a line about every 20 ms until that file is there. */
const NOISY =
  'echo started; i=0; until [ -e "/c3/go.$ID" ]; do i=$((i + 1)); echo "line $i"; sleep 0.02; done; echo done';
/** Writes several frames of binary data. */
const BINARY = 'head -c 400000 /dev/urandom';

async function letGo(buildId: string): Promise<void> {
  await faults.look(workspace.name, `touch /c3/go.${buildId}`);
}

describe.each(CUTS)('a step whose connection is cut (%s, %i times)', (how, times) => {
  test.each(['before-101', 'after-101'] as const)('%s runs once and keeps its log', async (when) => {
    const fault = faults.embedded.faults.onExec({ times }, { when, how });
    const step = startStep(workspace, BINARY);
    await expectWhole(faults, { pod: workspace.name, step });
    expect(fault.hits()).toBe(times);
  });

  test.each([1, 11, 30, 5000, 70_000, 300_000])(
    'after %i bytes of the agent runs once and keeps its log',
    async (afterBytes) => {
      const fault = faults.embedded.faults.onExec({ times }, { when: { afterBytes }, how });
      const step = startStep(workspace, BINARY);
      await expectWhole(faults, { pod: workspace.name, step });
      expect(fault.hits()).toBe(times);
    },
  );

  test.each([
    ['is quiet', QUIET],
    ['writes', NOISY],
  ])('while it %s runs once and keeps its log', async (_what, body) => {
    const step = startStep(workspace, body);
    await step.seen('started');
    expect(faults.embedded.faults.cutExecs(how)).toBeGreaterThan(0);
    await letGo(step.buildId);
    await expectWhole(faults, { pod: workspace.name, step });
  });

  test('after the status of a killed agent runs once and keeps its log', async () => {
    const fault = faults.embedded.faults.onExec({ times: 1 }, { when: 'after-status', how });
    const step = startStep(workspace, NOISY);
    await step.seen('line 10');
    await faults.look(workspace.name, `read -r live rest < /c3/.c3/${step.buildId}/s0.[0-9]*.report; kill -9 $live`);
    await letGo(step.buildId);
    await expectWhole(faults, { pod: workspace.name, step });
    expect(fault.hits()).toBe(1);
  });
});

describe('a step whose exec says Success falsely', () => {
  test.each(['after-101', { afterBytes: 1 }, { afterBytes: 30 }, { afterBytes: 70_000 }] as const)(
    'at %o, twice, is followed to its own end',
    async (when) => {
      const fault = faults.embedded.faults.onExec({ times: 2 }, { when, how: 'false-success' });
      const step = startStep(workspace, BINARY);
      await expectWhole(faults, { pod: workspace.name, step });
      expect(fault.hits()).toBe(2);
    },
  );

  test.each([
    ['is quiet', QUIET],
    ['writes', NOISY],
  ])('while it %s is followed to its own end', async (_what, body) => {
    const step = startStep(workspace, body);
    await step.seen('started');
    expect(faults.embedded.faults.cutExecs('false-success')).toBeGreaterThan(0);
    await letGo(step.buildId);
    await expectWhole(faults, { pod: workspace.name, step });
  });
});

test('a step whose first exec sends nothing any more, while the API server answers every ping, is followed to its end', async () => {
  let isStuck = false;
  let execs = 0;
  const stuck: Workspace = {
    ...workspace,
    exec: async (container, argv, options) => {
      execs += 1;
      if (execs > 1) return await workspace.exec(container, argv, options);
      const onStdout = (chunk: Uint8Array): Promise<void> | void => (isStuck ? undefined : options.onStdout(chunk));
      return await workspace.exec(container, argv, { ...options, onStdout });
    },
  };
  const step = startStep(stuck, NOISY, 1000);
  await step.seen('line 10');
  isStuck = true;
  await letGo(step.buildId);
  await expectWhole(faults, { pod: workspace.name, step });
  expect(execs).toBeGreaterThan(1);
});
