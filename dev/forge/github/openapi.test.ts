import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Octokit } from '@octokit/rest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createForgeServer, type ForgeServer, type Repository } from '../index.ts';
import type { ApiState } from '../route.ts';
import { createWorkTree, type WorkTree } from '../work-tree.ts';
import { createAnswerCheck, extractOpenApi, type CheckAnswer, type Excerpt } from './openapi.ts';
import { createRoutes } from './rest-api.ts';

/**
 * Checks every answer with GitHub's own description. To read a newer one, unpack the npm package `@octokit/openapi` and
 * set C3_OPENAPI to its file `api.github.com.json`.
 */
const EXCERPT = new URL('../../../test/fixtures/github-openapi.json', import.meta.url);
const description = process.env['C3_OPENAPI'];

let root: string;
let forge: ForgeServer;
let repository: Repository;
let fork: Repository;
let tree: WorkTree;
let api: Octokit;
let reader: Octokit;
let base: string;
let topic: string;
const MODULES = '[submodule "some.lib"]\n\tpath = module\n\turl = https://example.org/lib.git\n';
const names = { owner: 'acme', repo: 'shop' };
const answers: { operation: string; status: number; body: unknown }[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-openapi-'));
  const users = [
    { login: 'ada', token: 'owner-token', permissions: { '*': 'admin' } },
    { login: 'eve', token: 'reader-token', permissions: {} },
    { login: 'tom', token: 'triage-token', permissions: { 'acme/shop': 'read' }, roleName: 'triage' },
    { login: 'joe', token: 'writer-token', permissions: { 'acme/shop': 'write' }, roleName: 'deployers' },
  ] as const;
  forge = await createForgeServer({ root, users });
  repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  await tree.commit({ 'a.txt': 'one\n', 'dir/b.txt': 'b', '.gitmodules': MODULES }, 'First\n\nbody');
  await tree.commit({ 'a.txt': 'two\n' }, 'Second');
  await symlink('a.txt', join(tree.path, 'link'));
  await symlink('/etc/passwd', join(tree.path, 'outside'));
  await mkdir(join(tree.path, 'module'));
  await tree.git('add', '--all');
  await tree.git('update-index', '--add', '--cacheinfo', `160000,${'c'.repeat(40)},module`);
  await tree.git('commit', '--quiet', '--message', 'Links');
  base = await tree.git('rev-parse', 'HEAD');
  await tree.git('tag', '--annotate', '--message', 'one', 'v1');
  await tree.git('push', '--quiet', repository.path, 'main', 'main:dev', 'v1');
  fork = await forge.createFork(repository, 'mallory');
  topic = await tree.commit({ 'dir/c.txt': 'topic', 'd.bin': '\0' }, 'Topic');
  await tree.git('push', '--quiet', fork.path, `${topic}:refs/heads/topic`);
  [api, reader] = [connect('owner-token'), connect('reader-token')];
});

afterAll(async () => {
  await forge.close();
  await rm(root, { recursive: true });
});

/** A client that records each answer. */
function connect(auth: string): Octokit {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const client = new Octokit({ baseUrl: forge.apiBase, auth, userAgent: 'test', log });
  client.hook.wrap('request', async (request, options) => {
    const operation = `${options.method} ${options.url}`;
    try {
      const response = await request(options);
      // The URL of a next page names no operation.
      if (options.url.startsWith('/')) answers.push({ operation, status: response.status, body: response.data });
      return response;
    } catch (error) {
      const { status, response } = error as { status: number; response: { data: unknown } };
      answers.push({ operation, status, body: response.data });
      throw error;
    }
  });
  return client;
}

/** Returns the status of a refusal, and what GitHub says is wrong. */
async function refusal(request: Promise<unknown>): Promise<string> {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const { status, response } = error as { status: number; response: { data: Record<string, unknown> } };
  const { message, errors = [] } = response.data as { message: string; errors?: Record<string, string>[] };
  const [problem] = errors;
  return [status, problem?.['message'] ?? problem?.['field'] ?? message].join(' ');
}

