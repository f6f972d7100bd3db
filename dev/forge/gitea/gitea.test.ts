import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { giteaApi } from 'gitea-js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createForgeServer, type ForgeServer, type Repository } from '../index.ts';
import { createWorkTree, type WorkTree } from '../work-tree.ts';

/** Drives the development forge with a client of Gitea that others wrote. */
let root: string;
let forge: ForgeServer;
let repository: Repository;
let tree: WorkTree;
let first: string;
let second: string;
let api: ReturnType<typeof giteaApi>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-gitea-kit-'));
  forge = await createForgeServer({
    kind: 'gitea',
    root,
    users: [
      { login: 'ada', token: 'owner-token', permissions: { '*': 'admin' } },
      { login: 'bob', token: 'writer-token', permissions: { 'acme/shop': 'write' } },
    ],
  });
  repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit({ 'a.txt': 'one\n' }, 'First\n\nbody');
  second = await tree.commit({ 'a.txt': 'two\n', 'b.txt': 'new' }, 'Second');
  await tree.git('tag', '--annotate', '--message', 'one', 'v1', first);
  await tree.git('push', '--quiet', repository.path, 'main', `${first}:refs/heads/topic/a`, 'v1');
  await vi.waitUntil(() => repository.pushLog.length === 2, 60_000);
  forge.protectBranch(repository, 'main');
  api = giteaApi(forge.origin, { token: 'owner-token' });
});

afterAll(async () => {
  await forge.close();
  await rm(root, { recursive: true });
});

test('the repository, its branches and its tags', async () => {
  const { data } = await api.repos.repoGet('acme', 'shop');
  expect(data).toMatchObject({ full_name: 'acme/shop', private: false, permissions: { admin: true, push: true } });
  const { data: branch } = await api.repos.repoGetBranch('acme', 'shop', 'main');
  expect(branch).toMatchObject({ name: 'main', commit: { id: second }, protected: true, user_can_push: true });
  const { data: tag } = await api.repos.repoGetTag('acme', 'shop', 'v1');
  expect(tag).toMatchObject({ name: 'v1', commit: { sha: first } });
  expect(tag.id).not.toBe(first);
  await expect(api.repos.repoGetBranch('acme', 'shop', 'gone')).rejects.toMatchObject({ status: 404 });
});

test('commits, comparisons and the activity log', async () => {
  const { data: commit } = await api.repos.repoGetSingleCommit('acme', 'shop', first);
  expect(commit).toMatchObject({ sha: first, commit: { message: 'First\n\nbody' } });
  const { data: comparison } = await api.repos.repoCompareDiff('acme', 'shop', `${first}...${second}`);
  expect(comparison.total_commits).toBe(1);
  const files = comparison.commits?.[0]?.files?.map(({ filename, status }) => `${status} ${filename}`);
  expect(files?.toSorted()).toEqual(['added b.txt', 'modified a.txt']);
  expect(comparison.commits?.[0]?.parents?.map(({ sha }) => sha)).toEqual([first]);
  const { data: log } = await api.repos.repoListActivityFeeds('acme', 'shop');
  expect(log.map((entry) => [entry.op_type, entry.ref_name])).toEqual([
    ['commit_repo', 'refs/heads/topic/a'],
    ['commit_repo', 'refs/heads/topic/a'],
    ['commit_repo', 'refs/heads/main'],
    ['commit_repo', 'refs/heads/main'],
  ]);
  // A new branch has two entries.
  expect([log[1]?.content, log[3]?.content]).toEqual(['', '']);
  expect(JSON.parse(log[2]?.content ?? '')).toMatchObject({ HeadCommit: { Sha1: second } });
});

test('directories and files by their ids, and files by a ref', async () => {
  const { data: page } = await api.repos.getTree('acme', 'shop', second, { per_page: 1 });
  expect(page).toMatchObject({ tree: [{ path: 'a.txt', type: 'blob', size: 4 }], truncated: true, total_count: 2 });
  const { data: rest } = await api.repos.getTree('acme', 'shop', second, { per_page: 1, page: 2 });
  expect(rest).toMatchObject({ tree: [{ path: 'b.txt' }], truncated: false });
  const { data: blob } = await api.repos.getBlob('acme', 'shop', page.tree?.[0]?.sha ?? '');
  expect(Buffer.from(blob.content ?? '', 'base64').toString()).toBe('two\n');
  await expect(api.repos.getTree('acme', 'shop', 'f'.repeat(40))).rejects.toMatchObject({ status: 400 });
  await expect(api.repos.getBlob('acme', 'shop', second)).rejects.toMatchObject({ status: 400 });
});

