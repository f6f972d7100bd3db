import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { createConnectionPool } from '../../src/agent/step-agent.ts';
import { startBuild } from './build-run.ts';
import { QUICK_EXECS, useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster({ execs: QUICK_EXECS });
const connections = createConnectionPool();
afterAll(() => connections.close());

let first: Workspace;
beforeAll(async () => {
  first = await faults.openWorkspace();
  await first.release({ isClean: true });
});

/** Runs a build whose step adds its number to a file; resolves with the Pod's id. */
async function build(number: number): Promise<string> {
  const workspace = await faults.openWorkspace();
  const { ending, sweep } = await startBuild(workspace, [`echo ${number} >> /c3/builds`, 'exit 0'], { connections })
    .outcome;
  expect(ending).toEqual({ kind: 'passed', allowed: [] });
  expect(await sweep()).toBe(true);
  await workspace.release({ isClean: true });
  return workspace.id;
}

const FAULTS: readonly [what: string, act: () => Promise<unknown> | number][] = [
  ['is cut loudly', () => faults.embedded.faults.cutExecs('loud')],
  ['is cut silently', () => faults.embedded.faults.cutExecs('silent')],
  ['ends with a false Success', () => faults.embedded.faults.cutExecs('false-success')],
  [
    'loses its API server for a moment',
    async () => {
      await faults.embedded.faults.stopServer();
      await faults.embedded.faults.startServer();
    },
  ],
  [
    'loses the agent at its far end',
    async () => {
      const script = `for p in /proc/[0-9]*; do case $(tr '\\0' ' ' < $p/cmdline) in *c3-agent*) [ "\${p#/proc/}" = $$ ] || kill -9 \${p#/proc/} ;; esac; done 2> /dev/null; echo done`;
      expect(await faults.look(first.name, script)).toContain('done');
    },
  ],
];

test.each(FAULTS)(
  'a connection that %s between two builds does not affect the Pod or the steps of the second',
  async (_what, act) => {
    const file = join(faults.volumeOf(first), 'builds');
    expect(await build(1)).toBe(first.id);
    await act();
    expect(await build(2)).toBe(first.id);
    expect(readFileSync(file, 'utf8').endsWith('1\n2\n')).toBe(true);
  },
);

test.each(['loud', 'false-success'] as const)(
  'a connection that is cut (%s) after the last step does not end the reuse of the Pod',
  async (how) => {
    const workspace = await faults.openWorkspace();
    const { ending, sweep } = await startBuild(workspace, ['true'], { connections }).outcome;
    expect(ending).toEqual({ kind: 'passed', allowed: [] });
    faults.embedded.faults.cutExecs(how);
    expect(await sweep()).toBe(true);
    await workspace.release({ isClean: true });
    expect(await build(3)).toBe(first.id);
  },
);
