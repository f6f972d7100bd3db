import { beforeAll, describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { expectWhole, startStep } from '../faults/fault-cluster.ts';
import type { Cut } from '../faults/cutting-proxy.ts';
import { toManifest, useRealCluster } from './real-cluster.ts';

const real = useRealCluster();
/** The launch alone is 32 kB. A TLS handshake, the request and the agent's program precede it. */
const LONG_SCRIPT = `# ${'x'.repeat(32_000)}\nhead -c 400000 /dev/urandom`;
/** Waits without output for a file of the test. */
const QUIET = 'echo started; until [ -e "/c3/go.$ID" ]; do sleep 0.05; done; echo done';
/** Writes a line every few milliseconds until that file is there. */
const NOISY =
  'echo started; i=0; until [ -e "/c3/go.$ID" ]; do i=$((i + 1)); echo "line $i"; sleep 0.005; done; echo done';

/**
 * Kills the agent. A process that an exec starts has no parent in the container, and a process that the agent starts
 * has the same name and a parent. The script excludes its own shell, whose command line contains the agent's name
 * too.
 */
const KILL_AGENTS = `for file in /proc/[0-9]*/cmdline; do
  pid=\${file#/proc/}; pid=\${pid%/cmdline}
  case $(tr '\\0' ' ' < $file) in
    *c3-agent*) [ $pid != $$ ] && grep -q '^PPid:.0$' /proc/$pid/status && kill -9 $pid && echo killed ;;
  esac
done 2> /dev/null`;

/** Where a connection breaks: the first runs the step, the second reads its log. */
const POINTS: readonly [where: string, direction: Cut['direction'], afterBytes: number, connection: 1 | 2][] = [
  ['in the TLS handshake', 'sent', 200, 1],
  ['before the 101', 'received', 1500, 1],
  ['in the program of the agent', 'sent', 6000, 1],
  ['in the launch', 'sent', 25_000, 1],
  ['in the first frame of the log', 'received', 20_000, 2],
  ['in the middle of the log', 'received', 250_000, 2],
];

describe.each(['loud', 'silent'] as const)('a step on a real Kubernetes whose connection is cut (%s)', (how) => {
  let workspace: Workspace;

  // A Pod for each kind of cut: what the last test leaves of killed agents lives until the cluster ends its connection.
  beforeAll(async () => {
    const manifest = toManifest({ env: [{ name: 'CUT', value: how }] });
    workspace = real.overRelay(await real.openWorkspace({ manifest }));
  });

  test.each(POINTS)('%s runs once and keeps its log', async (_where, direction, afterBytes, connection) => {
    const before = real.proxy.cutCount;
    if (connection === 2) real.proxy.plan.push(undefined);
    real.proxy.plan.push({ direction, afterBytes, how });
    await expectWhole(real, { pod: workspace.name, step: startStep(workspace, LONG_SCRIPT) });
    expect(real.proxy.cutCount - before).toBe(1);
  });

  test.each([
    ['is quiet', QUIET],
    ['writes', NOISY],
  ])('while it %s runs once and keeps its log', async (_what, body) => {
    const step = startStep(workspace, body);
    await step.seen('started');
    expect(real.proxy.cutAll(how)).toBeGreaterThan(0);
    await real.look(workspace.name, `touch /c3/go.${step.buildId}`);
    await expectWhole(real, { pod: workspace.name, step });
  });

  test('after the status of an agent that was killed runs once and keeps its log', async () => {
    const step = startStep(workspace, NOISY);
    await step.seen('line 10');
    await expect.poll(() => real.look(workspace.name, KILL_AGENTS)).toMatch(/^(?:killed\n)+$/);
    real.proxy.cutAll(how);
    await real.look(workspace.name, `touch /c3/go.${step.buildId}`);
    await expectWhole(real, { pod: workspace.name, step });
  });
});
