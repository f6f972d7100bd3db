import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Workspace } from '../../src/engine/cluster.ts';
import { startBuild } from './build-run.ts';
import { toManifest, useFaultCluster } from './fault-cluster.ts';

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

/** Starts a daemon that emptied its environment and left its session. */
const START_DAEMON = `(env -i setsid sleep 2003 &); until ( for file in /proc/[0-9]*/cmdline; do [ "$(tr "\\0" " " < $file)" = "sleep 2003 " ] && exit 0; done; exit 1 ) 2> /dev/null; do sleep 0.1; done`;

test('a daemon that emptied its environment and left its session ends the reuse of the Pod', async () => {
  const workspace = await faults.openWorkspace();
  expect(await leave(workspace, START_DAEMON)).toBe(false);
  await workspace.release({ isClean: false });
});

test('a build does not run beside such a daemon when the c3 of the build before died', async () => {
  const workspace = await faults.openWorkspace();
  const dead = startBuild(workspace, [START_DAEMON]);
  expect((await dead.outcome).ending).toMatchObject({ kind: 'passed' });
  const { ending } = await startBuild(workspace, ['touch /c3/ran']).outcome;
  expect(ending).toMatchObject({
    kind: 'infrastructure-error',
    message: expect.stringContaining('processes of an earlier build may still run'),
  });
  expect(existsSync(join(faults.volumeOf(workspace), 'ran'))).toBe(false);
  await workspace.release({ isClean: false });
});

/**
 * Starts a process that starts its next copy and ends, for at most 20,000 times. The step ends after the process has left
 * its session: before that, the sweep would find and end it.
 */
const START_HOPPER = [
  `echo '[ $1 = 0 ] && echo > /c3/hopping; if [ $1 -lt 20000 ]; then sh /c3/hop $(($1 + 1)) & fi' > /c3/hop`,
  `(env -i setsid sh /c3/hop 0 &) > /dev/null 2>&1`,
  `until [ -e /c3/hopping ]; do sleep 0.1; done`,
].join('\n');

test('a process that starts its next copy and ends, all the time, ends the reuse of the Pod', async () => {
  const workspace = await faults.openWorkspace();
  expect(await leave(workspace, START_HOPPER)).toBe(false);
  await workspace.release({ isClean: false });
});

test('a build whose c3 died cannot pretend that it was swept', async () => {
  const workspace = await faults.openWorkspace();
  const forge = 'rm -rf "/c3/.c3/$C3_BUILD_ID"; mkdir -p /c3/.c3/other; touch /c3/.c3/other/swept.main';
  const dead = startBuild(workspace, [
    `setsid sleep 2006 > /dev/null 2>&1 &\n(until test -e /c3/go; do sleep 0.05; done; ${forge}) > /dev/null 2>&1 &`,
  ]);
  expect((await dead.outcome).ending).toMatchObject({ kind: 'passed' });
  const volume = faults.volumeOf(workspace);
  writeFileSync(join(volume, 'go'), '');
  await expect.poll(() => existsSync(join(volume, '.c3', dead.buildId))).toBe(false);
  await expect.poll(() => existsSync(join(volume, '.c3/other/swept.main'))).toBe(true);
  await expect.poll(() => listSleeps(workspace.name)).toContain('sleep 2006');
  const next = startBuild({ ...workspace, isAbandoned: true }, [':']);
  expect((await next.outcome).ending).toMatchObject({ kind: 'passed' });
  expect(await listSleeps(workspace.name)).not.toContain('sleep 2006');
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

/** Opens the Pod whose container starts a daemon in a session of its own before the first build comes. */
async function openWithDaemon(): Promise<Workspace> {
  const command = ['sh', '-c', 'setsid sleep 2005 & exec sleep 100000'];
  const workspace = await faults.openWorkspace({ manifest: toManifest('daemon', { command }) });
  await expect.poll(() => listSleeps(workspace.name)).toContain('sleep 2005');
  return workspace;
}

test('a daemon that is older than the first build is spared by each c3, unless its note has no valid MAC', async () => {
  const first = await openWithDaemon();
  const note = join(faults.volumeOf(first), '.c3/first');
  expect(await leave(first, 'test ! -e /c3/.c3/first; echo 1 > /c3/.c3/first')).toBe(true);
  expect(readFileSync(note, 'utf8')).toMatch(/^\d+ [0-9a-f]{32}\n$/);
  await first.release({ isClean: true });

  const second = await openWithDaemon();
  expect(second.id).toBe(first.id);
  expect(await leave(second, 'rm /c3/.c3/first')).toBe(true);
  expect(readFileSync(note, 'utf8')).toMatch(/^\d+ [0-9a-f]{32}\n$/);
  await second.release({ isClean: true });

  const third = await openWithDaemon();
  expect(third.id).toBe(first.id);
  writeFileSync(
    note,
    readFileSync(note, 'utf8').replace(/\d/, (digit) => (digit === '9' ? '1' : '9')),
  );
  expect(await leave(third, ':')).toBe(false);
  await third.release({ isClean: false });
});
