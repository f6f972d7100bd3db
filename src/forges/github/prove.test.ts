import { describe, expect, it } from 'vitest';
import type { BuildTarget } from '../../build/index.ts';
import type { Proof } from '../forge.ts';
import type { HttpAnswer } from '../http-client.ts';
import type { GithubApi } from './api.ts';
import { prove } from './prove.ts';

/** What is concluded from each answer a forge may give, odd ones too. How a forge comes to them is in github.test.ts. */
const HEAD = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);
const SCOPE = 'github.com/acme/shop';

interface Canned {
  readonly status: number;
  readonly body: unknown;
}

/** By path, the last one again and again; what has none is answered 404. */
type Answers = Readonly<Record<string, Canned | readonly Canned[]>>;

const ok = (body: unknown): Canned => ({ status: 200, body });
const failed = (status: number): Canned => ({ status, body: { message: 'no' } });

const REPOSITORY = ok({ full_name: 'Acme/Shop', permissions: { push: true } });
const MAIN = ok({ name: 'main', commit: { sha: HEAD }, protected: false });

interface Asked {
  readonly proof: Proof;
  readonly paths: readonly string[];
}

async function ask(answers: Answers, pushed: Partial<BuildTarget> = {}): Promise<Asked> {
  const paths: string[] = [];
  const api: GithubApi = {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    get(path) {
      const known: Answers = { '': REPOSITORY, '/branches/main': MAIN, ...answers };
      const turns = [known[path] ?? []].flat();
      const { status, body } = turns[paths.filter((asked) => asked === path).length] ?? turns.at(-1) ?? failed(404);
      paths.push(path);
      const bytes = Buffer.from(JSON.stringify(body));
      return Promise.resolve<HttpAnswer>({ status, mediaType: 'application/json', body: bytes, isCut: false });
    },
    send: () => Promise.reject(new Error('a proof only reads')),
  };
  const target: BuildTarget = { ref: { kind: 'branch', name: 'main' }, sha: HEAD, ...pushed };
  return { proof: await prove(api, target, { signal: AbortSignal.timeout(10_000), lagMs: 0 }), paths };
}

const TAG = { ref: { kind: 'tag', name: 'v1' } } as const;
const pointAt = (sha: unknown, type: unknown): Canned => ok({ ref: 'refs/tags/v1', object: { sha, type } });

describe('the right to push', () => {
  it.each([301, 307, 308])('is refused for a repository that answers %d, which has moved', async (status) => {
    const { proof } = await ask({ '': failed(status) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `${SCOPE} was renamed or moved; seal the token for its new name`,
    });
  });

  it.each([302, 304, 403, 404, 204])('is refused for a repository that answers %d, in its words', async (status) => {
    const { proof } = await ask({ '': { ...failed(status), body: { ...(REPOSITORY.body as object), message: 'no' } } });
    expect(proof).toEqual({
      kind: 'refused',
      message: `the token sealed in the hook key cannot see ${SCOPE}: the forge answers ${status} "no"`,
    });
  });

  it.each([
    ['no name', { permissions: { push: true } }],
    ['a name that is a number', { full_name: 7, permissions: { push: true } }],
    ['the name of another owner', { full_name: 'evil/shop', permissions: { push: true } }],
    ['the name of another repository', { full_name: 'acme/shop2', permissions: { push: true } }],
  ])('is refused for a repository with %s', async (_, body) => {
    const { proof } = await ask({ '': ok(body) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `${SCOPE} was renamed or moved; seal the token for its new name`,
    });
  });

  it.each([
    ['none are told', undefined],
    ['it may not', { push: false }],
    ['it may only pull', { pull: true }],
    ['it is a word', { push: 'true' }],
    ['it is another right', { admin: true }],
  ])('is refused where %s', async (_, permissions) => {
    const { proof } = await ask({ '': ok({ full_name: 'acme/shop', permissions }) });
    expect(proof).toEqual({ kind: 'refused', message: `the token sealed in the hook key may not push to ${SCOPE}` });
  });

  it('is what a refusal names, when the commit cannot be proven either', async () => {
    const { proof } = await ask({ '': failed(403), '/branches/main': failed(404) });
    expect(proof).toMatchObject({ message: expect.stringContaining('cannot see') as string });
  });
});

