import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { toTestGitEnvironment } from '../../../test/fakes/git-environment.ts';
import type { ExecEnd } from '../../engine/cluster.ts';
import type { Workspace } from '../../engine/index.ts';
import { createLocalWorkspace, isShellInstalled, type LocalWorkspace } from '../../../test/fakes/local-workspace.ts';
import { sendTree, type SendAnswer } from './send-tree.ts';
import { openWorkingTree, type WorkingTree } from './working-tree.ts';

const home = mkdtempSync(join(tmpdir(), 'c3-send-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const env = toTestGitEnvironment(home);

let directory: string;
let tree: WorkingTree;
let workspace: LocalWorkspace;

function git(cwd: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd, env, encoding: 'utf8', stdio: 'pipe' }).trim();
}

function commit(text: string): void {
  writeFileSync(join(directory, 'file'), text);
  git(directory, 'add', '-A');
  git(directory, 'commit', '-q', '-m', text);
}

async function send(
  part: { depth?: number; directories?: [string, string]; workspace?: Workspace } = {},
): Promise<SendAnswer & { sha: string }> {
  const { sha } = await tree.takeSnapshot();
  const directories = part.directories ?? [
    join(workspace.directory, 'tree.git'),
    join(workspace.directory, 'second.git'),
  ];
  const order = {
    container: 'git',
    directories,
    tree,
    sha,
    depth: part.depth ?? 50,
    signal: new AbortController().signal,
  };
  return { ...(await sendTree(part.workspace ?? workspace, order)), sha };
}

/** What a checkout does with the repository in the container. */
function checkOut(path: string, sha: string): string {
  const target = mkdtempSync(join(home, 'out-'));
  git(target, 'init', '-q');
  git(target, 'fetch', '-q', '--depth', '50', path, sha);
  git(target, 'checkout', '-q', '--detach', sha);
  return target;
}

beforeEach(async () => {
  directory = mkdtempSync(join(home, 'shop-'));
  git(directory, 'init', '-q', '-b', 'main');
  tree = await openWorkingTree(directory, env);
  workspace = createLocalWorkspace('dash');
});
afterEach(async () => {
  workspace.close();
  await tree.close();
});

it.each((['dash', 'busybox'] as const).filter(isShellInstalled))(
  'sends the working tree with its history to %s',
  async (shell) => {
    workspace.close();
    workspace = createLocalWorkspace(shell);
    if (shell === 'busybox')
      symlinkSync(execFileSync('which', ['git'], { encoding: 'utf8' }).trim(), join(workspace.directory, 'bin', 'git'));
    commit('one');
    commit('two');
    writeFileSync(join(directory, 'new'), 'new');
    const answer = await send();
    expect(answer).toMatchObject({ kind: 'sent', path: join(workspace.directory, 'tree.git') });
    const target = checkOut(join(workspace.directory, 'tree.git'), answer.sha);
    expect(readFileSync(join(target, 'new'), 'utf8')).toBe('new');
    expect(git(target, 'log', '--format=%s')).toBe('Working tree on: two\ntwo\none');
  },
);

it('sends no more of history than the depth, and goes on from there the next time', async () => {
  for (const text of ['one', 'two', 'three']) commit(text);
  const first = await send({ depth: 2 });
  const path = join(workspace.directory, 'tree.git');
  expect(git(checkOut(path, first.sha), 'log', '--format=%s')).toBe('three\ntwo');
  commit('four');
  git(path, 'config', 'c3.witness', 'kept');
  const second = await send({ depth: 2 });
  expect(second.kind).toBe('sent');
  expect(git(checkOut(path, second.sha), 'log', '--format=%s')).toBe('four\nthree');
  expect(git(path, 'config', 'c3.witness')).toBe('kept');
});

it('sends from a repository that is cut off itself', async () => {
  for (const text of ['one', 'two', 'three']) commit(text);
  const clone = join(home, 'clone');
  git(home, 'clone', '-q', '--depth', '2', `file://${directory}`, clone);
  await tree.close();
  directory = clone;
  tree = await openWorkingTree(clone, env);
  const answer = await send();
  expect(answer.kind).toBe('sent');
  expect(git(checkOut(join(workspace.directory, 'tree.git'), answer.sha), 'log', '--format=%s')).toBe('three\ntwo');
});

it('begins from nothing where what an earlier run left is spoiled', async () => {
  commit('one');
  await send();
  const path = join(workspace.directory, 'tree.git');
  rmSync(join(path, 'objects'), { recursive: true });
  commit('two');
  const answer = await send();
  expect(answer.kind).toBe('sent');
  expect(git(checkOut(path, answer.sha), 'log', '--format=%s')).toBe('two\none');
});

