import { describe, expect, it } from 'vitest';
import type { BuildTarget } from '../../build/index.ts';
import type { Proof } from '../forge.ts';
import type { HttpResponse } from '../http-client.ts';
import type { RestApi } from '../rest-api.ts';
import { proofCalls } from './prove.ts';
import { deadline } from '../../../test/time-limits.ts';

/** Unusual responses of a forge. github.test.ts tests `prove` against a forge. */
const HEAD = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);
const SCOPE = 'github.com/acme/shop';

interface Canned {
  readonly status: number;
  readonly body: unknown;
}

/** Responses by path. The last one of a path repeats. Any other path gets 404. */
type Responses = Readonly<Record<string, Canned | readonly Canned[]>>;

const ok = (body: unknown): Canned => ({ status: 200, body });
const failed = (status: number): Canned => ({ status, body: { message: 'no' } });

const REPOSITORY = ok({ full_name: 'Acme/Shop', permissions: { push: true }, default_branch: 'trunk' });
const MAIN = ok({ name: 'main', commit: { sha: HEAD }, protected: false });

interface Result {
  readonly proof: Proof;
  readonly paths: readonly string[];
}

/** Makes an entry of the log of pushes. */
function toEntry(changes: object): object {
  return { ref: 'refs/heads/main', timestamp: new Date().toISOString(), activity_type: 'push', ...changes };
}

async function proveWith(answers: Responses, pushed: Partial<BuildTarget> = {}): Promise<Result> {
  const paths: string[] = [];
  const api: RestApi = {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    get(path) {
      const known: Responses = { '': REPOSITORY, '/branches/main': MAIN, ...answers };
      const list = [known[path] ?? []].flat();
      const { status, body } = list[paths.filter((other) => other === path).length] ?? list.at(-1) ?? failed(404);
      paths.push(path);
      const bytes = Buffer.from(JSON.stringify(body));
      return Promise.resolve<HttpResponse>({ status, mediaType: 'application/json', body: bytes, isCut: false });
    },
    send: () => Promise.reject(new Error('a proof only reads')),
  };
  const target: BuildTarget = { ref: { kind: 'branch', name: 'main' }, sha: HEAD, ...pushed };
  return { proof: await proofCalls.prove(api, target, { signal: deadline(), lagPausesMs: [0] }), paths };
}

const TAG = { ref: { kind: 'tag', name: 'v1' } } as const;
const pointAt = (sha: unknown, type: unknown): Canned => ok({ ref: 'refs/tags/v1', object: { sha, type } });

describe('the right to push', () => {
  it.each([301, 307, 308])('is refused for a repository that moved (%d)', async (status) => {
    const { proof } = await proveWith({ '': failed(status) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `${SCOPE} was renamed or moved; seal the token for its new name`,
    });
  });

  it.each([302, 304, 403, 404, 204])(
    'is refused, with the message of the forge, for a repository that answers %d',
    async (status) => {
      const { proof } = await proveWith({
        '': { ...failed(status), body: { ...(REPOSITORY.body as object), message: 'no' } },
      });
      expect(proof).toEqual({
        kind: 'refused',
        message: `the token cannot see ${SCOPE}: the forge answers ${status} "no"`,
      });
    },
  );

  it.each([
    ['no name', { permissions: { push: true } }],
    ['a name that is a number', { full_name: 7, permissions: { push: true } }],
    ['the name of another owner', { full_name: 'evil/shop', permissions: { push: true } }],
    ['the name of another repository', { full_name: 'acme/shop2', permissions: { push: true } }],
  ])('is refused for a repository with %s', async (_, body) => {
    const { proof } = await proveWith({ '': ok(body) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `${SCOPE} was renamed or moved; seal the token for its new name`,
    });
  });

  it.each([
    ['the response has no rights', undefined],
    ['the right is false', { push: false }],
    ['only pull is true', { pull: true }],
    ['the right is a string', { push: 'true' }],
    ['only another right is true', { admin: true }],
  ])('is refused if %s', async (_, permissions) => {
    const { proof } = await proveWith({ '': ok({ full_name: 'acme/shop', permissions }) });
    expect(proof).toEqual({ kind: 'refused', message: `the token may not push to ${SCOPE}` });
  });

  it('is the reason for a refusal if the commit is not proven either', async () => {
    const { proof } = await proveWith({ '': failed(403), '/branches/main': failed(404) });
    expect(proof).toMatchObject({ message: expect.stringContaining('cannot see') as string });
  });
});

