import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { formatScope } from '../../sealing/index.ts';
import { toTestGitEnvironment } from '../../../test/fakes/git-environment.ts';
import { openWorkingTree, type WorkingTree } from './working-tree.ts';

const home = mkdtempSync(join(tmpdir(), 'c3-tree-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const env = toTestGitEnvironment(home);

let directory: string;
let tree: WorkingTree;

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: directory, env, encoding: 'utf8', stdio: 'pipe' }).trim();
}

function write(path: string, text: string): void {
  writeFileSync(join(directory, path), text);
}

/** The files of a snapshot as `mode path`, and what is in them. */
function list(sha: string): Record<string, string> {
  const read = (...args: string[]): string =>
    execFileSync('git', args, { cwd: directory, env: tree.git.env, encoding: 'utf8' }).trim();
  const rows = read('ls-tree', '-r', sha).split('\n').filter(Boolean);
  return Object.fromEntries(
    rows.map((row) => {
      const [mode = '', kind, rest = ''] = row.split(' ');
      const [object = '', path = ''] = rest.split('\t');
      return [`${mode} ${path}`, kind === 'blob' ? read('cat-file', 'blob', object) : object];
    }),
  );
}

/** What of the user's repository a snapshot must not change. */
function look(): unknown {
  const files = readdirSync(join(directory, '.git'));
  return {
    files,
    index: readFileSync(join(directory, '.git', 'index')).toString('hex'),
    refs: git('for-each-ref'),
    objects: git('count-objects', '-v'),
  };
}

beforeEach(async () => {
  directory = realpathSync(mkdtempSync(join(home, 'shop-')));
  git('init', '-q', '-b', 'main');
  tree = await openWorkingTree(directory, env);
});
afterEach(async () => await tree.close());

it('takes tracked and untracked files as they are, without ignored and deleted ones', async () => {
  for (const name of ['kept', 'changed', 'gone', 'run.sh']) write(name, 'one');
  write('.gitignore', 'ignored\n');
  git('add', '-A');
  git('commit', '-q', '-m', 'One');
  write('changed', 'two');
  write('ignored', 'secret');
  write('new', 'new');
  unlinkSync(join(directory, 'gone'));
  symlinkSync('kept', join(directory, 'link'));
  execFileSync('chmod', ['+x', join(directory, 'run.sh')]);

  const snapshot = await tree.takeSnapshot();
  expect(snapshot).toMatchObject({ changedFiles: 5, branch: 'main', subject: 'One', author: 'Ann' });
  expect(list(snapshot.sha)).toEqual({
    '100644 .gitignore': 'ignored',
    '100644 changed': 'two',
    '100644 kept': 'one',
    '120000 link': 'kept',
    '100644 new': 'new',
    '100755 run.sh': 'one',
  });
});

it('is HEAD itself when nothing differs, and the same commit for the same files', async () => {
  write('file', 'one');
  git('add', '-A');
  git('commit', '-q', '-m', 'One');
  expect(await tree.takeSnapshot()).toMatchObject({ sha: git('rev-parse', 'HEAD'), changedFiles: 0 });
  write('file', 'two');
  const { sha } = await tree.takeSnapshot();
  write('file', 'three');
  expect((await tree.takeSnapshot()).sha).not.toBe(sha);
  write('file', 'two');
  expect((await tree.takeSnapshot()).sha).toBe(sha);
});

it('sees a change in the very moment in which the index was written', async () => {
  // Same size, same time stamps as far as git compares them: git must look into the file.
  for (let round = 0; round < 5; round++) {
    write('file', `a${round}`);
    git('add', '-A');
    write('file', `b${round}`);
    const { sha } = await tree.takeSnapshot();
    expect(list(sha)).toEqual({ '100644 file': `b${round}` });
  }
});

it('leaves index, HEAD, refs, objects and hooks of the user alone', async () => {
  write('file', 'one');
  git('add', '-A');
  git('commit', '-q', '-m', 'One');
  write('staged', 'staged');
  git('add', 'staged');
  write('file', 'two');
  git('config', 'core.splitIndex', 'true');
  git('update-index', '--split-index');
  const witness = join(directory, 'hook-ran');
  for (const hook of ['post-index-change', 'pre-commit', 'post-commit']) {
    writeFileSync(join(directory, '.git', 'hooks', hook), `#!/bin/sh\ntouch ${witness}\n`, { mode: 0o755 });
  }
  const before = look();
  await tree.takeSnapshot();
  expect(existsSync(witness)).toBe(false);
  expect(look()).toEqual(before);
  expect(git('status', '--porcelain')).toBe('M file\nA  staged');
});

it('takes a submodule as the commit that is checked out in it', async () => {
  const library = mkdtempSync(join(home, 'library-'));
  const inLibrary = (...args: string[]): string =>
    execFileSync('git', args, { cwd: library, env, encoding: 'utf8' }).trim();
  inLibrary('init', '-q', '-b', 'main');
  inLibrary('commit', '-q', '--allow-empty', '-m', 'One');
  git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', library, 'lib');
  const { sha } = await tree.takeSnapshot();
  expect(list(sha)).toMatchObject({ '160000 lib': inLibrary('rev-parse', 'HEAD') });
});

it('works before the first commit and with a detached HEAD', async () => {
  write('file', 'one');
  const { sha, changedFiles, branch } = await tree.takeSnapshot();
  expect({ changedFiles, branch, files: list(sha) }).toEqual({
    changedFiles: 1,
    branch: 'main',
    files: { '100644 file': 'one' },
  });
  git('add', '-A');
  git('commit', '-q', '-m', 'One');
  git('checkout', '-q', '--detach');
  expect((await tree.takeSnapshot()).branch).toBeUndefined();
});

it.each([
  ['https://github.com/acme/shop.git', 'github.com/acme/shop'],
  ['git@github.com:acme/shop.git', 'github.com/acme/shop'],
  ['ssh://git@git.example.com:2222/group/sub/shop', 'git.example.com/group/sub/shop'],
  ['../elsewhere', /^local\/local\/shop-/],
])('is called by its remote %s', async (url, scope) => {
  git('remote', 'add', 'origin', url);
  const named = await openWorkingTree(directory, env);
  expect(formatScope(named.scope)).toMatch(scope);
  await named.close();
});

it('says where there is no working tree', async () => {
  await expect(openWorkingTree(home, env)).rejects.toMatchObject({
    code: 'USAGE_INVALID',
    message: `There is no git working tree at "${home}"`,
  });
});
