import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test, vi } from 'vitest';

import { createClient, isReady, toExecPath, toTestPod } from './client.ts';

/** The user `nobody` of most systems; any user but root works. */
const NOBODY = 65534;
const IS_ROOT = process.getuid?.() === 0;

/** Returns the command lines of the machine's processes that contain the text. */
function findProcesses(text: string): string[] {
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    });
  return lines.filter((line) => line.includes(text));
}

async function untilEmpty(directory: string): Promise<void> {
  const watcher = watch(directory);
  while (readdirSync(directory).length > 0) await once(watcher, 'change');
  watcher.close();
}

const USERS = IS_ROOT ? ([undefined, NOBODY] as const) : [undefined];

test.each(
  USERS.flatMap((user) => [
    [user === undefined ? 'this user' : 'an ordinary user', 'SIGINT', user] as const,
    [user === undefined ? 'this user' : 'an ordinary user', 'SIGKILL', user] as const,
  ]),
)('as %s, nothing is left after %s', async (_, signal, user) => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'c3-main-')));
  chmodSync(root, 0o777);
  const kubeconfig = join(root, 'kubeconfig');
  const marker = `10${Date.now()}`;
  const program = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), '--kubeconfig', kubeconfig], {
    env: { PATH: process.env['PATH'], TMPDIR: root },
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  await once(program.stdout, 'data');
  const client = createClient(readFileSync(kubeconfig, 'utf8'));
  const containers = [{ name: 'main', image: 'a', command: ['sh', '-c', `sleep ${marker} & wait`] }];
  await client.create(toTestPod('left', { containers }));
  await client.waitForPod('left', isReady);
  const exec = client.openExec(
    toExecPath('left', ['sh', '-c', `mkdir /tmp/locked; chmod 0 /tmp/locked; echo up; sleep ${marker}`]),
  );
  await exec.waitForStdout('up');
  expect(findProcesses(`sleep ${marker}`)).not.toStrictEqual([]);
  program.kill(signal);
  await once(program, 'exit');
  await exec.ended;
  await client.close();
  if (signal === 'SIGKILL') rmSync(kubeconfig);
  await untilEmpty(root);
  // A dying process closes its pipes, which starts the removal of the directory, before the kernel kills its
  // children.
  await vi.waitFor(() => expect(findProcesses(`sleep ${marker}`)).toStrictEqual([]));
  rmSync(root, { recursive: true });
});