describe('a branch', () => {
  it('proves its head by two questions', async () => {
    const { proof, paths } = await ask({});
    expect(proof).toEqual({ kind: 'proven', trust: 'other' });
    expect(paths.toSorted()).toEqual(['', '/branches/main']);
  });

  it.each([
    [true, true],
    ['true', false],
    [undefined, false],
  ])('is protected when the forge says true: %j', async (isProtected, expected) => {
    const branch = ok({ name: 'main', commit: { sha: HEAD }, protected: isProtected });
    expect((await ask({ '/branches/main': branch })).proof).toEqual({
      kind: 'proven',
      trust: expected ? 'protected' : 'other',
    });
  });

  it.each(['behind', 'identical'])('proves a commit that is %s', async (status) => {
    const { proof } = await ask({ [`/compare/${HEAD}...${OTHER}`]: ok({ status }) }, { sha: OTHER });
    expect(proof).toEqual({ kind: 'proven', trust: 'other' });
  });

  it.each([
    ['ahead of it', ok({ status: 'ahead' })],
    ['of another history', ok({ status: 'diverged' })],
    ['of a state that is not told', ok({})],
    ['not told at all', ok(null)],
    ['behind it, in an answer that is not 200', { status: 404, body: { status: 'behind' } }],
  ])('does not prove a commit that is %s, and asks twice', async (_, answer) => {
    const path = `/compare/${HEAD}...${OTHER}`;
    const { proof, paths } = await ask({ [path]: answer }, { sha: OTHER });
    expect(proof).toEqual({ kind: 'refused', message: 'commit bbbbbbbbbbbb is not reachable from refs/heads/main' });
    expect(paths.filter((asked) => asked === path)).toHaveLength(2);
  });

  it.each([
    ['404', failed(404)],
    ['301', failed(301)],
    ['another name', ok({ name: 'trunk', commit: { sha: HEAD } })],
    ['no name', ok({ commit: { sha: HEAD } })],
    ['no commit', ok({ name: 'main' })],
    ['a commit that is a number', ok({ name: 'main', commit: { sha: 7 } })],
    ['nothing', ok(null)],
  ])('does not exist any more when the forge answers %s', async (_, answer) => {
    const { proof } = await ask({ '/branches/main': answer });
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/heads/main does not exist any more' });
  });

  it.each([302, 403])('is not shown when the forge answers %d, though a head is in it', async (status) => {
    const { proof } = await ask({ '/branches/main': { status, body: { ...(MAIN.body as object), message: 'no' } } });
    expect(proof).toEqual({
      kind: 'refused',
      message: `the forge does not show ref refs/heads/main: the forge answers ${status} "no"`,
    });
  });

  it('that the forge knows at the second question is proven', async () => {
    const { proof } = await ask({ '/branches/main': [failed(404), MAIN] });
    expect(proof).toEqual({ kind: 'proven', trust: 'other' });
  });
});

describe('a tag', () => {
  it('proves the commit it points at, is never protected, and is not asked for as a branch', async () => {
    const { proof, paths } = await ask({ '/git/ref/tags/v1': pointAt(HEAD, 'commit') }, TAG);
    expect(proof).toEqual({ kind: 'proven', trust: 'other' });
    expect(paths.toSorted()).toEqual(['', '/git/ref/tags/v1']);
  });

  it('is followed through four tags, and no further', async () => {
    const chain = {
      '/git/ref/tags/v1': pointAt('1', 'tag'),
      '/git/tags/1': pointAt('2', 'tag'),
      '/git/tags/2': pointAt('3', 'tag'),
      '/git/tags/3': pointAt('4', 'tag'),
    };
    const four = { ...chain, '/git/tags/4': pointAt(HEAD, 'commit') };
    expect((await ask(four, TAG)).proof).toEqual({ kind: 'proven', trust: 'other' });
    const five = { ...chain, '/git/tags/4': pointAt('5', 'tag'), '/git/tags/5': pointAt(HEAD, 'commit') };
    const { proof, paths } = await ask(five, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 points at a tag of a tag of a tag' });
    expect(paths).not.toContain('/git/tags/5');
  });

  it.each([
    ['a tree', pointAt(HEAD, 'tree')],
    ['a commit without an id', pointAt(undefined, 'commit')],
    ['a tag without an id', pointAt(7, 'tag')],
    ['nothing', ok({ ref: 'refs/tags/v1' })],
  ])('that points at %s proves nothing', async (_, answer) => {
    const { proof } = await ask({ '/git/ref/tags/v1': answer }, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 does not point at a commit' });
  });

  it.each([
    ['another tag', 'refs/tags/v10'],
    ['a branch of its name', 'refs/heads/v1'],
    ['no ref', undefined],
  ])('does not exist any more when the forge answers %s', async (_, ref) => {
    const { proof } = await ask({ '/git/ref/tags/v1': ok({ ref, object: { sha: HEAD, type: 'commit' } }) }, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 does not exist any more' });
  });

  it.each([
    ['does not exist any more', failed(404), 'ref refs/tags/v1 does not exist any more'],
    ['is not shown', failed(403), 'the forge does not show ref refs/tags/v1: the forge answers 403 "no"'],
  ])('that %s proves nothing', async (_, answer, message) => {
    const { proof } = await ask(
      { '/git/ref/tags/v1': { ...answer, body: { ...(pointAt(HEAD, 'commit').body as object), message: 'no' } } },
      TAG,
    );
    expect(proof).toEqual({ kind: 'refused', message });
  });
});

it('a proof that is no longer wanted ends while it waits to ask again', async () => {
  const abort = new AbortController();
  const api: GithubApi = {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    get(path) {
      if (path !== '') queueMicrotask(() => abort.abort());
      return Promise.resolve({ status: 404, mediaType: '', body: Buffer.alloc(0), isCut: false });
    },
    send: () => Promise.reject(new Error('a proof only reads')),
  };
  const target = { ref: { kind: 'branch', name: 'main' }, sha: HEAD } as const;
  await expect(prove(api, target, { signal: abort.signal, lagMs: 60_000 })).rejects.toThrow(/abort/i);
});