describe('a branch', () => {
  it('proves its head with two requests', async () => {
    const { proof, paths } = await proveWith({});
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
    expect(paths.toSorted()).toEqual(['', '/branches/main']);
  });

  it.each([
    [true, true],
    ['true', false],
    [undefined, false],
  ])('is protected only if the forge says true: %j', async (isProtected, expected) => {
    const branch = ok({ name: 'main', commit: { sha: HEAD }, protected: isProtected });
    expect((await proveWith({ '/branches/main': branch })).proof).toEqual({
      kind: 'proven',
      trust: expected ? 'protected' : 'other',
      isHead: true,
    });
  });

  it('is protected if it is the default branch', async () => {
    const repository = ok({ ...(REPOSITORY.body as object), default_branch: 'main' });
    expect((await proveWith({ '': repository })).proof).toEqual({ kind: 'proven', trust: 'protected', isHead: true });
    const tag = {
      '': repository,
      '/git/ref/tags/main': ok({ ref: 'refs/tags/main', object: { sha: HEAD, type: 'commit' } }),
    };
    const { proof } = await proveWith(tag, { ref: { kind: 'tag', name: 'main' } });
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
  });

  it('proves an older head by the log of pushes', async () => {
    const log = ok([
      toEntry({ before: OTHER, after: HEAD }),
      toEntry({ before: '0'.repeat(40), after: OTHER, activity_type: 'branch_creation' }),
    ]);
    const { proof, paths } = await proveWith({ '/activity': log }, { sha: OTHER });
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: false });
    expect(paths.toSorted()).toEqual(['', '/activity', '/branches/main']);
  });

  it.each([
    ['is the head of another branch only', ok([toEntry({ ref: 'refs/heads/dev', after: OTHER })])],
    ['is the head of a tag of this name only', ok([toEntry({ ref: 'refs/tags/main', after: OTHER })])],
    ['was the head before the oldest push', ok([toEntry({ before: OTHER, after: HEAD })])],
    ['was the head at an unknown time', ok([toEntry({ after: OTHER, timestamp: null })])],
    ['was never the head', ok([])],
    ['is in a log that is not a list', ok(toEntry({ after: OTHER }))],
    ['is in a response that is not 200', { status: 404, body: [toEntry({ after: OTHER })] }],
  ])('does not prove a commit that %s, after two requests', async (_, answer) => {
    const { proof, paths } = await proveWith({ '/activity': answer }, { sha: OTHER });
    expect(proof).toEqual({ kind: 'refused', message: 'main has moved on to aaaaaaa' });
    expect(paths.filter((other) => other === '/activity')).toHaveLength(2);
  });

  it.each([
    ['404', failed(404)],
    ['301', failed(301)],
    ['another name', ok({ name: 'trunk', commit: { sha: HEAD } })],
    ['no name', ok({ commit: { sha: HEAD } })],
    ['no commit', ok({ name: 'main' })],
    ['a commit that is a number', ok({ name: 'main', commit: { sha: 7 } })],
    ['nothing', ok(null)],
  ])('no longer exists if the forge answers %s', async (_, answer) => {
    const { proof } = await proveWith({ '/branches/main': answer });
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/heads/main no longer exists' });
  });

  it.each([302, 403])('is not shown if the forge answers %d, even with a head', async (status) => {
    const { proof } = await proveWith({
      '/branches/main': { status, body: { ...(MAIN.body as object), message: 'no' } },
    });
    expect(proof).toEqual({
      kind: 'refused',
      message: `the forge does not show ref refs/heads/main: the forge answers ${status} "no"`,
    });
  });

  it('proves a commit that the forge knows at the second request', async () => {
    const { proof } = await proveWith({ '/branches/main': [failed(404), MAIN] });
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
  });
});

describe('a tag', () => {
  it('proves the commit that it points at, is never protected, and is not requested as a branch', async () => {
    const { proof, paths } = await proveWith({ '/git/ref/tags/v1': pointAt(HEAD, 'commit') }, TAG);
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
    expect(paths.toSorted()).toEqual(['', '/git/ref/tags/v1']);
  });

  it('is followed through four tags at most', async () => {
    const chain = {
      '/git/ref/tags/v1': pointAt('1', 'tag'),
      '/git/tags/1': pointAt('2', 'tag'),
      '/git/tags/2': pointAt('3', 'tag'),
      '/git/tags/3': pointAt('4', 'tag'),
    };
    const four = { ...chain, '/git/tags/4': pointAt(HEAD, 'commit') };
    expect((await proveWith(four, TAG)).proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
    const five = { ...chain, '/git/tags/4': pointAt('5', 'tag'), '/git/tags/5': pointAt(HEAD, 'commit') };
    const { proof, paths } = await proveWith(five, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 points at a chain of more than 4 tags' });
    expect(paths).not.toContain('/git/tags/5');
  });

  it.each([
    ['a tree', pointAt(HEAD, 'tree')],
    ['a commit without an id', pointAt(undefined, 'commit')],
    ['a tag without an id', pointAt(7, 'tag')],
    ['nothing', ok({ ref: 'refs/tags/v1' })],
  ])('that points at %s proves nothing', async (_, answer) => {
    const { proof } = await proveWith({ '/git/ref/tags/v1': answer }, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 does not point at a commit' });
  });

  it.each([
    ['another tag', 'refs/tags/v10'],
    ['a branch of its name', 'refs/heads/v1'],
    ['no ref', undefined],
  ])('no longer exists if the forge answers %s', async (_, ref) => {
    const { proof } = await proveWith({ '/git/ref/tags/v1': ok({ ref, object: { sha: HEAD, type: 'commit' } }) }, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 no longer exists' });
  });

  it.each([
    ['no longer exists', failed(404), 'ref refs/tags/v1 no longer exists'],
    ['is not shown', failed(403), 'the forge does not show ref refs/tags/v1: the forge answers 403 "no"'],
  ])('that %s proves nothing', async (_, answer, message) => {
    const { proof } = await proveWith(
      { '/git/ref/tags/v1': { ...answer, body: { ...(pointAt(HEAD, 'commit').body as object), message: 'no' } } },
      TAG,
    );
    expect(proof).toEqual({ kind: 'refused', message });
  });
});

it('a proof whose signal is aborted ends during the delay before the second request', async () => {
  const abort = new AbortController();
  const api: RestApi = {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    get(path) {
      if (path !== '') queueMicrotask(() => abort.abort());
      return Promise.resolve({ status: 404, mediaType: '', body: Buffer.alloc(0), isCut: false });
    },
    send: () => Promise.reject(new Error('a proof only reads')),
  };
  const target = { ref: { kind: 'branch', name: 'main' }, sha: HEAD } as const;
  await expect(proofCalls.prove(api, target, { signal: abort.signal, lagPausesMs: [60_000] })).rejects.toThrow(
    /abort/i,
  );
});
