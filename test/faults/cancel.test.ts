import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { startBuild } from './build-run.ts';
import { useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();
let workspace: Workspace;

beforeAll(async () => {
  workspace = await faults.openWorkspace();
});

/** Processes that a step can leave behind; each runs a `sleep` with its own number. */
const TREE = `
sleep 1001 &
sh -c 'sleep 1002; true' &
setsid sleep 1003 > /dev/null 2>&1 &
setsid sh -c 'setsid sleep 1004 & exit 0' > /dev/null 2>&1
sh -c 'trap "" TERM INT HUP QUIT; sleep 1005; sleep 1005; sleep 1005' &
setsid sh -c 'trap "" TERM; while :; do sleep 1006; done' > /dev/null 2>&1 &
(sleep 1007 &)
trap "" TERM
sh -c 'until [ "$(cat /proc/[0-9]*/cmdline 2> /dev/null | tr "\\0" " " | grep -o "sleep 100[1-7]" | sort -u | wc -l)" -eq 7 ]; do sleep 0.1; done'
touch "/c3/up.$C3_BUILD_ID"
while :; do sleep 1008; done`;

/**
 * Lists the living `sleep`s in the Pod in order, except those of supervisors. A zombie has no command line.
 */
async function listLiving(): Promise<string[]> {
  const script = `for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2> /dev/null`;
  const lines = (await faults.look(workspace.name, script)).split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => /^sleep \d{4,}$/.test(line))
    .sort();
}

test('a cancel ends a step with its children, background jobs, daemons and processes that ignore TERM', async () => {
  const build = startBuild(workspace, [TREE, 'echo never']);
  await expect.poll(() => existsSync(join(faults.volumeOf(workspace), `up.${build.buildId}`))).toBe(true);
  expect(await listLiving()).toEqual([
    'sleep 100000',
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((number) => `sleep 100${number}`),
  ]);
  build.cancel();
  const { ending, sweep } = await build.outcome;
  expect(ending).toEqual({ kind: 'cancelled', message: 'The build was cancelled during step "1"' });
  expect(await sweep()).toBe(true);
  expect(await listLiving()).toEqual(['sleep 100000']);
});

test('a time limit ends all these processes too', async () => {
  const { ending, sweep } = await startBuild(workspace, [TREE], { timeoutMs: 2000 }).outcome;
  expect(ending).toEqual({ kind: 'timed-out', message: 'Step "1" was ended at the time limit of the build' });
  expect(await sweep()).toBe(true);
  expect(await listLiving()).toEqual(['sleep 100000']);
});

test('a step that passed leaves none of its background jobs and daemons', async () => {
  const { ending, sweep } = await startBuild(workspace, [TREE.replace(/\nwhile :; do sleep 1008; done$/, '')]).outcome;
  expect(ending).toEqual({ kind: 'passed', allowed: [] });
  expect(await sweep()).toBe(true);
  expect(await listLiving()).toEqual(['sleep 100000']);
});

test('a cancel while the connection is cut still ends the step', async () => {
  const build = startBuild(workspace, [TREE]);
  await expect.poll(() => existsSync(join(faults.volumeOf(workspace), `up.${build.buildId}`))).toBe(true);
  faults.embedded.faults.onExec({ times: 2 }, { when: 'before-101', how: 'loud' });
  faults.embedded.faults.cutExecs('loud');
  build.cancel();
  const { ending, sweep } = await build.outcome;
  expect(ending).toMatchObject({ kind: 'cancelled' });
  expect(await sweep()).toBe(true);
  expect(await listLiving()).toEqual(['sleep 100000']);
});
