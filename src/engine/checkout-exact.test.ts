import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHELLS, createCheckoutWorld, git, home, type CheckoutWorld } from '../../test/fakes/checkout-world.ts';

it('runs no hook and keeps no setting that an earlier build planted', () => {
  const { root, commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const planted = join(root, 'planted');
  writeFileSync(join(tree, '.git', 'hooks', 'post-checkout'), `#!/bin/sh\ntouch ${planted}\n`, { mode: 0o755 });
  git(tree, 'config', 'core.fsmonitor', `touch ${planted}`);
  git(tree, 'config', 'core.sshCommand', `touch ${planted}`);
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0 });
  expect(existsSync(planted)).toBe(false);
  expect(readFileSync(join(tree, '.git', 'config'), 'utf8')).not.toContain('planted');
});

it.each(['--assume-unchanged', '--skip-worktree'])('restores a file that a step changed and marked %s', (flag) => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  git(tree, 'update-index', flag, 'file');
  writeFileSync(join(tree, 'file'), 'changed by a step');
  expect(checkOut(commit('other', 'two'))).toMatchObject({ status: 0 });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
});

it('gives the steps a new .git when they have damaged it, without another clone', () => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  rmSync(join(tree, '.git', 'objects'), { recursive: true });
  writeFileSync(join(tree, '.git', 'objects'), 'not a directory');
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(git(tree, 'log', '--format=%s')).toBe('two\none');
});

it.each(SHELLS)('leaves exactly the files of the commit, whatever was there, with %s', (shell) => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
  mkdirSync(join(source, 'dir'));
  writeFileSync(join(source, 'dir', 'inner'), 'inner');
  writeFileSync(join(source, 'run'), 'run', { mode: 0o755 });
  symlinkSync('file', join(source, 'link'));
  const first = commit('file', 'one');
  expect(checkOut(first, {}, { shell })).toMatchObject({ status: 0, stderr: '' });
  chmodSync(join(tree, 'file'), 0o600);
  chmodSync(join(tree, 'run'), 0o4755);
  chmodSync(join(tree, 'dir'), 0o777);
  rmSync(join(tree, 'link'));
  writeFileSync(join(tree, 'link'), 'file');
  mkdirSync(join(tree, 'dir', '.git'));
  writeFileSync(join(tree, 'dir', '.git', 'config'), '[core]\n\tfsmonitor = false\n');
  mkdirSync(join(tree, 'nested'));
  git(join(tree, 'nested'), 'init', '-q');
  for (const sha of [first, commit('other', 'two')]) {
    expect(checkOut(sha, {}, { shell })).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const list = spawnSync('find', ['.', '-path', './.git', '-prune', '-o', '-printf', '%p %y %#m\n'], {
      cwd: tree,
      encoding: 'utf8',
    });
    expect(list.stdout.split('\n').filter(Boolean).sort()).toEqual(
      [
        `. d ${(0o40000 + (statSync(tree).mode % 0o10000)).toString(8).replace(/^4/, '')}`,
        './dir d 0755',
        './dir/inner f 0644',
        './file f 0644',
        './link l 0777',
        './run f 0755',
        ...(sha === first ? [] : ['./other f 0644']),
      ].sort(),
    );
    expect(git(tree, 'status', '--porcelain')).toBe('');
  }
});

