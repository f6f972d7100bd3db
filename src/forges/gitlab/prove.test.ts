import { describe, expect, it } from 'vitest';
import type { BuildTarget } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { type Canned, createCannedApi, failed, ok } from '../../../test/fakes/canned-api.ts';
import { deadline } from '../../../test/time-limits.ts';
import type { Proof } from '../forge.ts';
import { proofCalls } from './prove.ts';

const SCOPE = { host: 'gitlab.com', owner: 'acme/web', name: 'shop' };
const NAME = 'gitlab.com/acme/web/shop';
const HEAD = 'a'.repeat(40);
const OTHER = 'b'.repeat(40);
const ZERO = '0'.repeat(40);

const project = (change: object = {}): Canned =>
  ok({
    path_with_namespace: 'Acme/Web/Shop',
    default_branch: 'trunk',
    archived: false,
    permissions: { project_access: { access_level: 30 }, group_access: null },
    ...change,
  });
const MAIN = ok({ name: 'main', commit: { id: HEAD }, protected: false });
const TAG = { ref: { kind: 'tag', name: 'v1' } } as const;

type Answers = Readonly<Record<string, Canned | readonly Canned[]>>;

async function proveWith(
  answers: Answers,
  pushed: Partial<BuildTarget> = {},
  lagPausesMs: readonly number[] = [0],
): Promise<{ readonly proof: Proof; readonly paths: readonly string[] }> {
  const api = createCannedApi(SCOPE, { '': project(), '/repository/branches/main': MAIN, ...answers });
  const target: BuildTarget = { ref: { kind: 'branch', name: 'main' }, sha: HEAD, ...pushed };
  const proof = await proofCalls.prove(api, target, { signal: deadline(), lagPausesMs });
  return { proof, paths: api.requests.map(({ path }) => path) };
}

describe('the right to push', () => {
  it.each([301, 302, 307, 308])('is refused for a project that moved (%d)', async (status) => {
    const { proof } = await proveWith({ '': failed(status) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `${NAME} was renamed or moved; seal the token for its new name`,
    });
  });

  it.each([304, 403, 404, 204])('is refused, with the message of the forge, for %d', async (status) => {
    const { proof } = await proveWith({ '': failed(status) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `the token cannot see ${NAME}: the forge answers ${status} "no"`,
    });
  });

  it.each([undefined, 7, 'evil/web/shop', 'acme/web/shop2', 'acme/shop'])(
    'is refused for a project whose path is %j',
    async (path) => {
      const { proof } = await proveWith({ '': project({ path_with_namespace: path }) });
      expect(proof).toEqual({
        kind: 'refused',
        message: `${NAME} was renamed or moved; seal the token for its new name`,
      });
    },
  );

  it('is refused for an archived project', async () => {
    const { proof } = await proveWith({ '': project({ archived: true }) });
    expect(proof).toEqual({ kind: 'refused', message: `${NAME} is archived` });
  });

  it.each([
    undefined,
    { project_access: null, group_access: null },
    { project_access: { access_level: 20 }, group_access: { access_level: 29 } },
    { project_access: { access_level: '40' }, group_access: null },
  ])('is refused for the permissions %j', async (permissions) => {
    const { proof } = await proveWith({ '': project({ permissions }) });
    expect(proof).toEqual({
      kind: 'refused',
      message: `the token may not push to ${NAME}: its role is lower than Developer`,
    });
  });

  it.each([
    { project_access: { access_level: 30 }, group_access: { access_level: 10 } },
    { project_access: null, group_access: { access_level: 50 } },
  ])('counts the higher one of two roles: %j', async (permissions) => {
    const api = createCannedApi(SCOPE, { '': project({ permissions }) });
    expect(await proofCalls.checkAccess(api, deadline())).toBeUndefined();
  });
});