test('reads a repository, its branches, tags and commits', async () => {
  await api.rest.users.getAuthenticated();
  const { data } = await reader.rest.repos.get(names);
  expect(data.permissions).toMatchObject({ push: false, pull: true });
  const { data: branches } = await api.rest.repos.listBranches({ ...names, per_page: 1 });
  expect(branches.map(({ name }) => name)).toEqual(['dev']);
  const all = await api.paginate(api.rest.repos.listBranches, { ...names, per_page: 1 });
  expect(all.map(({ name }) => name)).toEqual(['dev', 'main']);
  await api.rest.repos.getBranch({ ...names, branch: 'main' });
  expect(await refusal(api.rest.repos.getBranch({ ...names, branch: 'none' }))).toBe('404 Branch not found');
  await forge.waitFor(() => repository.pushLog[1], AbortSignal.timeout(60_000));
  const { data: log } = await api.rest.repos.listActivities(names);
  expect(log).toMatchObject([{ activity_type: 'branch_creation' }, { activity_type: 'branch_creation' }]);
  const { data: ref } = await api.rest.git.getRef({ ...names, ref: 'tags/v1' });
  const { data: tag } = await api.rest.git.getTag({ ...names, tag_sha: ref.object.sha });
  expect(tag).toMatchObject({ message: 'one', object: { sha: base, type: 'commit' } });
  const { data: commit } = await api.rest.repos.getCommit({ ...names, ref: base });
  expect(commit).toMatchObject({ commit: { message: 'Links' }, stats: { total: 3 } });
  expect(await refusal(api.rest.repos.getCommit({ ...names, ref: 'f'.repeat(40) }))).toMatch(/^422 No commit found/);
});

test('reads files, directories, links and submodules', async () => {
  const read = async (path: string): Promise<unknown> => (await api.rest.repos.getContent({ ...names, path })).data;
  expect(await read('a.txt')).toMatchObject({ type: 'file', content: 'dHdvCg==\n', encoding: 'base64' });
  expect(await read('dir')).toMatchObject([{ type: 'file', path: 'dir/b.txt' }]);
  // GitHub follows a link to a file of the repository.
  expect(await read('link')).toMatchObject({ type: 'file', content: 'dHdvCg==\n' });
  expect(await read('outside')).toMatchObject({ type: 'symlink', target: '/etc/passwd' });
  expect(await read('module')).toMatchObject({ submodule_git_url: 'https://example.org/lib.git' });
  expect(await refusal(read('none'))).toBe('404 Not Found');
});

test('compares commits, also those of a fork', async () => {
  const compare = (basehead: string): Promise<{ data: object }> =>
    api.rest.repos.compareCommitsWithBasehead({ ...names, basehead });
  expect((await compare(`main...mallory:topic`)).data).toMatchObject({
    status: 'ahead',
    merge_base_commit: { sha: base },
    commits: [{ sha: topic }],
    files: [
      { filename: 'd.bin', additions: 0 },
      { filename: 'dir/c.txt', additions: 1 },
    ],
  });
  expect(await refusal(compare('main...none'))).toBe('404 Not Found');
});

test('sets and lists statuses, up to the limits', async () => {
  const set = (description: string, sha = topic): Promise<unknown> =>
    api.rest.repos.createCommitStatus({ ...names, sha, state: 'pending', context: 'c3/pr', description });
  await set('running');
  await api.rest.repos.listCommitStatusesForRef({ ...names, ref: topic });
  await api.rest.repos.getCombinedStatusForRef({ ...names, ref: topic });
  expect(await refusal(set('a rocket: 🚀'))).toMatch(/^422 description/);
  expect(await refusal(set('x'.repeat(141)))).toMatch(/^422 description is too long/);
  expect(await refusal(set('running', 'f'.repeat(40)))).toMatch(/^422 No commit found for SHA/);
  const denied = { ...names, sha: topic, state: 'success' } as const;
  expect(await refusal(reader.rest.repos.createCommitStatus(denied))).toMatch(/^403/);
});