it('brings back a directory that a step moved away and left a link to', () => {
  const { commit, checkOut, tree, source, root } = createCheckoutWorld();
  mkdirSync(join(source, 'tests'));
  writeFileSync(join(source, 'tests', 'all'), 'exit 1');
  const first = commit('file', 'one');
  checkOut(first);
  for (const sha of [first, commit('file', 'two')]) {
    renameSync(join(tree, 'tests'), join(root, `moved-${sha}`));
    symlinkSync(join(root, `moved-${sha}`), join(tree, 'tests'));
    expect(checkOut(sha)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(lstatSync(join(tree, 'tests')).isDirectory()).toBe(true);
    expect(readFileSync(join(tree, 'tests', 'all'), 'utf8')).toBe('exit 1');
  }
});

it('applies no attributes that a step left', () => {
  const { commit, checkOut, tree, source } = createCheckoutWorld();
  mkdirSync(join(source, 'dir'));
  writeFileSync(join(source, 'dir', 'other'), 'one\n');
  checkOut(commit('file.txt', 'one\n'));
  writeFileSync(join(tree, '.gitattributes'), '* text eol=crlf\n');
  writeFileSync(join(tree, 'dir', '.gitattributes'), '* text eol=crlf\n');
  writeFileSync(join(source, 'dir', 'other'), 'two\n');
  checkOut(commit('file.txt', 'two\n'));
  const read = (name: string): string => readFileSync(join(tree, name), 'utf8');
  expect([read('file.txt'), read('dir/other')]).toEqual(['two\n', 'two\n']);
});

it('writes a file anew whose stat data a step has put into an index, and reads no object of the work tree', () => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  const first = commit('file', 'one');
  checkOut(first);
  const blob = git(tree, 'rev-parse', 'HEAD:file');
  writeFileSync(join(tree, 'file'), 'two');
  git(tree, 'update-index', '--cacheinfo', `100644,${git(tree, 'hash-object', '-w', 'file')},file`);
  git(tree, 'replace', blob, git(tree, 'hash-object', 'file'));
  writeFileSync(join(tree, '.git', 'objects', 'info', 'alternates'), '/nowhere\n');
  writeFileSync(join(tree, '.git', 'info', 'grafts'), `${first}\n`);
  writeFileSync(join(tree, '.git', 'info', 'attributes'), '* filter=evil\n');
  expect(checkOut(first)).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one');
  expect(git(tree, 'replace', '--list')).toBe('');
  expect(git(tree, 'cat-file', '-p', 'HEAD:file')).toBe('one');
});

it('reads no setting of the container, and no variable that leads git elsewhere', () => {
  const { root, commit, checkOut, tree, source } = createCheckoutWorld();
  const planted = join(root, 'planted');
  const sha = commit('file', 'one\n');
  writeFileSync(
    join(home, '.gitconfig'),
    `[url "file:///nowhere"]\n\tinsteadOf = file://${source}\n[core]\n\tfsmonitor = touch ${planted}\n\tautocrlf = true\n`,
  );
  const env = { GIT_DIR: '/nowhere', GIT_INDEX_FILE: '/nowhere', GIT_OBJECT_DIRECTORY: '/nowhere' };
  const result = checkOut(sha, {}, { env });
  rmSync(join(home, '.gitconfig'));
  expect(result).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('one\n');
  expect(existsSync(planted)).toBe(false);
});

it.each(['symbolic link', 'file', 'symbolic link in place of a file', 'symbolic link in place of objects'])(
  'replaces a .git with a %s, and writes nothing where it leads',
  (kind) => {
    const { root, commit, checkOut, tree } = createCheckoutWorld();
    checkOut(commit('file', 'one'));
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere);
    const gitDirectory = join(tree, '.git');
    if (kind === 'symbolic link in place of a file') {
      rmSync(join(gitDirectory, 'config'));
      symlinkSync(join(elsewhere, 'config'), join(gitDirectory, 'config'));
    } else if (kind === 'symbolic link in place of objects') {
      rmSync(join(gitDirectory, 'objects'), { recursive: true });
      symlinkSync(elsewhere, join(gitDirectory, 'objects'));
    } else {
      rmSync(gitDirectory, { recursive: true });
      if (kind === 'file') writeFileSync(gitDirectory, `gitdir: ${elsewhere}\n`);
      else symlinkSync(elsewhere, gitDirectory);
    }
    expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
    expect(lstatSync(gitDirectory).isDirectory()).toBe(true);
    expect(git(tree, 'log', '-1', '--format=%s')).toBe('two');
    expect(globSync(join(elsewhere, '*'))).toEqual([]);
  },
);