it('uses nothing that it finds in the second directory, which other containers can write', async () => {
  commit('one');
  const second = join(workspace.directory, 'second.git');
  git(home, 'init', '-q', '--bare', second);
  git(second, 'config', 'c3.witness', 'planted');
  const first = join(workspace.directory, 'a-file', 'x');
  writeFileSync(join(workspace.directory, 'a-file'), '');
  expect(await send({ directories: [first, second] })).toMatchObject({ kind: 'sent', path: second });
  expect(readFileSync(join(second, 'config'), 'utf8')).not.toContain('planted');
});

it('does not follow a link in place of its directory', async () => {
  commit('one');
  const first = join(workspace.directory, 'tree.git');
  const elsewhere = mkdtempSync(join(home, 'elsewhere-'));
  symlinkSync(elsewhere, first);
  expect(await send()).toMatchObject({ kind: 'sent', path: first });
  expect(readdirSync(elsewhere)).toEqual([]);
});

it('uses the second directory when the first cannot be written', async () => {
  commit('one');
  writeFileSync(join(workspace.directory, 'a-file'), '');
  const second = join(workspace.directory, 'second.git');
  expect(await send({ directories: [join(workspace.directory, 'a-file', 'x'), second] })).toMatchObject({
    kind: 'sent',
    path: second,
  });
});

it('tries again after a cut, and says why when that was cut too', async () => {
  commit('one');
  workspace.plan.push({ kind: 'cut-after', bytes: 1 });
  expect((await send()).kind).toBe('sent');
  workspace.plan.push({ kind: 'cut-after', bytes: 1 }, { kind: 'refuse', message: 'no such container' });
  expect(await send()).toMatchObject({
    kind: 'failed',
    message: 'The working tree could not be sent to container "git": no such container',
  });
});

it.skipIf(!isShellInstalled('busybox'))('says that a container has no git', async () => {
  commit('one');
  workspace.close();
  workspace = createLocalWorkspace('busybox');
  expect(await send()).toMatchObject({
    kind: 'failed',
    message: 'The working tree could not be sent to container "git": this container has no git',
  });
});

it('waits for what the container says after a write to it failed', async () => {
  commit('one');
  const exec: LocalWorkspace['exec'] = (_container, _argv, { onStderr }) => {
    const end = Promise.withResolvers<ExecEnd>();
    const write = (): Promise<void> => {
      setImmediate(() => {
        void onStderr(Buffer.from('this container has no git\n'));
        end.resolve({ kind: 'status', exitCode: 1, message: 'exit code 1' });
      });
      return Promise.reject(new Error('write EPIPE'));
    };
    return Promise.resolve({ kind: 'open', session: { write, done: end.promise, close: () => {} } });
  };
  expect(await send({ workspace: { ...workspace, exec } })).toMatchObject({
    kind: 'failed',
    message: 'The working tree could not be sent to container "git": this container has no git',
  });
});

it('sends only what the container lacks, also in another process', async () => {
  writeFileSync(join(directory, 'large'), randomBytes(1024 * 1024));
  commit('one');
  const sizes: number[] = [];
  for (const text of ['two', 'three']) {
    writeFileSync(join(directory, 'new'), text);
    let bytes = 0;
    const exec: LocalWorkspace['exec'] = async (...request) => {
      const answer = await workspace.exec(...request);
      if (answer.kind !== 'open') return answer;
      const { session } = answer;
      const write: typeof session.write = (data) => ((bytes += data.length), session.write(data));
      return { ...answer, session: { ...session, write } };
    };
    expect((await send({ workspace: { ...workspace, exec } })).kind).toBe('sent');
    sizes.push(bytes);
    await tree.close();
    tree = await openWorkingTree(directory, env);
  }
  expect(sizes[0]).toBeGreaterThan(1024 * 1024);
  expect(sizes[1]).toBeLessThan(2000);
});

it('serves the container no commit but that of the working tree', async () => {
  commit('one');
  git(directory, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
  git(directory, 'checkout', '-q', '--orphan', 'private');
  git(directory, 'commit', '-q', '-m', 'private');
  const sha = git(directory, 'rev-parse', 'HEAD');
  git(directory, 'checkout', '-q', 'main');
  const hostile = `#!/bin/sh\ncase $* in init*) mkdir -p $6;; *upload-pack*) printf '0032want ${sha}\\n00000009done\\n' >&8; cat <&7 > /dev/null;; esac\n`;
  writeFileSync(join(workspace.directory, 'bin', 'git'), hostile, { mode: 0o755 });
  expect(await send()).toMatchObject({ kind: 'failed', message: expect.stringMatching(/not our ref [0-9a-f]{40}$/) });
});
