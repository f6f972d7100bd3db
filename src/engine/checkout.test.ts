import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { access, createCheckoutWorld, git } from '../../test/fakes/checkout-world.ts';
import { defaultCheckout } from '../pipeline/read/read-checkout.ts';
import { checkoutScript } from '../agent/shell.ts';
import { COMMIT_FAULT, toCheckoutEnvironment, toStepGitEnvironment } from './checkout.ts';

it('brings the revision into an empty work tree, not the newest one', () => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  const first = commit('file', 'one');
  commit('file', 'two');
  expect(checkOut(first)).toMatchObject({ status: 0 });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
});

it('moves a warm work tree to the next revision and removes what a build left there', () => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, 'file'), 'changed by a step');
  writeFileSync(join(tree, 'left-over'), '');
  writeFileSync(join(tree, '.git', 'index.lock'), '');
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
  expect(existsSync(join(tree, 'left-over'))).toBe(false);
});

it('fetches into a warm clone instead of cloning again', () => {
  const { commit, checkOut, own } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const { ino } = statSync(join(own(), 'tree', '.git'));
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(statSync(join(own(), 'tree', '.git')).ino).toBe(ino);
});

it('asks the forge for nothing when the work tree is at the revision, and cleans it all the same', () => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
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
  const { commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, 'added'), '');
  git(tree, 'add', 'added');
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
  expect(existsSync(join(tree, 'added'))).toBe(false);
});

it('fails, and does not pass off what is there, when the forge cannot be reached', () => {
  const { commit, checkOut, source } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const second = commit('file', 'two');
  rmSync(source, { recursive: true });
  expect(checkOut(second).status).not.toBe(0);
});

it('keeps what a step left when clean is off', () => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  writeFileSync(join(tree, 'cache'), '');
  checkOut(commit('file', 'two'), { clean: false });
  expect(existsSync(join(tree, 'cache'))).toBe(true);
});

it('clones again when its own clone is damaged', () => {
  const { commit, checkOut, tree, own } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  rmSync(join(own(), 'tree', '.git', 'objects'), { recursive: true });
  writeFileSync(join(own(), 'tree', '.git', 'objects'), 'not a directory');
  const result = checkOut(commit('file', 'two'));
  expect(result).toMatchObject({ status: 0, stdout: 'c3 clones again: the warm work tree cannot be used\n' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
});

it('fails for a revision that is not there', () => {
  const { commit, checkOut } = createCheckoutWorld();
  commit('file', 'one');
  expect(checkOut('1'.repeat(40)).status).not.toBe(0);
});

it('keeps the credential out of every repository and of the script', () => {
  const { commit, checkOut, tree, own } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const found = spawnSync('grep', ['-r', 'c2VjcmV0', tree, own()], { encoding: 'utf8' });
  expect(found.stdout).toBe('');
  expect(checkoutScript).not.toContain('c2VjcmV0');
});

it('gives the credential to steps of its container only, and to none when c3.yaml says so', () => {
  const env = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'a.b', GIT_CONFIG_VALUE_0: 'c' };
  const inGit = toStepGitEnvironment(access, defaultCheckout, { container: 'git', env: {} });
  expect(JSON.stringify(inGit)).toContain('c2VjcmV0');
  for (const [container, credential] of [
    ['main', true],
    ['git', false],
  ] as const) {
    const seen = toStepGitEnvironment(access, { ...defaultCheckout, credential }, { container, env });
    expect(seen).toEqual({
      GIT_CONFIG_COUNT: '3',
      GIT_CONFIG_KEY_1: 'safe.directory',
      GIT_CONFIG_VALUE_1: '*',
      GIT_CONFIG_KEY_2: 'advice.detachedHead',
      GIT_CONFIG_VALUE_2: 'false',
    });
  }
  expect(toStepGitEnvironment(access, false, { container: 'git', env })).toEqual({});
});

it.each([
  ['annotated', ['-a', '-m', 'v1']],
  ['lightweight', []],
])('names the %s tag for git describe', (kind, options) => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
  const sha = commit('file', 'one');
  git(source, 'tag', ...options, 'v1');
  expect(checkOut(sha, {}, { env: { C3_REF: 'refs/tags/v1' } })).toMatchObject({ status: 0, stderr: '' });
  expect(git(tree, 'describe', ...(kind === 'annotated' ? [] : ['--tags']))).toBe('v1');
});