it('gives the steps a .git like that of a clone: branch, remote branch, history, hooks and info', () => {
  const { commit, checkOut, tree } = createCheckoutWorld();
  for (const text of ['one', 'two', 'three']) commit('file', text);
  expect(checkOut(commit('file', 'four'), { depth: 2 })).toMatchObject({ status: 0 });
  writeFileSync(join(tree, '.git', 'hooks', 'pre-commit'), 'exit 1', { mode: 0o755 });
  rmSync(join(tree, '.git', 'info'), { recursive: true });
  git(tree, 'branch', 'left-over');
  expect(checkOut(commit('file', 'five'), { depth: 2 })).toMatchObject({ status: 0, stderr: '' });
  expect(git(tree, 'log', '--format=%s')).toBe('five\nfour');
  expect(git(tree, 'for-each-ref', '--format=%(refname)')).toBe('refs/heads/main\nrefs/remotes/origin/main');
  expect(git(tree, 'branch', '--show-current')).toBe('main');
  expect(git(tree, 'status', '--porcelain')).toBe('');
  expect(globSync(join(tree, '.git', 'hooks', '*'))).toEqual([]);
  expect(lstatSync(join(tree, '.git', 'info')).isDirectory()).toBe(true);
  git(tree, 'fsck', '--strict');
});

it('clones for each build where nothing else is writable, unless another container reaches that directory', () => {
  const { root, commit, checkOut, tree, own } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const name = basename(own());
  const places = [join(root, 'tmp'), '/tmp', '/var/tmp', home].map((place) => join(place, name));
  for (const place of places) {
    rmSync(place, { recursive: true, force: true });
    writeFileSync(place, 'no directory can be made here');
  }
  try {
    writeFileSync(join(tree, 'left-over'), '');
    const env = { C3_SHARED_MOUNTS: '' };
    expect(checkOut(commit('file', 'two'), {}, { env })).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
    expect(existsSync(join(tree, 'left-over'))).toBe(false);
    expect(checkOut(commit('file', 'three'))).toMatchObject({
      status: 76,
      stderr: expect.stringContaining('mount an emptyDir at /tmp in this container alone'),
    });
  } finally {
    for (const place of places) rmSync(place);
  }
});

it('does not use a directory that another user made in place of its own', () => {
  const { root, commit, checkOut, own, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const elsewhere = join(root, 'elsewhere');
  const path = own();
  rmSync(path, { recursive: true });
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, path);
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
  expect(globSync(join(elsewhere, '*'))).toEqual([]);
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
});

