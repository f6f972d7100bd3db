import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gitlab } from '@gitbeaker/rest';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { deadline } from '../../../test/time-limits.ts';
import { createForgeServer, type ForgeServer, type Repository } from '../index.ts';
import { createWorkTree, type WorkTree } from '../work-tree.ts';

/** Drives the development forge with a client of GitLab that others wrote. */
const PROJECT = 'Acme/web/shop';
const TOKEN = 'owner-token';

let root: string;
let forge: ForgeServer;
let project: Repository;
let tree: WorkTree;
let receiver: Server;
let received: { headers: IncomingHttpHeaders; body: string }[];
let first: string;
let second: string;
let api: InstanceType<typeof Gitlab>;
let developer: InstanceType<typeof Gitlab>;

const open = (token: string): InstanceType<typeof Gitlab> => new Gitlab({ host: forge.origin, token });

// All tests share one project, because git commands are slow.
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-gitlab-kit-'));
  forge = await createForgeServer({
    kind: 'gitlab',
    root,
    users: [
      { login: 'ada', token: TOKEN, permissions: { '*': 'admin' } },
      { login: 'bob', token: 'developer-token', permissions: { 'acme/web/shop': 'write' } },
      { login: 'eve', token: 'stranger-token', permissions: {} },
    ],
  });
  received = [];
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.writeHead(202).end('taken');
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  project = await forge.createRepository({ owner: 'Acme/web', name: 'shop' });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit({ 'a.txt': 'one\n', 'dir/ü #.txt': 'odd' }, 'First\n\nbody');
  second = await tree.commit({ 'a.txt': 'two\n' }, 'Second');
  await tree.git('tag', 'light', first);
  await tree.git('tag', '--annotate', '--message', 'one', 'v1', first);
  await tree.git('push', '--quiet', project.path, 'main', `${first}:refs/heads/topic/a`, '--tags');
  // The server processes the push later.
  await vi.waitUntil(() => project.pushLog.length === 2, 60_000);
  api = open(TOKEN);
  developer = open('developer-token');
});

afterAll(async () => {
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
  await forge.close();
  await rm(root, { recursive: true });
});

/** The status and the description of a refusal. */
async function refusal(asking: Promise<unknown>): Promise<string> {
  const error = (await asking.then(
    () => undefined,
    (reason: unknown) => reason,
  )) as { cause?: { description?: string; response?: Response } } | undefined;
  return `${error?.cause?.response?.status} ${error?.cause?.description}`;
}

describe('a project', () => {
  test('shows its path, its branches and the role of the token', async () => {
    expect(await api.Projects.show(PROJECT)).toMatchObject({
      path_with_namespace: PROJECT,
      default_branch: 'main',
      visibility: 'public',
      permissions: { project_access: { access_level: 40 }, group_access: null },
    });
    expect(await open('stranger-token').Projects.show('acme/web/shop')).toMatchObject({
      permissions: { project_access: null },
    });
    expect((await api.Branches.all(PROJECT)).map(({ name }) => name)).toEqual(['main', 'topic/a']);
    expect(await api.Branches.show(PROJECT, 'topic/a')).toMatchObject({ commit: { id: first }, protected: false });
    expect(await api.Branches.show(PROJECT, 'main')).toMatchObject({ commit: { id: second }, protected: true });
  });

  test('refuses what GitLab refuses', async () => {
    expect(await refusal(open('unknown').Projects.show(PROJECT))).toBe('401 401 Unauthorized');
    expect(await refusal(api.Projects.show('acme/web/other'))).toBe('404 404 Project Not Found');
    expect(await refusal(api.Branches.show(PROJECT, 'gone'))).toBe('404 404 Branch Not Found');
    expect(await refusal(api.Commits.show(PROJECT, 'f'.repeat(40)))).toBe('404 404 Commit Not Found');
  });

  test('shows tags with the commit that they point at', async () => {
    const tagObject = await tree.git('rev-parse', 'v1');
    expect(await api.Tags.show(PROJECT, 'light')).toMatchObject({ target: first, commit: { id: first } });
    expect(await api.Tags.show(PROJECT, 'v1')).toMatchObject({ target: tagObject, commit: { id: first } });
  });

  test('shows commits, files, comparisons and common ancestors', async () => {
    expect(await api.Commits.show(PROJECT, first)).toMatchObject({ title: 'First', author_name: 'forge' });
    expect(await api.RepositoryFiles.showRaw(PROJECT, 'dir/ü #.txt', first)).toBe('odd');
    expect(await api.Repositories.compare(PROJECT, first, second, { straight: true })).toMatchObject({
      commits: [{ id: second }],
      diffs: [{ old_path: 'a.txt', new_path: 'a.txt' }],
      compare_timeout: false,
    });
    expect(await api.Repositories.mergeBase(PROJECT, [first, second])).toMatchObject({ id: first });
    expect((await api.Commits.allReferences(PROJECT, first, { type: 'tag' })).map(({ name }) => name)).toEqual([
      'light',
      'v1',
    ]);
  });

  test('has a log of pushes, the newest first', async () => {
    const events = await api.Events.all({ projectId: PROJECT, action: 'pushed' });
    expect(events.map((event) => event['push_data'])).toMatchObject([
      { action: 'created', ref_type: 'branch', ref: 'topic/a', commit_from: null, commit_to: first },
      { action: 'created', ref_type: 'branch', ref: 'main', commit_from: null, commit_to: second },
    ]);
  });
});