it('checks out the pushed commit of a tag that has moved since', () => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
  const sha = commit('file', 'one');
  commit('file', 'two');
  git(source, 'tag', '-a', '-m', 'v1', 'v1');
  expect(checkOut(sha, {}, { env: { C3_REF: 'refs/tags/v1' } })).toMatchObject({ status: 0 });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
});

it('checks out a repository with SHA-256', () => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
  rmSync(join(source, '.git'), { recursive: true });
  git(source, 'init', '-q', '-b', 'main', '--object-format=sha256');
  checkOut(commit('file', 'one'));
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
  git(tree, 'fsck', '--strict');
});

it('follows a branch whose history was rewritten', () => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
  commit('file', 'one');
  checkOut(commit('file', 'two'), { depth: 1 });
  git(source, 'reset', '-q', '--hard', 'HEAD~1');
  expect(checkOut(commit('other', 'three'), { depth: 1 })).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
});

it('checks out submodules when asked, and again after they were changed', () => {
  const { root, commit, checkOut, tree, source } = createCheckoutWorld();
  const library = join(root, 'library');
  mkdirSync(library);
  git(library, 'init', '-q', '-b', 'main');
  writeFileSync(join(library, 'code'), 'v1');
  git(library, 'add', '-A');
  git(library, 'commit', '-q', '-m', 'v1');
  git(source, '-c', 'protocol.file.allow=always', 'submodule', 'add', '-q', `file://${library}`, 'library');
  const env = { GIT_ALLOW_PROTOCOL: 'file' };
  expect(checkOut(commit('file', 'one'), { submodules: true }, { env })).toMatchObject({ status: 0, stderr: '' });
  const planted = join(root, 'planted');
  writeFileSync(join(tree, 'library', 'code'), 'changed by a step');
  rmSync(join(tree, '.git', 'modules'), { recursive: true });
  rmSync(join(tree, 'library', '.git'));
  git(join(tree, 'library'), 'init', '-q');
  writeFileSync(join(tree, 'library', '.git', 'hooks', 'post-checkout'), `#!/bin/sh\ntouch ${planted}\n`, {
    mode: 0o755,
  });
  git(join(tree, 'library'), 'config', 'core.fsmonitor', `touch ${planted}`);
  const second = commit('file', 'two');
  expect(checkOut(second, { submodules: true }, { env })).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(tree, 'library', 'code'), 'utf8')).toBe('v1');
  expect(existsSync(planted)).toBe(false);
  expect(git(tree, 'submodule', 'status')).toMatch(/^ ?[0-9a-f]{40} library/);
  expect(git(join(tree, 'library'), 'rev-parse', '--absolute-git-dir')).toBe(join(tree, '.git', 'modules', 'library'));
});

it('says which submodule has no address in the commit', () => {
  const { commit, checkOut, source } = createCheckoutWorld();
  const first = commit('file', 'one');
  git(source, 'update-index', '--add', '--cacheinfo', `160000,${first},vendor/lib`);
  git(source, 'commit', '-q', '-m', 'a repository inside');
  const linked = git(source, 'rev-parse', 'HEAD');
  expect(checkOut(linked, { submodules: true })).toMatchObject({
    status: COMMIT_FAULT,
    stderr: 'c3: vendor/lib is a submodule, but the commit has no .gitmodules, which says where it is from\n',
  });
  expect(checkOut(linked)).toMatchObject({ status: 0, stderr: '' });
  expect(checkOut(first, { submodules: true })).toMatchObject({ status: 0, stderr: '' });
});

