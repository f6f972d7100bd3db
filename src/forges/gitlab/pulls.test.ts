import { describe, expect, it } from 'vitest';
import { type Canned, createCannedApi, failed, ok } from '../../../test/fakes/canned-api.ts';
import { deadline } from '../../../test/time-limits.ts';
import { mayApprove, readPull, readPullRef } from './pulls.ts';

const SCOPE = { host: 'gitlab.com', owner: 'acme/web', name: 'shop' };
const SHA = 'a'.repeat(40);

const mergeRequest = (change: object = {}): Canned =>
  ok({
    iid: 12,
    sha: SHA,
    source_branch: 'cart',
    target_branch: 'release/1.x',
    source_project_id: 61,
    target_project_id: 61,
    state: 'opened',
    draft: false,
    title: 'Add a cart\nnow',
    author: { id: 7, username: 'ada' },
    ...change,
  });
const PUBLIC = ok({ visibility: 'public', repository_access_level: 'enabled' });
const BASE = ok({ name: 'release/1.x', commit: { id: 'b'.repeat(40) } });

async function readWith(pull: Canned, project: Canned = PUBLIC): Promise<unknown> {
  const api = createCannedApi(SCOPE, {
    '/merge_requests/12': pull,
    '': project,
    '/repository/branches/release/1.x': BASE,
  });
  return await readPull(api, 12, deadline());
}

describe('a merge request', () => {
  it('of the same project is read without the head of its target', async () => {
    expect(await readWith(mergeRequest())).toEqual({
      number: 12,
      sha: SHA,
      head: 'cart',
      base: 'release/1.x',
      isDraft: false,
      isFork: false,
      isOpen: true,
      isPublic: true,
      baseSha: undefined,
      commit: { subject: 'Add a cart', author: 'ada' },
    });
  });

  it.each([88, null])('of the project %j is a fork, and has the head of its target', async (source) => {
    const fork = mergeRequest({ source_project_id: source });
    expect(await readWith(fork)).toMatchObject({ isFork: true, baseSha: 'b'.repeat(40) });
  });

  it.each(['closed', 'merged', 'locked'])('that is %s is not open', async (state) => {
    expect(await readWith(mergeRequest({ state }))).toMatchObject({ isOpen: false });
  });

  it.each([
    [{ draft: true }, true],
    [{ draft: undefined, work_in_progress: true }, true],
    [{ draft: false, work_in_progress: true }, false],
  ])('with %j is a draft: %j', async (change, isDraft) => {
    expect(await readWith(mergeRequest(change))).toMatchObject({ isDraft });
  });

  it.each([
    ok({ visibility: 'private', repository_access_level: 'enabled' }),
    ok({ visibility: 'internal', repository_access_level: 'enabled' }),
    ok({ visibility: 'public', repository_access_level: 'private' }),
    ok({ visibility: 'public' }),
    failed(403),
  ])('of the project %j is not public', async (project) => {
    expect(await readWith(mergeRequest(), project)).toMatchObject({ isPublic: false });
  });

  it('that does not exist is undefined', async () => {
    expect(await readWith(failed(404))).toBeUndefined();
  });

  it.each([failed(403), ok([]), mergeRequest({ source_branch: 7 })])('that answers %j is a fault', async (answer) => {
    await expect(readWith(answer)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: expect.stringMatching(/^Cannot read merge request 12 of gitlab.com\/acme\/web\/shop: /) as string,
    });
  });

  it.each([
    ['its branch', mergeRequest(), 'cart'],
    ['the ref of a fork', mergeRequest({ source_project_id: 88 }), 'refs/merge-requests/12/head'],
    ['nothing', failed(404), undefined],
  ])('has its pipelines in %s', async (_, answer, ref) => {
    const api = createCannedApi(SCOPE, { '/merge_requests/12': answer });
    expect(await readPullRef(api, 12, deadline())).toBe(ref);
  });
});

describe('a comment', () => {
  const COMMENT = { pull: 12, id: '40123', author: 'ada', createdAt: 0, text: '/retest' };
  const note = (change: object = {}): Canned =>
    ok({ id: 40123, body: '/retest', system: false, noteable_type: 'MergeRequest', author: ADA, ...change });
  const ADA = { id: 7, username: 'ada' };

  async function approveWith(found: Canned, member: Canned = ok({ access_level: 30 })): Promise<string | undefined> {
    const api = createCannedApi(SCOPE, { '/merge_requests/12/notes/40123': found, '/members/all/7': member });
    return await mayApprove(api, COMMENT, deadline());
  }

  it('of a developer counts', async () => {
    expect(await approveWith(note())).toBeUndefined();
  });

  it.each([
    ['a reporter', ok({ access_level: 20 })],
    ['a member without a role', ok({})],
    ['a user who is no member', failed(404)],
  ])('of %s does not count', async (_, member) => {
    expect(await approveWith(note(), member)).toBe('ada may not push');
  });

  it.each([
    ['another text', { body: '/cancel' }],
    ['another author', { author: { id: 7, username: 'bob' } }],
    ['an author without an id', { author: { username: 'ada' } }],
    ['another kind', { noteable_type: 'Issue' }],
    ['a system note', { system: true }],
  ])('with %s at the forge does not count', async (_, change) => {
    expect(await approveWith(note(change))).toBe('the comment at the forge has another text, author or merge request');
  });

  it('that does not exist does not count', async () => {
    expect(await approveWith(failed(404))).toBe('the forge has no such comment');
  });

  it.each([
    [failed(403), ok({}), 'Cannot read the comment: the forge answers 403 "no"'],
    [note(), failed(403), 'Cannot read what ada may do: the forge answers 403 "no"'],
  ])('that the token cannot see is a fault', async (found, member, message) => {
    await expect(approveWith(found, member)).rejects.toMatchObject({ code: 'FORGE_REFUSED', message });
  });
});