test('opens, changes and merges pull requests, and refuses what GitHub refuses', async () => {
  const open = (options: object = {}): Promise<{ data: { number: number } }> =>
    api.rest.pulls.create({ ...names, title: 'Topic', head: 'mallory:topic', base: 'main', ...options });
  const update = (changes: object, client = api): Promise<unknown> =>
    client.rest.pulls.update({ ...names, pull_number: 1, ...changes });
  const { data } = await open();
  expect(data).toMatchObject({ number: 1, commits: 1, changed_files: 2, head: { sha: topic }, base: { sha: base } });
  expect(await refusal(open())).toBe('422 A pull request already exists for mallory:topic.');
  expect(await refusal(open({ head: 'none' }))).toBe('422 head');
  expect(await refusal(open({ base: 'none' }))).toBe('422 base');
  expect(await refusal(open({ title: '' }))).toBe('422 title');
  expect(await refusal(open({ head: 'main', base: 'dev' }))).toBe('422 No commits between dev and main');
  await api.rest.pulls.get({ ...names, pull_number: 1 });
  expect(await refusal(api.rest.pulls.get({ ...names, pull_number: 9 }))).toBe('404 Not Found');
  const { data: files } = await api.rest.pulls.listFiles({ ...names, pull_number: 1, per_page: 1, page: 2 });
  expect(files).toMatchObject([{ filename: 'dir/c.txt', status: 'added' }]);
  expect((await api.rest.pulls.list({ ...names, head: 'mallory:topic' })).data).toHaveLength(1);
  expect(await refusal(update({ title: 'Mine' }, reader))).toMatch(/^403/);
  expect(await refusal(update({ base: 'none' }))).toBe('422 base');
  expect(await refusal(update({ state: 'merged' }))).toBe('422 state');
  await update({ base: 'dev' });
  await update({ base: 'main', title: 'Better' });
  await update({ state: 'closed' });
  expect(await refusal(update({ base: 'dev', state: 'open' }))).toMatch(
    /^422 Cannot change the base branch of a closed/,
  );
  await update({ state: 'open' });
  const merge = (sha: string): Promise<unknown> => api.rest.pulls.merge({ ...names, pull_number: 1, sha });
  expect(await refusal(merge(base))).toMatch(/^409 Head branch was modified/);
  await merge(topic);
  const { data: merged } = await api.rest.pulls.get({ ...names, pull_number: 1 });
  expect(merged).toMatchObject({ state: 'closed', merged: true, merged_by: { login: 'ada' } });
  expect(await refusal(update({ state: 'open' }))).toMatch(/^422 state cannot be changed/);
  const { data: branch } = await api.rest.repos.getBranch({ ...names, branch: 'main' });
  expect(branch.commit).toMatchObject({ sha: merged.merge_commit_sha, parents: [{ sha: base }, { sha: topic }] });
});

test('writes, changes and deletes comments, and says who may push', async () => {
  const add = (body: string): Promise<{ data: { id: number } }> =>
    reader.rest.issues.createComment({ ...names, issue_number: 1, body });
  const { data } = await add('/ok-to-test');
  const comment = { ...names, comment_id: data.id };
  expect(await refusal(add(' '))).toBe('422 body');
  expect(await refusal(reader.rest.issues.createComment({ ...names, issue_number: 9, body: 'x' }))).toMatch(/^404/);
  await api.rest.issues.updateComment({ ...comment, body: '/retest' });
  expect((await reader.rest.issues.getComment(comment)).data).toMatchObject({
    body: '/retest',
    user: { login: 'eve' },
  });
  await reader.rest.issues.deleteComment(comment);
  expect(await refusal(reader.rest.issues.getComment(comment))).toBe('404 Not Found');
  const permission = (
    client: Octokit,
    username: string,
  ): ReturnType<Octokit['rest']['repos']['getCollaboratorPermissionLevel']> =>
    client.rest.repos.getCollaboratorPermissionLevel({ ...names, username });
  expect((await permission(api, 'EVE')).data).toMatchObject({ permission: 'read', role_name: 'read' });
  expect((await permission(api, 'tom')).data).toMatchObject({ permission: 'read', role_name: 'triage' });
  expect((await permission(api, 'joe')).data).toMatchObject({ permission: 'write', role_name: 'deployers' });
  expect(await refusal(permission(api, 'nobody'))).toBe('404 nobody is not a user');
  expect(await refusal(permission(reader, 'ada'))).toMatch(/^403 Must have push access/);
});