/** A git whose first fetches fail with these words, and a sleep that only notes its pauses. */
function createFaultyGit(root: string, faults: number, words: string): { path: string; pauses: () => string } {
  const bin = join(root, 'bin');
  mkdirSync(bin);
  const real = execFileSync('which', ['git'], { encoding: 'utf8' }).trim();
  const script = `#!/bin/sh
[ "$1" = fetch ] && [ "$(cat ${bin}/faults | wc -l)" -lt ${faults} ] && echo >> ${bin}/faults && {
  echo "${words}" >&2
  exit 128
}
exec ${real} "$@"
`;
  writeFileSync(join(bin, 'faults'), '');
  writeFileSync(join(bin, 'pauses'), '');
  writeFileSync(join(bin, 'git'), script, { mode: 0o755 });
  writeFileSync(join(bin, 'sleep'), `#!/bin/sh\nprintf '%s ' "$1" >> ${bin}/pauses\n`, { mode: 0o755 });
  return { path: `${bin}:${process.env['PATH']}`, pauses: () => readFileSync(join(bin, 'pauses'), 'utf8') };
}

describe('a fetch', () => {
  const ADDRESS = "fatal: unable to access 'https://forge.example/acme/shop.git/'";
  it.each([
    ['The requested URL returned error: 502', 3, 0, '1 2 4 '],
    ['Could not resolve host: forge.example', 3, 0, '1 2 4 '],
    ['Failed to connect to forge.example port 443: Connection refused', 6, 0, '1 2 4 8 15 30 '],
    ['Operation timed out after 300000 milliseconds', 7, 1, '1 2 4 8 15 30 '],
    ['The requested URL returned error: 403', 9, 1, ''],
    ['SSL certificate problem: unable to get local issuer certificate', 9, 1, ''],
  ])('that fails with "%s" %i times ends with %i after pauses of "%s"', (words, faults, status, pauses) => {
    const { root, commit, checkOut } = createCheckoutWorld();
    const faulty = createFaultyGit(root, faults, `${ADDRESS}: ${words}`);
    const result = checkOut(commit('file', 'one'), {}, { env: { PATH: faulty.path } });
    expect(result.status).toBe(status);
    expect(result.stderr).toContain(status === 0 ? '' : words);
    expect(faulty.pauses()).toBe(pauses);
  });
});

describe('git attributes', () => {
  it.each(['fetched', 'sent by c3'])('of a commit that is %s apply to files that have not changed', (how) => {
    const { commit, checkOut, askForDelta, tree, source } = createCheckoutWorld();
    mkdirSync(join(source, 'docs'));
    commit('docs/other.txt', 'two\n');
    let have = commit('file.txt', 'one\n');
    expect(checkOut(have).status).toBe(0);
    const read = (): string[] => ['file.txt', 'docs/other.txt'].map((name) => readFileSync(join(tree, name), 'utf8'));
    function goTo(want: string): void {
      const env = how === 'fetched' ? {} : askForDelta({ want, have });
      expect(checkOut(want, {}, { env })).toMatchObject({ status: 0, stdout: '', stderr: '' });
      have = want;
    }
    goTo(commit('.gitattributes', '*.txt text eol=crlf\n'));
    expect(read()).toEqual(['one\r\n', 'two\r\n']);
    goTo(commit('docs/.gitattributes', '*.txt -text\n'));
    expect(read()).toEqual(['one\r\n', 'two\n']);
    git(source, 'rm', '-q', '.gitattributes');
    goTo(commit('docs/more', 'more'));
    expect(read()).toEqual(['one\n', 'two\n']);
  });
});

it('gives the checkout no credential when c3 sends what the clone lacks', () => {
  const order = { sha: 'a'.repeat(40), shared: [] };
  expect(JSON.stringify(toCheckoutEnvironment(access, defaultCheckout, order))).toContain('c2VjcmV0');
  const env = toCheckoutEnvironment(access, defaultCheckout, { ...order, delta: { env: { C3_HAVE: 'b' } } });
  expect(JSON.stringify(env)).not.toContain('c2VjcmV0');
  expect(env).toMatchObject({ C3_HAVE: 'b', C3_CHECKOUT_PATH: '/c3/project' });
});
