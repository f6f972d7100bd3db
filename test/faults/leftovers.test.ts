import { expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { startBuild } from './build-run.ts';
import { useFaultCluster } from './fault-cluster.ts';

const faults = useFaultCluster();

/** Runs a build of one step that passes; returns whether its Pod is clean afterwards. */
async function leave(workspace: Workspace, script: string): Promise<boolean> {
  const { ending, sweep } = await startBuild(workspace, [script]).outcome;
  expect(ending).toMatchObject({ kind: 'passed' });
  return await sweep();
}

async function listSleeps(pod: string): Promise<string> {
  return await faults.look(
    pod,
    `for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file; echo; done 2> /dev/null | grep '^sleep [0-9]* $' | sort`,
  );
}

test('a background process that emptied its environment is found by its session, and the Pod is used again', async () => {
  const workspace = await faults.openWorkspace();
  expect(await leave(workspace, 'env -i sleep 2001 & sh -c "env -i sleep 2002 &"; sleep 0.1')).toBe(true);
  expect(await listSleeps(workspace.name)).toBe('sleep 100000 \n');
  await workspace.release({ isClean: true });
});

test('a daemon that emptied its environment and left its session ends the reuse of the Pod', async () => {
  const workspace = await faults.openWorkspace();
  const isUp =
    'for file in /proc/[0-9]*/cmdline; do [ "$(tr "\\0" " " < $file)" = "sleep 2003 " ] && exit 0; done; exit 1';
  const script = `(env -i setsid sleep 2003 &); until (${isUp}) 2> /dev/null; do sleep 0.1; done`;
  expect(await leave(workspace, script)).toBe(false);
  await workspace.release({ isClean: false });
});

test('a process of a foreign exec in the container keeps running, and the Pod stays clean', async () => {
  const workspace = await faults.openWorkspace();
  const other = await workspace.exec('main', ['sleep', '2004'], {
    signal: new AbortController().signal,
    onStdout: () => {},
    onStderr: () => {},
  });
  expect(other.kind).toBe('open');
  expect(await leave(workspace, ':')).toBe(true);
  expect(await listSleeps(workspace.name)).toContain('sleep 2004');
  if (other.kind === 'open') other.session.close();
  await workspace.release({ isClean: false });
});

test('a step that leaves too many zombies ends the reuse of its Pod', async () => {
  const workspace = await faults.openWorkspace();
  const orphans = 'i=0; while [ "$i" -lt 220 ]; do (sh -c "sleep 0.2" &); i=$((i + 1)); done; sleep 1';
  expect(await leave(workspace, orphans)).toBe(false);
  await workspace.release({ isClean: false });
});