test('statuses, in pages of at most 50, the newest first', async () => {
  for (let count = 0; count < 55; count += 1) {
    const option = { state: 'pending', context: 'ci', description: String(count) } as const;
    await api.repos.repoCreateStatus('acme', 'shop', first, option);
  }
  const query = { sort: 'highestindex', limit: 100 } as const;
  const { data } = await api.repos.repoListStatuses('acme', 'shop', first, query);
  expect(data).toHaveLength(50);
  expect(data[0]).toMatchObject({ status: 'pending', context: 'ci', description: '54' });
  await expect(api.repos.repoCreateStatus('acme', 'shop', first, {})).rejects.toMatchObject({ status: 422 });
});

test('pull requests, their files, comments, and the rights of users', async () => {
  const head = { repository, branch: 'topic/a' };
  await tree.git('checkout', '--quiet', first);
  const sha = await tree.commit({ 'c.txt': 'topic' }, 'Topic');
  await tree.git('push', '--quiet', '--force', repository.path, `${sha}:refs/heads/topic/a`);
  const { number } = await forge.pulls.open({ repository, head, author: 'bob', isDraft: true });
  const { data: pull } = await api.repos.repoGetPullRequest('acme', 'shop', number);
  expect(pull).toMatchObject({
    number,
    state: 'open',
    draft: true,
    head: { sha, ref: 'topic/a' },
    base: { ref: 'main' },
  });
  const { data: files } = await api.repos.repoGetPullRequestFiles('acme', 'shop', number);
  expect(files).toMatchObject([{ filename: 'c.txt', status: 'added' }]);
  const { data: comment } = await api.repos.issueCreateComment('acme', 'shop', number, { body: '/retest' });
  const { data: read } = await api.repos.issueGetComment('acme', 'shop', comment.id ?? 0);
  expect(read).toMatchObject({ body: '/retest', user: { login: 'ada' }, issue_url: '' });
  expect(read.pull_request_url).toMatch(/\/acme\/shop\/pulls\/1$/);
  const { data: right } = await api.repos.repoGetRepoPermissions('acme', 'shop', 'bob');
  expect(right.permission).toBe('write');
  const bob = giteaApi(forge.origin, { token: 'writer-token' });
  await expect(bob.repos.repoGetRepoPermissions('acme', 'shop', 'ada')).rejects.toMatchObject({ status: 403 });
  expect((await bob.repos.repoGetRepoPermissions('acme', 'shop', 'bob')).data.permission).toBe('write');
});

test('a webhook is created, and its deliveries are signed', async () => {
  const config = { url: 'http://127.0.0.1:9/hook', content_type: 'json', secret: 's3cret' };
  const option = { type: 'gitea', active: true, events: ['push', 'pull_request_comment'], config } as const;
  const { data: hook } = await api.repos.repoCreateHook('acme', 'shop', { ...option, events: [...option.events] });
  expect(hook).toMatchObject({ active: true, events: ['push', 'issue_comment'] });
  expect(JSON.stringify(hook)).not.toContain('s3cret');
  await tree.git('push', '--quiet', repository.path, `${first}:refs/heads/signed`);
  const delivery = await vi.waitUntil(() => forge.deliveries.find(({ event }) => event === 'push'), 60_000);
  const { headers, body } = delivery.request;
  const hex = createHmac('sha256', 's3cret').update(body).digest('hex');
  expect(headers).toMatchObject({
    'X-Gitea-Event': 'push',
    'X-Gitea-Signature': hex,
    'X-Hub-Signature-256': `sha256=${hex}`,
  });
  expect(JSON.parse(body)).toMatchObject({ ref: 'refs/heads/signed', after: first, total_commits: 0 });
  await api.repos.repoTestHook('acme', 'shop', hook.id ?? 0);
  const test = await vi.waitUntil(() => forge.deliveries[1], 60_000);
  expect(JSON.parse(test.request.body)).toMatchObject({ ref: 'refs/heads/main', before: second, after: second });
});

test('a token is needed, and the routes are those of Gitea', async () => {
  await expect(giteaApi(forge.origin).repos.repoGet('acme', 'shop')).rejects.toMatchObject({ status: 401 });
  expect(forge.requests.filter(({ isUnexpected }) => isUnexpected)).toEqual([]);
});