describe('a branch', () => {
  it('proves its head with two requests', async () => {
    const { proof, paths } = await proveWith({});
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
    expect(paths.toSorted()).toEqual(['', '/repository/branches/main']);
  });

  it.each([
    [true, 'protected'],
    ['true', 'other'],
    [undefined, 'other'],
  ])('is protected only if the forge says true: %j', async (isProtected, trust) => {
    const branch = ok({ name: 'main', commit: { id: HEAD }, protected: isProtected });
    const { proof } = await proveWith({ '/repository/branches/main': branch });
    expect(proof).toEqual({ kind: 'proven', trust, isHead: true });
  });

  it('is protected if it is the default branch', async () => {
    const { proof } = await proveWith({ '': project({ default_branch: 'main' }) });
    expect(proof).toEqual({ kind: 'proven', trust: 'protected', isHead: true });
  });

  it.each([
    ['404', failed(404), 'no longer exists'],
    ['another name', ok({ name: 'trunk', commit: { id: HEAD } }), 'no longer exists'],
    ['no JSON object', ok([]), 'no longer exists'],
    ['no commit', ok({ name: 'main' }), 'does not point at a commit'],
  ])('is refused if the forge answers %s', async (_, answer, words) => {
    const { proof } = await proveWith({ '/repository/branches/main': answer });
    expect(proof).toEqual({ kind: 'refused', message: `ref refs/heads/main ${words}` });
  });

  it('is refused with the message of the forge if it does not show the branch', async () => {
    const answer = { status: 403, body: { ...(MAIN.body as object), message: 'no' } };
    const { proof } = await proveWith({ '/repository/branches/main': answer });
    const message = 'the forge does not show ref refs/heads/main: the forge answers 403 "no"';
    expect(proof).toEqual({ kind: 'refused', message });
  });

  it.each([
    ['all pauses while the forge shows the branch as it was before the push', OTHER, OTHER, 4],
    ['one pause if it shows another commit', OTHER, 'c'.repeat(40), 2],
    ['one pause for a new branch that it shows already', OTHER, undefined, 2],
  ])('is asked again after %s', async (_, head, before, count) => {
    const branch = ok({ name: 'main', commit: { id: head } });
    const { proof, paths } = await proveWith({ '/repository/branches/main': branch }, { before }, [0, 0, 0]);
    expect(proof).toEqual({ kind: 'refused', message: 'main has moved on to bbbbbbb' });
    expect(paths.filter((path) => path === '/repository/branches/main')).toHaveLength(count);
  });

  it.each([
    ['all pauses for a new branch', undefined, 4],
    ['one pause for a branch that was there before', OTHER, 2],
  ])('that the forge does not show is asked again after %s', async (_, before, count) => {
    const { paths } = await proveWith({ '/repository/branches/main': failed(404) }, { before }, [0, 0, 0]);
    expect(paths.filter((path) => path === '/repository/branches/main')).toHaveLength(count);
  });

  it('is proven if the forge knows the commit at the second request', async () => {
    const { proof } = await proveWith({ '/repository/branches/main': [failed(404), MAIN] });
    expect(proof).toMatchObject({ kind: 'proven' });
  });
});

describe('a tag', () => {
  it.each([
    [true, 'protected'],
    [false, 'other'],
  ])('proves the commit that it points at; protected: %j', async (isProtected, trust) => {
    const tag = ok({ name: 'v1', target: OTHER, commit: { id: HEAD }, protected: isProtected });
    const { proof, paths } = await proveWith({ '/repository/tags/v1': tag }, TAG);
    expect(proof).toEqual({ kind: 'proven', trust, isHead: true });
    expect(paths.toSorted()).toEqual(['', '/repository/tags/v1']);
  });

  it('does not prove another commit, and never asks the log', async () => {
    const tag = ok({ name: 'v1', target: HEAD, commit: { id: HEAD } });
    const data = { ref_type: 'branch', ref: 'v1', action: 'pushed', commit_to: OTHER };
    const log = ok([{ created_at: new Date().toISOString(), push_data: data }]);
    const answers = { '/repository/tags/v1': tag, '/events': log, '/repository/merge_base': ok({ id: OTHER }) };
    const { proof, paths } = await proveWith(answers, { ...TAG, sha: OTHER });
    expect(proof).toEqual({ kind: 'refused', message: 'v1 has moved on to aaaaaaa' });
    expect(paths.filter((path) => path.startsWith('/events'))).toEqual([]);
  });

  it('is not protected because a branch of its name is the default branch', async () => {
    const answers = {
      '': project({ default_branch: 'v1' }),
      '/repository/tags/v1': ok({ name: 'v1', commit: { id: HEAD } }),
    };
    const { proof } = await proveWith(answers, TAG);
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: true });
  });

  it('that points at no commit is refused', async () => {
    const { proof } = await proveWith({ '/repository/tags/v1': ok({ name: 'v1', commit: null }) }, TAG);
    expect(proof).toEqual({ kind: 'refused', message: 'ref refs/tags/v1 does not point at a commit' });
  });
});

