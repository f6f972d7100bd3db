import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createCheckoutWorld, git, gitEnv, SHELLS } from '../../test/fakes/checkout-world.ts';
import { NEEDS_FETCH } from './checkout.ts';
import { formatForPrintf } from './delta.ts';

it.each(SHELLS)('writes bytes of every value with printf of %s', (shell) => {
  const bytes = Buffer.from([45, 45, 118, ...Array(256).keys(), 0, 0x30, 0, 0x38, 7, 0x37, 37, 92, 39]);
  const [program = '', ...args] = shell === 'busybox' ? ['busybox', 'sh'] : [shell];
  const env = { ...gitEnv, BYTES: formatForPrintf(bytes), LC_ALL: 'C.UTF-8' };
  expect(spawnSync(program, [...args, '-c', 'printf "$BYTES"'], { env }).stdout).toEqual(bytes);
});

it.each(SHELLS.flatMap((shell) => (['sha1', 'sha256'] as const).map((format) => [shell, format] as const)))(
  'needs no forge for a commit that c3 sends, with %s and %s',
  (shell, format) => {
    const { askForDelta, commit, checkOut, tree, source } = createCheckoutWorld();
    rmSync(join(source, '.git'), { recursive: true });
    git(source, 'init', '-q', '-b', 'main', `--object-format=${format}`);
    mkdirSync(join(source, 'dir'));
    writeFileSync(join(source, 'dir', 'inner'), 'inner');
    const have = commit('file', 'one');
    checkOut(have, {}, { shell });
    writeFileSync(join(tree, 'file'), 'changed by a step');
    // Larger than one variable.
    writeFileSync(join(source, 'large'), randomBytes(100_000));
    const want = commit('file', 'two');
    const delta = askForDelta({ want, have });
    const moved = `${source}-moved`;
    renameSync(source, moved);
    expect(checkOut(want, {}, { env: delta, shell })).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
    expect(git(tree, 'log', '--format=%s')).toBe('two\none');
    expect(git(tree, 'status', '--porcelain')).toBe('');
    git(tree, 'fsck', '--strict');
  },
);

it('says that it must fetch when the clone is not where c3 believes, or lacks an object, and then fetches', () => {
  const { askForDelta, commit, checkOut, tree } = createCheckoutWorld();
  const first = commit('file', 'one');
  const second = commit('file', 'two');
  const third = commit('other', 'three');
  checkOut(first);
  const wrong = checkOut(third, {}, { env: askForDelta({ want: third, have: second }) });
  expect(wrong).toMatchObject({
    status: NEEDS_FETCH,
    stdout: 'c3 fetches in the container: its clone is not as expected\n',
  });
  const lie = { ...askForDelta({ want: third, have: second }), C3_HAVE: first };
  expect(checkOut(third, {}, { env: lie })).toMatchObject({ status: NEEDS_FETCH });
  expect(checkOut(third)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('two');
  git(tree, 'fsck', '--strict');
});

it('says that it must fetch when the clone lacks the history of a merge', () => {
  const { askForDelta, commit, checkOut, source, tree } = createCheckoutWorld();
  commit('file', 'zero');
  const first = commit('file', 'one');
  const have = commit('file', 'two');
  git(source, 'checkout', '-q', '-b', 'side', first);
  commit('side', 'side');
  git(source, 'checkout', '-q', 'main');
  git(source, 'merge', '-q', '--no-ff', '-m', 'merged', 'side');
  const want = git(source, 'rev-parse', 'HEAD');
  checkOut(have, { depth: 1 });
  const delta = askForDelta({ want, have, isShallow: false });
  expect(delta['C3_EDGES']).toBe(first);
  expect(checkOut(want, { depth: 1 }, { env: delta })).toMatchObject({ status: NEEDS_FETCH });
  expect(checkOut(have)).toMatchObject({ status: 0 });
  expect(checkOut(want, {}, { env: askForDelta({ want, have }) })).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(tree, 'side'), 'utf8')).toBe('side');
});

it('starts four processes for a small commit in a warm Pod, and no other', () => {
  const { askForDelta, root, commit, checkOut } = createCheckoutWorld();
  const have = commit('file', 'one');
  checkOut(have);
  const want = commit('file', 'two');
  // Each program that the shell starts writes its name. `find` takes the place of the shell itself.
  const bin = join(root, 'bin');
  const list = join(root, 'list');
  mkdirSync(bin);
  for (const program of ['git', 'cp', 'find', 'mkdir', 'rm', 'cat', 'sed', 'chmod', 'id', 'mv', 'ls', 'dd', 'sleep']) {
    const real = spawnSync('which', [program], { encoding: 'utf8' }).stdout.trim();
    writeFileSync(join(bin, program), `#!/bin/sh\necho "${program} $1" >> ${list}\nexec ${real} "$@"\n`, {
      mode: 0o755,
    });
  }
  const env = { ...askForDelta({ want, have }), PATH: `${bin}:${process.env['PATH']}` };
  expect(checkOut(want, {}, { env })).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(readFileSync(list, 'utf8').trim().split('\n')).toEqual([
    'git clean',
    'git checkout',
    expect.stringMatching(/^cp /),
    'find .',
  ]);
});