it('empties the directory of a submodule that steps checked out', () => {
  const { root, commit, checkOut, tree, source } = createCheckoutWorld();
  git(source, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},library`);
  writeFileSync(join(source, 'file'), 'one');
  git(source, 'add', 'file');
  git(source, 'commit', '-q', '-m', 'one');
  const first = git(source, 'rev-parse', 'HEAD');
  mkdirSync(join(source, 'library'));
  checkOut(first);
  writeFileSync(join(tree, 'library', 'code'), 'left by a step');
  expect(checkOut(first)).toMatchObject({ status: 0, stderr: '' });
  expect(globSync(join(tree, 'library', '*'))).toEqual([]);
  expect(lstatSync(join(tree, 'library')).isDirectory()).toBe(true);
  rmSync(join(tree, 'library'), { recursive: true });
  const elsewhere = join(root, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'precious'), '');
  symlinkSync(elsewhere, join(tree, 'library'));
  expect(checkOut(first)).toMatchObject({ status: 0, stderr: '' });
  expect(existsSync(join(elsewhere, 'precious'))).toBe(true);
  expect(lstatSync(join(tree, 'library')).isDirectory()).toBe(true);
  expect(commit('x', 'x')).not.toBe('');
});

it('removes objects and names that a step added to the .git of the steps, and follows no link there', () => {
  const { root, commit, checkOut, tree } = createCheckoutWorld();
  checkOut(commit('file', 'one'));
  const objects = join(tree, '.git', 'objects');
  writeFileSync(join(tree, 'file'), 'evil');
  const added = git(tree, 'hash-object', '-w', 'file');
  writeFileSync(join(objects, 'pack', 'pack-1.pack'), '');
  expect(checkOut(commit('file', 'two'))).toMatchObject({ status: 0, stderr: '' });
  expect(existsSync(join(objects, added.slice(0, 2), added.slice(2)))).toBe(false);
  expect(existsSync(join(objects, 'pack', 'pack-1.pack'))).toBe(false);
  const elsewhere = join(root, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'precious'), '');
  rmSync(join(objects, 'ab'), { recursive: true });
  symlinkSync(elsewhere, join(objects, 'ab'));
  symlinkSync(elsewhere, join(tree, '.git', 'refs', 'remotes'));
  expect(checkOut(commit('file', 'three'))).toMatchObject({ status: 0, stderr: '' });
  expect(existsSync(join(elsewhere, 'precious'))).toBe(true);
  git(tree, 'fsck', '--strict');
});

describe.skipIf(process.getuid?.() !== 0)('in a container that does not run as root', () => {
  const uid = 1000;

  /** Returns a world that belongs to the user, with one commit checked out and another one to come. */
  function createUserWorld(): CheckoutWorld & { second: string } {
    const world = createCheckoutWorld();
    const first = world.commit('file', 'one');
    const second = world.commit('file', 'two');
    chmodSync(home, 0o755);
    execFileSync('chown', ['-R', `${uid}:${uid}`, world.root]);
    expect(world.checkOut(first, {}, { uid })).toMatchObject({ status: 0, stderr: '' });
    return { ...world, second };
  }

  it('removes directories without write permission, such as a module cache', () => {
    const { tree, checkOut, second } = createUserWorld();
    const cache = join(tree, 'cache', 'module');
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'code'), '', { mode: 0o444 });
    execFileSync('chown', ['-R', `${uid}:${uid}`, join(tree, 'cache')]);
    for (const directory of [cache, join(tree, 'cache')]) chmodSync(directory, 0o555);
    expect(checkOut(second, {}, { uid })).toMatchObject({ status: 0, stdout: '' });
    expect(existsSync(join(tree, 'cache'))).toBe(false);
    expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
  });

  it('names the files of another user that it cannot remove', () => {
    const { tree, checkOut, second } = createUserWorld();
    mkdirSync(join(tree, 'node_modules', 'left'), { recursive: true });
    writeFileSync(join(tree, 'node_modules', 'left', 'index.js'), '');
    const { status, stderr } = checkOut(second, {}, { uid });
    expect(status).toBe(1);
    expect(stderr.trim().split('\n').at(-1)).toBe(
      `c3: user 1000 of this container cannot remove ${tree}/node_modules, which another user left there: let the container run as that user or as root`,
    );
  });

  it('writes files of another user anew when it may', () => {
    const { tree, checkOut, second } = createUserWorld();
    execFileSync('chown', ['root:root', join(tree, 'file')]);
    chmodSync(join(tree, 'file'), 0o600);
    expect(checkOut(second, {}, { uid })).toMatchObject({ status: 0, stderr: '' });
    expect(statSync(join(tree, 'file'))).toMatchObject({ uid, mode: 0o100644 });
  });
});

it.each(SHELLS)('removes what git does not see beside git in a large tree, with %s', (shell) => {
  const { commit, checkOut, tree, source, own } = createCheckoutWorld();
  mkdirSync(join(source, 'dir'));
  writeFileSync(join(source, 'dir', 'inner'), 'inner');
  expect(checkOut(commit('file', 'one'), {}, { shell })).toMatchObject({ status: 0, stderr: '' });
  writeFileSync(join(own(), 'large'), 'yes');
  for (const path of ['dir/.git', 'left/.git', 'left/deep']) mkdirSync(join(tree, path), { recursive: true });
  writeFileSync(join(tree, 'dir', '.git', 'HEAD'), 'ref: refs/heads/main\n');
  chmodSync(join(tree, 'dir'), 0o777);
  expect(checkOut(commit('file', 'two'), {}, { shell })).toMatchObject({ status: 0, stderr: '' });
  expect(globSync('**', { cwd: tree }).toSorted()).toEqual(['.', 'dir', 'dir/inner', 'file']);
  expect(statSync(join(tree, 'dir')).mode & 0o7777).toBe(0o755);
  expect(existsSync(join(tree, 'dir', '.git'))).toBe(false);
});
