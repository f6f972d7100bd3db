import { describe, expect, it } from 'vitest';
import { C3Error } from '../../errors.ts';
import { type Canned, type CannedApi, createCannedApi, failed, ok } from '../../../test/fakes/canned-api.ts';
import { deadline } from '../../../test/time-limits.ts';
import { changedPaths, pullPaths, readCommit, readFile } from './commits.ts';

const SCOPE = { host: 'gitlab.com', owner: 'acme/web', name: 'shop' };
const SHA = 'a'.repeat(40);
const BEFORE = 'b'.repeat(40);
const options = { sha: SHA, signal: deadline() };
const api = (answers: Readonly<Record<string, Canned>>): CannedApi => createCannedApi(SCOPE, answers);

describe('a file', () => {
  const read = (answer: Canned): Promise<unknown> =>
    readFile(api({ '/repository/files/ci/ü #%.yaml/raw': answer }), 'ci/ü #%.yaml', options);

  it('is read, whatever characters its path has', async () => {
    expect(await read({ status: 200, text: 'steps: [grüße]\n' })).toEqual({ kind: 'found', text: 'steps: [grüße]\n' });
  });

  it('is missing', async () => {
    expect(await read(failed(404, '404 File Not Found'))).toEqual({ kind: 'missing' });
  });

  it('is a fault, with the message of the forge', async () => {
    await expect(read(failed(403, '403 Forbidden'))).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot read ci/ü #%.yaml of gitlab.com/acme/web/shop at ${SHA.slice(0, 12)}: the forge answers 403 "403 Forbidden"`,
      hint: 'the token needs the scope "api" and at least the role Developer',
    });
  });
});

describe('a commit', () => {
  const read = (answer: Canned): Promise<unknown> =>
    readCommit(api({ [`/repository/commits/${SHA}`]: answer }), SHA, deadline());

  it('has a subject and an author', async () => {
    const answer = ok({ id: SHA, title: 'Fix it', message: 'Fix it\n\nand more', author_name: 'Ada' });
    expect(await read(answer)).toEqual({ subject: 'Fix it', author: 'Ada' });
  });

  it('is unknown', async () => {
    expect(await read(failed(404))).toBeUndefined();
  });

  it.each([failed(403), ok({ title: 'no message' })])('is a fault for %j', async (answer) => {
    await expect(read(answer)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
  });
});

describe('changed paths', () => {
  const diffs = [
    { old_path: 'a', new_path: 'a' },
    { old_path: 'old', new_path: 'new' },
  ];
  const comparison = ok({ diffs, compare_timeout: false });
  const base = ok({ id: BEFORE });
  const changed = (compare: Canned, mergeBase = base): Promise<unknown> =>
    changedPaths(api({ '/repository/compare': compare, '/repository/merge_base': mergeBase }), BEFORE, options);

  it('are both names of each file', async () => {
    expect(await changed(comparison)).toEqual(['a', 'old', 'new']);
  });

  it.each([
    ['is cut', ok({ diffs, compare_timeout: true }), base],
    ['does not say whether it is cut', ok({ diffs }), base],
    ['is no list', ok({ diffs: {}, compare_timeout: false }), base],
    ['is not answered', failed(404), base],
    ['is not with an ancestor', comparison, ok({ id: 'c'.repeat(40) })],
    ['is with an unknown commit', comparison, failed(404)],
  ])('are not known if the comparison %s', async (_, compare, mergeBase) => {
    expect(await changed(compare, mergeBase)).toBeUndefined();
  });

  it('of a push are compared directly, those of a merge request with the merge base', async () => {
    const push = api({ '/repository/compare': comparison });
    await changedPaths(push, BEFORE, options);
    expect(push.requests.map(({ path }) => path)).toContain(
      `/repository/compare?from=${BEFORE}&to=${SHA}&straight=true`,
    );
    const pull = api({ '/repository/compare': comparison });
    expect(await pullPaths(pull, { base: 'release/1.x' }, options)).toEqual(['a', 'old', 'new']);
    expect(pull.requests.map(({ path }) => path)).toEqual([
      `/repository/compare?from=release/1.x&to=${SHA}&straight=false`,
    ]);
  });

  it('are not known if the forge is not reachable; any other fault is one', async () => {
    const failing = (code: 'FORGE_UNREACHABLE' | 'FORGE_UNAUTHORIZED'): CannedApi => ({
      ...api({}),
      send: () => Promise.reject(new C3Error(code, 'no')),
    });
    expect(await pullPaths(failing('FORGE_UNREACHABLE'), { base: 'main' }, options)).toBeUndefined();
    await expect(pullPaths(failing('FORGE_UNAUTHORIZED'), { base: 'main' }, options)).rejects.toThrow('no');
  });
});