test('a push of more than three branches sends nothing, and is one entry of the log', async () => {
  const before = forge.deliveries.length;
  const branches = ['b1', 'b2', 'b3', 'b4'];
  await tree.git('push', '--quiet', project.path, ...branches.map((name) => `${first}:refs/heads/${name}`));
  await vi.waitUntil(() => project.pushLog.length === 6, 60_000);
  const [newest] = await api.Events.all({ projectId: PROJECT, action: 'pushed' });
  expect(newest?.['push_data']).toMatchObject({ ref: null, ref_count: 4, commit_to: null });
  expect(forge.deliveries.length).toBe(before);
  await tree.git('push', '--quiet', project.path, '--delete', ...branches);
  await vi.waitUntil(() => project.pushLog.length === 10, 60_000);
});

describe('a commit status', () => {
  test('changes while it runs, and a new one follows one that has ended', async () => {
    const options = { name: 'c3/push', ref: 'topic/a' };
    const one = await developer.Commits.editStatus(PROJECT, first, 'running', { ...options, description: 'running' });
    const same = await developer.Commits.editStatus(PROJECT, first, 'success', { ...options, description: 'passed' });
    const next = await developer.Commits.editStatus(PROJECT, first, 'pending', options);
    expect([same.id === one.id, next.id === one.id]).toEqual([true, false]);
    const list = async (all: boolean): Promise<unknown[]> =>
      (await api.Commits.allStatuses(PROJECT, first, { all, ref: 'topic/a' })).map(({ status }) => status);
    expect(await list(true)).toEqual(['success', 'pending']);
    expect(await list(false)).toEqual(['pending']);
    expect(await refusal(developer.Commits.editStatus(PROJECT, first, 'pending', options))).toMatch(
      /^400 Cannot transition status via :enqueue from :pending /,
    );
    await developer.Commits.editStatus(PROJECT, first, 'running', options);
    expect(await refusal(developer.Commits.editStatus(PROJECT, first, 'running', options))).toMatch(
      /^400 Cannot transition status via :run from :running /,
    );
  });

  test('belongs to the newest pipeline of its commit if it names no ref', async () => {
    await api.Commits.editStatus(PROJECT, second, 'success', { name: 'lint', ref: 'main' });
    const status = await api.Commits.editStatus(PROJECT, second, 'success', { name: 'test' });
    expect(status).toMatchObject({ ref: 'main', sha: second, name: 'test' });
  });

  test.each([
    ['a long link', { target_url: `https://c3.example/${'x'.repeat(240)}` }, /^400 \{"target_url":\["is too long/],
    ['a link without a scheme', { target_url: 'c3.example' }, /^400 \{"target_url"/],
    ['a long description', { description: 'x'.repeat(256) }, /^400 \{"description":\["is too long/],
  ])('with %s is refused', async (_, change, message) => {
    const response = await fetch(`${forge.apiBase}/projects/${encodeURIComponent(PROJECT)}/statuses/${first}`, {
      method: 'POST',
      headers: { 'private-token': TOKEN, 'content-type': 'application/json' },
      body: JSON.stringify({ state: 'success', name: 'x', ref: 'topic/a', ...change }),
    });
    const body = (await response.json()) as { message: unknown };
    expect(`${response.status} ${JSON.stringify(body.message)}`).toMatch(message);
  });

  test('of an unknown commit, or of a protected branch without the role, is refused', async () => {
    const set = (client: typeof api, sha: string, ref: string): Promise<unknown> =>
      client.Commits.editStatus(PROJECT, sha, 'success', { ref, name: 'x' });
    expect(await refusal(set(api, 'f'.repeat(40), 'main'))).toBe('404 404 Commit Not Found');
    expect(await refusal(set(developer, second, 'main'))).toBe('403 403 Forbidden');
    expect(await refusal(set(open('stranger-token'), first, 'topic/a'))).toBe('403 403 Forbidden');
  });
});

test('a member has a role, and a stranger none', async () => {
  const merge = await api.MergeRequests.create(PROJECT, 'topic/a', 'main', 'Draft: Topic');
  expect(merge).toMatchObject({ iid: 1, draft: true, sha: first, source_branch: 'topic/a', state: 'opened' });
  const note = await developer.MergeRequestNotes.create(PROJECT, 1, '/retest');
  expect(await api.MergeRequestNotes.show(PROJECT, 1, note.id)).toMatchObject({
    body: '/retest',
    system: false,
    noteable_type: 'MergeRequest',
    author: { username: 'bob' },
  });
  const show = (id: number): Promise<unknown> => api.ProjectMembers.show(PROJECT, id, { includeInherited: true });
  expect(await show(note.author.id)).toMatchObject({ access_level: 30, username: 'bob' });
  const stranger = await open('stranger-token').MergeRequestNotes.create(PROJECT, 1, 'hi');
  expect(await refusal(show(stranger.author.id))).toMatch(/^404 /);
  await api.MergeRequests.edit(PROJECT, 1, { title: 'Topic' });
  expect(await api.MergeRequests.show(PROJECT, 1)).toMatchObject({ draft: false, title: 'Topic' });
  await api.MergeRequests.edit(PROJECT, 1, { stateEvent: 'close' });
  expect(await api.MergeRequests.show(PROJECT, 1)).toMatchObject({ state: 'closed' });
});

describe('a webhook', () => {
  const urlOf = (): string => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  const key = randomBytes(32);
  const signingToken = `whsec_${key.toString('base64')}`;

  test('is created, read back without its tokens, and signs its deliveries', async () => {
    // The client sends every option, and its types do not have `signingToken` yet.
    const options = { token: 'secret', signingToken, tagPushEvents: true, mergeRequestsEvents: true };
    const { id } = await api.ProjectHooks.add(PROJECT, urlOf(), options);
    const shown = await api.ProjectHooks.show(PROJECT, id);
    expect(shown).toMatchObject({ push_events: true, note_events: false, alert_status: 'executable' });
    expect(shown).toMatchObject({ token_present: true, signing_token_present: true });
    expect(JSON.stringify(shown)).not.toContain(key.toString('base64'));

    const sha = await tree.commit({ 'b.txt': 'b' }, 'Third');
    await tree.git('push', '--quiet', project.path, 'main', 'HEAD:refs/tags/v2');
    await forge.waitFor(
      () => (forge.deliveries.filter(({ answer }) => answer).length === 2 ? true : undefined),
      deadline(),
    );
    expect(new Set(received.map(({ headers }) => headers['x-gitlab-event']))).toEqual(
      new Set(['Push Hook', 'Tag Push Hook']),
    );
    for (const { headers, body } of received) {
      const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
      const signature = createHmac('sha256', key).update(content).digest('base64');
      expect(headers).toMatchObject({ 'webhook-signature': `v1,${signature}`, 'x-gitlab-token': 'secret' });
      expect(JSON.parse(body)).toMatchObject({ checkout_sha: sha, project: { path_with_namespace: PROJECT } });
    }
  });

  test.each([
    ['a URL that is none', { url: 'ftp://x' }, 422],
    ['a signing token of 16 bytes', { url: 'http://x', signing_token: `whsec_${'A'.repeat(22)}==` }, 422],
    ['a signing token in base64url', { url: 'http://x', signing_token: `whsec_${'_'.repeat(43)}=` }, 422],
  ])('with %s is refused', async (_, body, status) => {
    const response = await fetch(`${forge.apiBase}/projects/${encodeURIComponent(PROJECT)}/hooks`, {
      method: 'POST',
      headers: { 'private-token': TOKEN, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(status);
  });

  test('is not shown to a developer', async () => {
    expect(await refusal(developer.ProjectHooks.all(PROJECT))).toBe('403 403 Forbidden');
  });
});

test('a request that the forge does not know is recorded', async () => {
  await expect(api.Pipelines.all(PROJECT)).rejects.toThrow('Not Found');
  expect(forge.requests.filter(({ isUnexpected }) => isUnexpected).map(({ path }) => path)).toEqual([
    `/api/v4/projects/${encodeURIComponent(PROJECT)}/pipelines`,
  ]);
});
