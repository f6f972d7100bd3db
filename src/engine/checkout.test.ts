import { execFileSync, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { toTestGitEnvironment } from '../../test/fakes/git-environment.ts';
import type { Checkout } from '../pipeline/pipeline.ts';
import { formatCheckoutScript, toGitEnvironment } from './checkout.ts';

const root = mkdtempSync(join(tmpdir(), 'c3-checkout-'));
const home = join(root, 'home');
let number = 0;
afterEach(() => {
  number += 1;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
mkdirSync(home);

const gitEnv = toTestGitEnvironment(home);

function git(directory: string, ...args: string[]): string {
  return execFileSync('git', ['-C', directory, ...args], { env: gitEnv, encoding: 'utf8', stdio: 'pipe' }).trim();
}

/** A source repository with a way to commit to it, and a work tree to check out into. */
function setUp(): {
  source: string;
  commit(file: string, text: string): string;
  checkOut(sha: string, part?: Partial<Checkout>): SpawnSyncReturns<string>;
  tree: string;
} {
  const source = join(root, `source${number}`);
  const tree = join(root, `tree${number}`);
  mkdirSync(source);
  mkdirSync(tree);
  git(source, 'init', '-q', '-b', 'main');
  return {
    source,
    tree,
    commit(file, text): string {
      writeFileSync(join(source, file), text);
      git(source, 'add', '-A');
      git(source, 'commit', '-q', '-m', text);
      return git(source, 'rev-parse', 'HEAD');
    },
    checkOut(sha, part = {}): SpawnSyncReturns<string> {
      const checkout: Checkout = { container: 'git', path: tree, depth: 50, submodules: false, clean: true, ...part };
      const access = {
        url: `file://${source}`,
        urlPrefix: 'https://forge.example/',
        header: 'Authorization: Basic c2VjcmV0',
        secrets: [],
      };
      const env = { ...gitEnv, ...toGitEnvironment(access, checkout), C3_SHA: sha, C3_REF: 'refs/heads/main' };
      return spawnSync('sh', ['-ec', formatCheckoutScript(checkout, { sha })], { env, encoding: 'utf8' });
    },
  };
}

it('brings the revision into an empty work tree, not the newest one', () => {
  const { commit, checkOut, tree } = setUp();
  const first = commit('file', 'one');
  commit('file', 'two');
  expect(checkOut(first)).toMatchObject({ status: 0 });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
});

it('moves a warm work tree to the next revision and removes what a build left there', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, 'file'), 'changed by a step');
  writeFileSync(join(tree, 'left-over'), '');
  writeFileSync(join(tree, '.git', 'index.lock'), '');
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
  expect(existsSync(join(tree, 'left-over'))).toBe(false);
});

it('fetches into a warm work tree instead of cloning again', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, '.git', 'witness'), '');
  checkOut(commit('file', 'two'));
  expect(existsSync(join(tree, '.git', 'witness'))).toBe(true);
});

it('asks the forge for nothing when the work tree is at the revision, and cleans it all the same', () => {
  const { commit, checkOut, tree, source } = setUp();
  const first = commit('file', 'one');
  checkOut(first);
  writeFileSync(join(tree, 'file'), 'changed by a step');
  writeFileSync(join(tree, 'left-over'), '');
  rmSync(source, { recursive: true });
  expect(checkOut(first)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
  expect(existsSync(join(tree, 'left-over'))).toBe(false);
});

it('removes what a step left and had git watch', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, 'added'), '');
  git(tree, 'add', 'added');
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
  expect(existsSync(join(tree, 'added'))).toBe(false);
});

it('fails, and does not pass off what is there, when the forge cannot be reached', () => {
  const { commit, checkOut, source } = setUp();
  checkOut(commit('file', 'one'));
  const second = commit('file', 'two');
  rmSync(source, { recursive: true });
  expect(checkOut(second).status).not.toBe(0);
});

it('keeps what a step left when clean is off', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, 'cache'), '');
  checkOut(commit('file', 'two'), { clean: false });
  expect(existsSync(join(tree, 'cache'))).toBe(true);
});

it('runs no hook and keeps no setting that an earlier build planted', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  const planted = join(root, `planted${number}`);
  writeFileSync(join(tree, '.git', 'hooks', 'post-checkout'), `#!/bin/sh\ntouch ${planted}\n`, { mode: 0o755 });
  git(tree, 'config', 'core.fsmonitor', `touch ${planted}`);
  git(tree, 'config', 'core.sshCommand', `touch ${planted}`);
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0 });
  expect(existsSync(planted)).toBe(false);
  expect(readFileSync(join(tree, '.git', 'config'), 'utf8')).not.toContain('planted');
});

it.each(['--assume-unchanged', '--skip-worktree'])('restores a file that a step changed and marked %s', (flag) => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  git(tree, 'update-index', flag, 'file');
  writeFileSync(join(tree, 'file'), 'changed by a step');
  expect(checkOut(commit('other', 'two'))).toMatchObject({ status: 0 });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
});

it('makes a damaged warm work tree anew', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  rmSync(join(tree, '.git', 'objects'), { recursive: true });
  writeFileSync(join(tree, '.git', 'objects'), 'not a directory');
  const result = checkOut(commit('file', 'two'));
  expect(result).toMatchObject({ status: 0, stdout: 'c3: the warm work tree cannot be used, cloning again\n' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
});

it('fails for a revision that is not there', () => {
  const { commit, checkOut } = setUp();
  commit('file', 'one');
  expect(checkOut('1'.repeat(40)).status).not.toBe(0);
});

it('keeps the credential out of the repository and out of every argv', () => {
  const { commit, checkOut, tree } = setUp();
  checkOut(commit('file', 'one'));
  const found = spawnSync('grep', ['-r', 'c2VjcmV0', tree], { encoding: 'utf8' });
  expect(found.stdout).toBe('');
  const checkout: Checkout = { container: 'git', path: '/c3/project', depth: 1, submodules: true, clean: true };
  expect(formatCheckoutScript(checkout, { sha: 'a'.repeat(40) })).not.toContain('c2VjcmV0');
});

it('checks out submodules when asked, and again after they were changed', () => {
  const { commit, checkOut, tree, source } = setUp();
  const library = join(root, `library${number}`);
  mkdirSync(library);
  git(library, 'init', '-q', '-b', 'main');
  writeFileSync(join(library, 'code'), 'v1');
  git(library, 'add', '-A');
  git(library, 'commit', '-q', '-m', 'v1');
  writeFileSync(join(home, '.gitconfig'), '[protocol "file"]\n\tallow = always\n');
  git(source, 'submodule', 'add', '-q', library, 'library');
  expect(checkOut(commit('file', 'one'), { submodules: true })).toMatchObject({ status: 0 });
  writeFileSync(join(tree, 'library', 'code'), 'changed by a step');
  const second = commit('file', 'two');
  expect(checkOut(second, { submodules: true })).toMatchObject({ status: 0 });
  expect(readFileSync(join(tree, 'library', 'code'), 'utf8')).toBe('v1');
});
