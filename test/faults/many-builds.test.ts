import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { createConnectionPool, type ConnectionPool } from '../../src/agent/step-agent.ts';
import { startBuild } from './build-run.ts';
import { useFaultCluster } from './fault-cluster.ts';
import { isLong } from '../random.ts';

const faults = useFaultCluster();
const lines = createConnectionPool();
afterEach(() => lines.close());

/** The first builds open pooled connections and modules, which stay open. */
const WARM_UP = 10;
/** An agent, its watch, and the shell that waits for both. */
const AGENT = 3;
/** Builds whose files are kept in a Pod (shell/agent.sh). */
const KEPT = 10;

async function build(pool: ConnectionPool | undefined): Promise<string> {
  const workspace = await faults.openWorkspace();
  const script = 'echo one; sh -c "echo two" | cat; sleep 0 & wait';
  const { ending, sweep } = await startBuild(workspace, [script], pool ? { connections: pool } : {}).outcome;
  expect(ending).toEqual({ kind: 'passed', allowed: [] });
  await workspace.release({ isClean: await sweep() });
  return workspace.name;
}

/**
 * With the one of this exec. A zombie counts: it stays in /proc until its parent waits for it, and the Pod's PID 1
 * never does.
 */
async function countProcesses(pod: string): Promise<number> {
  return Number(await faults.look(pod, 'set -- /proc/[0-9]*; echo $#'));
}

function countHandles(): number {
  return readdirSync('/proc/self/fd').length;
}

test.each([
  ['whose connection is left to the next', isLong ? 200 : 25, lines, AGENT],
  ['with a connection of its own', isLong ? 50 : 15, undefined, 0],
] as const)(
  'a build %s, %i times in one warm Pod, leaves no process, no zombie, the files of ten builds and no open handle',
  async (_what, builds, pool, agents) => {
    const fresh = await faults.openWorkspace();
    const processes = await countProcesses(fresh.name);
    await fresh.release({ isClean: true });
    for (let index = 0; index < WARM_UP; index += 1) await build(pool);
    const handles = countHandles();
    for (let index = WARM_UP; index < builds; index += 1) expect(await build(pool)).toBe(fresh.name);
    expect(faults.embedded.pods().map(({ metadata }) => metadata.uid)).toEqual([fresh.id]);
    // An agent ends some time after its connection.
    await expect.poll(() => countProcesses(fresh.name)).toBe(processes + agents);
    expect(Number(await faults.look(fresh.name, 'ls -d /c3/.c3/*/ | wc -l'))).toBeLessThanOrEqual(KEPT);
    await expect.poll(countHandles).toBeLessThanOrEqual(handles);
  },
);