describe('an older head', () => {
  const minutesAgo = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
  const entry = (data: object, minutes = 1): object => ({
    action_name: 'pushed to',
    created_at: minutesAgo(minutes),
    push_data: { ref_type: 'branch', ref: 'main', action: 'pushed', ...data },
  });
  const next = entry({ commit_from: OTHER, commit_to: HEAD });
  const pushed = entry({ commit_from: ZERO, commit_to: OTHER });
  const withLog = (log: unknown, base: unknown = OTHER): Answers => ({
    '/events': ok(log),
    '/repository/merge_base': ok({ id: base }),
  });

  it('is proven by the log of pushes and as an ancestor of the head', async () => {
    const { proof, paths } = await proveWith(withLog([next, pushed]), { sha: OTHER });
    expect(proof).toEqual({ kind: 'proven', trust: 'other', isHead: false });
    expect(paths.toSorted()).toEqual([
      '',
      '/events?action=pushed&sort=desc&per_page=100',
      '/repository/branches/main',
      `/repository/merge_base?refs[]=${OTHER}&refs[]=${HEAD}`,
    ]);
  });

  it.each([
    ['was reset away by a forced push', withLog([next, pushed], 'c'.repeat(40))],
    ['was the head more than an hour ago', withLog([entry({ commit_from: OTHER, commit_to: HEAD }, 90), pushed])],
    ['was the head at an unknown time', withLog([{ ...pushed, created_at: null }])],
    ['is the head of another branch only', withLog([entry({ ref: 'dev', commit_to: OTHER })])],
    ['is the head of a tag of this name only', withLog([entry({ ref_type: 'tag', commit_to: OTHER })])],
    ['was the head before the oldest push', withLog([next])],
    ['was the head before the branch was deleted', withLog([next, entry({ action: 'removed' }), pushed])],
    ['was the head before the branch was created', withLog([entry({ action: 'created', commit_to: HEAD }), pushed])],
    ['is in a push of many refs only', withLog([entry({ ref: null, ref_count: 4, commit_to: null })])],
    ['is in a log that is not a list', withLog({ message: 'no' })],
    ['is in a log that the token cannot see', { '/events': failed(403) }],
    ['has no common ancestor with the head', { '/events': ok([pushed]) }],
  ])('that %s is refused', async (_, answers) => {
    const { proof } = await proveWith(answers, { sha: OTHER });
    expect(proof).toEqual({ kind: 'refused', message: 'main has moved on to aaaaaaa' });
  });

  it('of a push is in the log, with the commit before', async () => {
    const target = { ref: { kind: 'branch', name: 'main' }, sha: OTHER } as const;
    const read = (log: unknown): unknown =>
      proofCalls.readPush(createCannedApi(SCOPE, withLog(log)), target, deadline());
    expect(await read([next, entry({ commit_from: 'c'.repeat(40), commit_to: OTHER })])).toEqual({
      before: 'c'.repeat(40),
    });
    expect(await read([pushed])).toEqual({ before: undefined });
    expect(await read([entry({ action: 'created', commit_from: null, commit_to: OTHER })])).toEqual({
      before: undefined,
    });
    expect(await read([next])).toBeUndefined();
  });

  it('of a push is not known if the forge is not reachable; any other fault is one', async () => {
    const target = { ref: { kind: 'branch', name: 'main' }, sha: OTHER } as const;
    const read = (code: 'FORGE_UNREACHABLE' | 'FORGE_UNAUTHORIZED'): Promise<unknown> => {
      const api = { ...createCannedApi(SCOPE, {}), get: () => Promise.reject(new C3Error(code, 'no')) };
      return proofCalls.readPush(api, target, deadline());
    };
    expect(await read('FORGE_UNREACHABLE')).toBeUndefined();
    await expect(read('FORGE_UNAUTHORIZED')).rejects.toThrow('no');
  });
});
