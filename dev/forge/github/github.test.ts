import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Octokit } from '@octokit/rest';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createForgeServer, type ForgeServer, type Repository } from '../index.ts';
import { createWorkTree, type WorkTree } from '../work-tree.ts';
import { createAjv } from './openapi.ts';

/** Drives the development forge with GitHub's own client, and checks its webhooks with GitHub's own description. */
let root: string;
let forge: ForgeServer;
let repository: Repository;
let fork: Repository;
let tree: WorkTree;
let first: string;
let topic: string;
let api: Octokit;
const names = { owner: 'acme', repo: 'shop' };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-github-kit-'));
  forge = await createForgeServer({
    root,
    users: [
      { login: 'ada', token: 'owner-token', permissions: { '*': 'admin' } },
      { login: 'eve', token: 'reader-token', permissions: { 'acme/shop': 'read' } },
    ],
  });
  repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
  const events = ['push', 'pull_request', 'issue_comment'];
  forge.createHook(repository, { url: 'http://127.0.0.1:9/', events });
  forge.createHook(repository, { url: 'http://127.0.0.1:9/', events: ['issue_comment'] });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit({ 'a.txt': 'one\n' }, 'First');
  await tree.commit({ 'a.txt': 'two\n' }, 'Second');
  await tree.git('push', '--quiet', repository.path, 'main');
  await tree.git('tag', '--annotate', '--message', 'one', 'v1', first);
  await tree.git('push', '--quiet', repository.path, 'v1', ':refs/heads/gone');
  fork = await forge.createFork(repository, 'mallory');
  await tree.git('checkout', '--quiet', first);
  topic = await tree.commit({ 'b.txt': 'topic' }, 'Topic');
  await tree.git('push', '--quiet', fork.path, `${topic}:refs/heads/topic`);
  api = new Octokit({ baseUrl: forge.apiBase, auth: 'owner-token', userAgent: 'test' });
});

afterAll(async () => {
  await forge.close();
  await rm(root, { recursive: true });
});

test('a pull request from a fork, its files and its status', async () => {
  const opened = await api.rest.pulls.create({ ...names, title: 'Topic', head: 'mallory:topic', base: 'main' });
  expect(opened.data).toMatchObject({
    number: 1,
    state: 'open',
    head: { sha: topic, repo: { full_name: 'mallory/shop' } },
  });
  const { data: files } = await api.rest.pulls.listFiles({ ...names, pull_number: 1 });
  expect(files).toMatchObject([{ filename: 'b.txt', status: 'added' }]);
  const basehead = `main...${topic}`;
  const { data: comparison } = await api.rest.repos.compareCommitsWithBasehead({ ...names, basehead });
  expect(comparison).toMatchObject({ status: 'diverged', merge_base_commit: { sha: first } });
  const status = { state: 'pending', context: 'c3/pr', description: 'running' } as const;
  await api.rest.repos.createCommitStatus({ ...names, sha: topic, ...status });
  const { data: statuses } = await api.rest.repos.listCommitStatusesForRef({ ...names, ref: topic });
  expect(statuses).toMatchObject([status]);
  const rocket = { ...names, sha: topic, state: 'success', description: 'a rocket: 🚀' } as const;
  await expect(api.rest.repos.createCommitStatus(rocket)).rejects.toMatchObject({ status: 422 });
  // What is in the fork is at its head in the base repository.
  expect(await tree.git('ls-remote', repository.path, 'refs/pull/1/head')).toContain(topic);
});

test('the commits of a fork can be fetched from the base repository without a token, and their refs refuse pushes', async () => {
  const url = `${forge.origin}/acme/shop.git`;
  const stranger = await createWorkTree({ path: join(root, 'stranger') });
  await stranger.git('fetch', '--quiet', '--depth=1', url, topic);
  expect(await stranger.git('rev-parse', 'FETCH_HEAD')).toBe(topic);
  expect(await stranger.git('ls-remote', url, 'refs/pull/*')).toBe(`${topic}\trefs/pull/1/head`);
  const owner = await createWorkTree({ path: join(root, 'owner'), token: 'owner-token' });
  await owner.git('fetch', '--quiet', url, 'main');
  await expect(owner.git('push', '--quiet', url, 'FETCH_HEAD:refs/pull/1/head')).rejects.toThrow('hidden ref');
});

test('a hook gets only the events that it selects', () => {
  const events = (id: number): string[] =>
    forge.deliveries.filter(({ hookId }) => hookId === id).map(({ event }) => event);
  expect(events(1)).toContain('pull_request');
  expect(new Set(events(2))).toEqual(new Set(['ping']));
});

