import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { toTestGitEnvironment } from '../../test/fakes/git-environment.ts';
import type { Repository } from '../forges/forge.ts';
import type { FetchOrder } from '../git/index.ts';
import { parseScope } from '../sealing/index.ts';
import { createClones, toDelta, type ClonePlace } from './delta.ts';

const root = mkdtempSync(join(tmpdir(), 'c3-delta-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const env = toTestGitEnvironment(root);

function git(args: readonly string[], input = ''): Buffer {
  return execFileSync('git', args, { cwd: root, env, input, stdio: 'pipe' });
}
git(['init', '-q', '-b', 'main']);

function commit(content: string | Buffer): string {
  writeFileSync(join(root, 'file'), content);
  git(['add', '-A']);
  git(['commit', '-q', '-m', 'text']);
  return git(['rev-parse', 'HEAD']).toString().trim();
}

function pack(want: string, have: string): Buffer {
  return git(['pack-objects', '--revs', '--stdout', '-q'], `${want}\n^${have}\n`);
}

const first = commit('one');
const second = commit('two');
const third = commit('three');

function place(part: Partial<ClonePlace> & { isWarm?: boolean } = {}): ClonePlace {
  const { isWarm = true, ...rest } = part;
  return {
    workspace: { key: 'pod', isWarm },
    owner: 'protected refs/heads/main',
    container: 'git',
    path: '/c3/project',
    ...rest,
  };
}

function createRepository(): { repository: Repository; orders: FetchOrder[] } {
  const orders: FetchOrder[] = [];
  const fetchPack: Repository['fetchPack'] = (order) => {
    orders.push(order);
    return Promise.resolve(pack(order.want, order.have));
  };
  return { repository: { fetchPack } as Repository, orders };
}

const signal = new AbortController().signal;
const scope = parseScope('f.example/a/b');
const build = (sha: string, name = 'main') => ({
  scope,
  sha,
  before: undefined,
  ref: { kind: 'branch', name } as const,
});

it('asks the forge before the workspace is known, for what its last build of the ref had', async () => {
  const clones = createClones();
  const { repository, orders } = createRepository();
  const before = clones.begin(build(first), repository, signal);
  expect(await before.take(place())).toBeUndefined();
  before.note(place());
  const update = clones.begin(build(second), repository, signal);
  expect(orders).toEqual([{ want: second, have: first, isShallow: true }]);
  const delta = await update.take(place());
  expect(delta?.env).toMatchObject({ C3_HAVE: first, C3_PIECES: '3', C3_EDGES: '', C3_HAS_LINKS: 'no' });
  expect(orders).toHaveLength(1);
});

it('asks again when the workspace has another commit, and not at all when it has the commit', async () => {
  const clones = createClones();
  const { repository, orders } = createRepository();
  const silent = {} as Repository;
  clones.begin(build(second), silent, signal).note(place());
  clones.begin(build(first), silent, signal).note(place({ workspace: { key: 'other', isWarm: true } }));
  const update = clones.begin(build(third), repository, signal);
  expect((await update.take(place()))?.env).toMatchObject({ C3_HAVE: second });
  expect(orders.map(({ have }) => have)).toEqual([first, second]);
  const same = clones.begin(build(second), repository, signal);
  expect((await same.take(place()))?.env).toEqual({
    C3_HAVE: second,
    C3_HAS_LINKS: 'no',
    C3_HAS_ATTRIBUTES: 'no',
    C3_EDGES: '',
    C3_PIECES: '0',
  });
});

it('guesses the shared workspace of branches, and nothing for a tag', () => {
  const clones = createClones();
  const { repository, orders } = createRepository();
  clones.begin(build(first, 'feature'), repository, signal).note(place({ owner: 'branches' }));
  clones.begin({ ...build(second), ref: { kind: 'tag', name: 'v1' } }, repository, signal);
  expect(orders).toEqual([]);
  clones.begin(build(second, 'another'), repository, signal);
  expect(orders.map(({ have }) => have)).toEqual([first]);
});

it('sends nothing into a new workspace', async () => {
  const clones = createClones();
  const { repository } = createRepository();
  clones.begin(build(first), repository, signal).note(place());
  expect(await clones.begin(build(second), repository, signal).take(place({ isWarm: false }))).toBeUndefined();
});

it('guesses the commit before the push in a warm workspace that it does not know', async () => {
  const { repository, orders } = createRepository();
  const update = createClones().begin({ ...build(second), before: first }, repository, signal);
  expect((await update.take(place()))?.env).toMatchObject({ C3_HAVE: first });
  expect(orders).toHaveLength(1);
});

it.each([
  ['fails', () => Promise.reject(new Error('no'))],
  ['refuses', () => Promise.resolve(undefined)],
  ['sends no pack', () => Promise.resolve(Buffer.from('PACK'))],
  ['sends another commit', () => Promise.resolve(pack(second, first))],
])('leaves the fetch to the container when the forge %s', async (_, fetchPack) => {
  const clones = createClones();
  const repository = { fetchPack } as Partial<Repository> as Repository;
  clones.begin(build(first), repository, signal).note(place());
  expect(await clones.begin(build(third), repository, signal).take(place())).toBeUndefined();
});

it('leaves the fetch to the container for large objects, and where the forge has no such protocol', async () => {
  const large = commit(randomBytes(250_000));
  expect(toDelta(pack(large, third), { want: large, have: third })).toBeUndefined();
  const clones = createClones();
  const repository = {} as Repository;
  clones.begin(build(first), repository, signal).note(place());
  expect(await clones.begin(build(second), repository, signal).take(place())).toBeUndefined();
});
