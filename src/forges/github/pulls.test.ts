import { describe, expect, it, test } from 'vitest';
import type { HttpResponse } from '../http-client.ts';
import type { RestApi } from '../rest-api.ts';
import { pullPaths } from './commits.ts';
import { mayApprove, readPull } from './pulls.ts';

const { signal } = new AbortController();
const SHA = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
const BASE_SHA = 'b'.repeat(40);

type Answer = readonly [status: number, json?: unknown];

/** An API with these answers by path; 404 for the others. */
function createApi(answers: Readonly<Record<string, Answer>>): RestApi & { readonly asked: string[] } {
  const asked: string[] = [];
  const answer = (path: string): HttpResponse => {
    asked.push(path);
    const [status, json = {}] = answers[path] ?? [404];
    const body = Buffer.from(JSON.stringify(json));
    return { status, mediaType: 'application/json', body, isCut: false };
  };
  return {
    scope: { host: 'github.com', owner: 'acme', name: 'shop' },
    asked,
    get: (path) => Promise.resolve(answer(path)),
    send: ({ path }) => Promise.resolve(answer(path)),
  };
}

const PULL = {
  number: 12,
  state: 'open',
  draft: false,
  title: 'A title\nand more',
  user: { login: 'mallory' },
  head: { sha: SHA, ref: 'main', repo: { full_name: 'Acme/Shop' } },
  base: { sha: 'c'.repeat(40), ref: 'main', repo: { full_name: 'acme/shop', private: false } },
};
const FORK_HEAD = { ...PULL.head, repo: { full_name: 'mallory/shop' } };
const BRANCH = { name: 'main', commit: { sha: BASE_SHA } };

describe('readPull', () => {
  it('reads a pull request of the same repository with one request', async () => {
    const api = createApi({ '/pulls/12': [200, PULL] });
    expect(await readPull(api, 12, signal)).toEqual({
      number: 12,
      sha: SHA,
      head: 'main',
      base: 'main',
      isDraft: false,
      isFork: false,
      isOpen: true,
      isPublic: true,
      baseSha: undefined,
      commit: { subject: 'A title', author: 'mallory' },
    });
    expect(api.asked).toEqual(['/pulls/12']);
  });

  test.each<[string, object, Answer, object]>([
    ['a fork', { head: FORK_HEAD }, [200, BRANCH], { isFork: true, baseSha: BASE_SHA }],
    ['a deleted fork', { head: { ...FORK_HEAD, repo: null } }, [200, BRANCH], { isFork: true, baseSha: BASE_SHA }],
    ['a fork of a branch that is gone', { head: FORK_HEAD }, [404], { isFork: true, baseSha: undefined }],
    ['a fork of a renamed branch', { head: FORK_HEAD }, [200, { ...BRANCH, name: 'trunk' }], { baseSha: undefined }],
    ['a closed one', { state: 'closed' }, [404], { isOpen: false }],
    ['a draft', { draft: true }, [404], { isDraft: true }],
    ['a private repository', { base: { ...PULL.base, repo: { private: true } } }, [404], { isPublic: false }],
    ['a repository that may be private', { base: { ...PULL.base, repo: {} } }, [404], { isPublic: false }],
  ])('reads %s', async (_, changes, branch, expected) => {
    const api = createApi({ '/pulls/12': [200, { ...PULL, ...changes }], '/branches/main': branch });
    expect(await readPull(api, 12, signal)).toMatchObject(expected);
  });

  it('knows no pull request without a number of one, and reports a refusal', async () => {
    expect(await readPull(createApi({}), 12, signal)).toBeUndefined();
    await expect(readPull(createApi({ '/pulls/12': [403, { message: 'no' }] }), 12, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: 'Cannot read pull request 12 of github.com/acme/shop: the forge answers 403 "no"',
      hint: 'the token needs the right "Pull requests: read"',
    });
    await expect(readPull(createApi({ '/pulls/12': [200, { head: {} }] }), 12, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
    });
  });
});

describe('mayApprove', () => {
  const comment = { pull: 12, id: '77', author: 'ann', createdAt: 0, text: '/retest' };
  const found = { body: '/retest', user: { login: 'ann' }, issue_url: 'https://api.github.com/repos/a/b/issues/12' };
  const CHANGED = 'the comment at the forge has another text, author or pull request';

  test.each<[string, Answer, Answer, string | undefined]>([
    ['a writer', [200, found], [200, { permission: 'write' }], undefined],
    ['an administrator', [200, found], [200, { permission: 'admin' }], undefined],
    ['a reader', [200, found], [200, { permission: 'read' }], 'ann may not push'],
    ['a user without a right', [200, found], [200, { permission: 'none' }], 'ann may not push'],
    ['a user that is gone', [200, found], [404], 'ann may not push'],
    ['no comment', [404], [200, { permission: 'write' }], 'the forge has no such comment'],
    ['an edited comment', [200, { ...found, body: '/cancel' }], [200, { permission: 'write' }], CHANGED],
    ['the comment of another', [200, { ...found, user: { login: 'eve' } }], [200, { permission: 'write' }], CHANGED],
    [
      'a comment on another pull request',
      [200, { ...found, issue_url: 'https://api.github.com/repos/a/b/issues/112' }],
      [200, { permission: 'write' }],
      CHANGED,
    ],
  ])('%s', async (_, answer, permission, expected) => {
    const api = createApi({ '/issues/comments/77': answer, '/collaborators/ann/permission': permission });
    expect(await mayApprove(api, comment, signal)).toBe(expected);
  });

  it('reports a forge that does not say what a user may do', async () => {
    const api = createApi({ '/issues/comments/77': [200, found], '/collaborators/ann/permission': [403] });
    await expect(mayApprove(api, comment, signal)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
  });
});

test.each<[string, object, readonly string[] | undefined]>([
  ['ahead', { status: 'ahead', files: [{ filename: 'a', previous_filename: 'b' }] }, ['a', 'b']],
  ['diverged', { status: 'diverged', files: [{ filename: 'a' }] }, ['a']],
  ['too many', { status: 'diverged', files: Array.from({ length: 300 }, () => ({ filename: 'a' })) }, undefined],
  ['an unknown relation', { files: [] }, undefined],
])('the paths of a pull request whose head is %s', async (_, json, paths) => {
  const api = createApi({ [`/compare/main...${SHA}`]: [200, json] });
  expect(await pullPaths(api, { base: 'main' }, { sha: SHA, signal })).toEqual(paths);
});