test('creates webhooks, and lists and repeats their deliveries', async () => {
  const create = (config: object, events = ['push']): Promise<{ data: { id: number } }> =>
    api.rest.repos.createWebhook({ ...names, events, config: { content_type: 'json', ...config } });
  const url = 'http://127.0.0.1:9/';
  const { data } = await create({ url, secret: 'x' });
  const hook = { ...names, hook_id: data.id };
  expect(await refusal(create({ url }))).toBe('422 Hook already exists on this repository');
  expect(await refusal(create({ url: 'ftp://x' }))).toMatch(/^422 url/);
  expect(await refusal(create({ url }, ['pushed']))).toMatch(/^422 The specified event/);
  await forge.waitFor(() => forge.deliveries[0]?.answer, AbortSignal.timeout(60_000));
  await api.rest.repos.listWebhooks(names);
  await api.rest.repos.getWebhook(hook);
  const { data: deliveries } = await api.rest.repos.listWebhookDeliveries(hook);
  expect(deliveries).toMatchObject([{ event: 'ping', action: null }]);
  await api.rest.repos.redeliverWebhookDelivery({ ...hook, delivery_id: deliveries[0]?.id ?? 0 });
  expect(await refusal(api.rest.repos.redeliverWebhookDelivery({ ...hook, delivery_id: 99 }))).toBe('404 Not Found');
  await forge.waitFor(() => forge.deliveries[1]?.answer, AbortSignal.timeout(60_000));
  const first = await api.rest.repos.listWebhookDeliveries({ ...hook, per_page: 1 });
  expect(first.data).toMatchObject([{ redelivery: true, guid: deliveries[0]?.guid, status_code: 0 }]);
  expect(first.headers.link).toMatch(/^<.+[?&]cursor=v1_\d+>; rel="next"$/);
  const pages = await api.paginate(api.rest.repos.listWebhookDeliveries, { ...hook, per_page: 1 });
  expect(pages.map(({ redelivery }) => redelivery)).toEqual([true, false]);
  expect(await refusal(api.rest.repos.listWebhookDeliveries({ ...hook, cursor: 'v1_99' }))).toBe('422 cursor');
  expect(await refusal(reader.rest.repos.listWebhooks(names))).toMatch(/^403/);
});

test('a renamed repository is found by its former name', async () => {
  forge.renameRepository(fork, 'other');
  const { data } = await api.rest.repos.get({ owner: 'mallory', repo: 'shop' });
  expect(data.full_name).toBe('mallory/other');
  const url = `${forge.origin}/mallory/shop.git`;
  expect(await tree.git('ls-remote', url, 'refs/heads/topic')).toContain(topic);
  const { data: pull } = await api.rest.pulls.get({ ...names, pull_number: 1 });
  expect(pull.head.repo?.full_name).toBe('mallory/other');
  forge.deleteRepository(fork);
  expect(await refusal(api.rest.repos.get({ owner: 'mallory', repo: 'other' }))).toBe('404 Not Found');
});

test('every route was used, and every answer is as GitHub describes it', async () => {
  const operations = [...new Set(answers.map(({ operation }) => operation))].toSorted();
  if (description !== undefined) {
    const full = JSON.parse(await readFile(description, 'utf8')) as Record<string, unknown>;
    await writeFile(EXCERPT, `${JSON.stringify(extractOpenApi(full, operations), null, 1)}\n`);
  }
  const excerpt = JSON.parse(await readFile(EXCERPT, 'utf8')) as Excerpt;
  const check: CheckAnswer = createAnswerCheck(excerpt);
  const problems = answers.flatMap(({ operation, status, body }) => {
    const problem = check(operation, status, body);
    return problem === undefined ? [] : [`${operation} ${status}: ${problem}`];
  });
  expect(problems).toEqual([]);
  expect(operations).toEqual(Object.keys(excerpt.operations));
  const paths = forge.requests.map(({ method, path }) => `${method} ${decodeURIComponent(path.split('?')[0] ?? '')}`);
  const unused = createRoutes({} as ApiState).filter(
    ({ method, pattern }) =>
      !paths.some((path) => {
        const [, used, rest] = /^(\w+) \/api\/v3\/repos\/[^/]+\/[^/]+(.*)$/.exec(path) ?? [];
        return used === method && pattern.test(rest ?? '');
      }),
  );
  expect(unused.map(({ method, pattern }) => `${method} ${pattern.source}`)).toEqual([]);
});