test('comments, and what their authors may do', async () => {
  const { data } = await api.rest.issues.createComment({ ...names, issue_number: 1, body: '/retest' });
  const { data: comment } = await api.rest.issues.getComment({ ...names, comment_id: data.id });
  expect(comment).toMatchObject({ body: '/retest', user: { login: 'ada' } });
  expect(comment.issue_url).toMatch(/\/repos\/acme\/shop\/issues\/1$/);
  const permission = async (username: string): Promise<string> =>
    (await api.rest.repos.getCollaboratorPermissionLevel({ ...names, username })).data.permission;
  expect([await permission('ada'), await permission('eve')]).toEqual(['admin', 'read']);
  await expect(permission('nobody')).rejects.toMatchObject({ status: 404 });
});

test('a push moves a pull request, and its end closes it', async () => {
  await tree.git('checkout', '--quiet', topic);
  const next = await tree.commit({ 'b.txt': 'more' }, 'More');
  await tree.git('push', '--quiet', fork.path, `${next}:refs/heads/topic`);
  const read = async (): Promise<string> => (await api.rest.pulls.get({ ...names, pull_number: 1 })).data.head.sha;
  await vi.waitUntil(async () => (await read()) === next, 60_000);
  await api.rest.pulls.update({ ...names, pull_number: 1, title: 'Better', state: 'closed' });
  const { data } = await api.rest.pulls.list({ ...names, state: 'closed' });
  expect(data).toMatchObject([{ number: 1, state: 'closed' }]);
  expect((await api.rest.pulls.list(names)).data).toEqual([]);
});

test('a pull request as a draft, with another base, merged by a push, and without its fork', async () => {
  await tree.git('push', '--quiet', repository.path, `${first}:refs/heads/old`);
  const head = { repository: fork, branch: 'topic' };
  const opened = await forge.pulls.open({ repository, head, author: 'mallory', isDraft: true });
  const ready = await forge.pulls.edit(opened, { isDraft: false });
  const draft = await forge.pulls.edit(ready, { isDraft: true });
  const other = await forge.pulls.edit(draft, { base: 'old' }, 'ada');
  const reopened = await forge.pulls.reopen(await forge.pulls.close(other));
  const comment = await forge.pulls.comment(reopened, 'eve', 'text');
  await forge.pulls.deleteComment(await forge.pulls.editComment(comment, 'other text', 'ada'));
  await tree.git('push', '--quiet', repository.path, `${reopened.sha}:refs/heads/old`);
  await forge.waitFor(() => forge.pulls.find(repository, 2)?.merge, AbortSignal.timeout(60_000));
  await forge.pulls.open({ repository, head, author: 'mallory' });
  forge.deleteRepository(fork);
  const third = forge.pulls.find(repository, 3);
  await forge.pulls.close(third ?? opened);
  const last = (action: string): unknown => {
    const sent = forge.deliveries.findLast(({ request }) => request.body.startsWith(`{"action":"${action}"`));
    return JSON.parse(sent?.request.body ?? '{}');
  };
  expect(last('synchronize')).toMatchObject({ number: 1, before: topic, after: reopened.sha });
  const changes = { base: { ref: { from: 'main' }, sha: { from: opened.baseSha } } };
  expect(last('reopened')).toMatchObject({ number: 2, pull_request: { base: { ref: 'old', sha: first } } });
  const edits = forge.deliveries.filter(
    ({ hookId, request }) => hookId === 1 && request.body.startsWith('{"action":"edited"'),
  );
  expect(edits.map(({ request }) => JSON.parse(request.body) as object)).toMatchObject([
    { changes: { title: { from: 'Topic' } } },
    { changes, sender: { login: 'ada' } },
    { changes: { body: { from: 'text' } }, sender: { login: 'ada' }, comment: { user: { login: 'eve' } } },
  ]);
  expect(last('closed')).toMatchObject({ number: 3, pull_request: { merged: false, head: { repo: null } } });
});

test('each webhook is as GitHub describes it', async () => {
  const ajv = createAjv();
  const file = new URL(import.meta.resolve('@octokit/webhooks-schemas'));
  ajv.addSchema(JSON.parse(await readFile(file, 'utf8')) as object, 'schema');
  const problems = forge.deliveries.map(({ event, request }) => {
    const payload = JSON.parse(request.body) as { action?: string };
    const definition = `${event}$${payload.action ?? 'event'}`;
    const validate = ajv.getSchema(`schema#/definitions/${definition}`);
    return validate?.(payload) === true ? definition : `${definition}: ${ajv.errorsText(validate?.errors ?? null)}`;
  });
  expect([...new Set(problems)].toSorted()).toEqual([
    'issue_comment$created',
    'issue_comment$deleted',
    'issue_comment$edited',
    'ping$event',
    'pull_request$closed',
    'pull_request$converted_to_draft',
    'pull_request$edited',
    'pull_request$opened',
    'pull_request$ready_for_review',
    'pull_request$reopened',
    'pull_request$synchronize',
    'push$event',
  ]);
});
