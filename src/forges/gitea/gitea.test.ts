import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BuildTarget, type CommitStatus, formatCommitStatus, parseRef } from '../../build/index.ts';
import { createForgeServer, type ForgeServer, type Repository as Bare } from '../../../dev/forge/index.ts';
import { createWorkTree, type WorkTree } from '../../../dev/forge/work-tree.ts';
import { createEnded, createState } from '../../../dev/telegram/build-states.ts';
import { createBuild } from '../../../test/fakes/sample-build.ts';
import type { Forge, Repository } from '../forge.ts';
import { createGitea } from './gitea.ts';

/** Runs the adapter against the development forge. */
const ADMIN = 'admin-token';
const WRITER = 'writer-token';
const READER = 'reader-token';
const { signal } = new AbortController();
const HEAD = { kind: 'proven', trust: 'other', isHead: true } as const;

let root: string;
let server: ForgeServer;
let gitea: Forge;
let tree: WorkTree;
let bare: Bare;
let fork: Bare;
let first: string;
let second: string;
let imposter: string;

// All tests share one repository, because git commands are slow.
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-gitea-test-'));
  const path = 'acme/shop';
  server = await createForgeServer({
    kind: 'gitea',
    root,
    users: [
      { login: 'ada', token: ADMIN, permissions: { [path]: 'admin' } },
      { login: 'bob', token: WRITER, permissions: { [path]: 'write' } },
      { login: 'eve', token: READER, permissions: { [path]: 'read' } },
    ],
  });
  bare = await server.createRepository({ owner: 'Acme', name: 'Shop' });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit({ 'c3.yaml': 'steps: []\n', 'dir/ü #%.yaml': 'odd', big: 'x'.repeat(65_537) }, 'first');
  second = await tree.commit({ 'c3.yaml': 'steps: [grüße]\n', big: 'x'.repeat(65_536) }, 'second');
  await tree.git('tag', 'light', first);
  await tree.git('tag', '--annotate', '--message', 'one', 'v1', first);
  await tree.git('tag', '--annotate', '--message', 'two', 'nested', 'v1');
  await tree.git('push', '--quiet', bare.path, `${first}:refs/heads/dev`, `${second}:refs/heads/reset`);
  await tree.git('push', '--quiet', bare.path, 'main', 'main:dev', 'main:release/1.x', '--tags');
  await tree.git('push', '--quiet', '--force', bare.path, `${first}:refs/heads/reset`);
  await vi.waitUntil(() => bare.pushLog.length === 6, 60_000);
  fork = await server.createFork(bare, 'mallory');
  imposter = await tree.commit({ 'c3.yaml': 'evil' }, 'imposter');
  await tree.git('push', '--quiet', fork.path, 'main:evil');
});

afterAll(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

beforeEach(() => {
  gitea = createGitea({
    origin: server.origin,
    apiBase: server.apiBase,
    retryPolicy: { callTimeoutMs: 10_000, idleTimeoutMs: 10_000, retryDelaysMs: [1, 1], maxRetryAfterMs: 1_000 },
    pausesMs: [1],
  });
});

afterEach(async () => {
  await gitea.close();
});

function open(token = ADMIN, name = 'shop'): Repository {
  return gitea.openRepository({ host: server.host, owner: 'acme', name }, token);
}

function push(sha: string, fullRef = 'refs/heads/main'): BuildTarget {
  return { ref: parseRef(fullRef)!, sha };
}

async function list(sha: string): Promise<CommitStatus[]> {
  return await Array.fromAsync(open().listStatuses(sha, signal));
}

describe('prove', () => {
  test.each([
    ['the head of the default branch', 'refs/heads/main', () => second, { ...HEAD, trust: 'protected' }],
    ['the head of a branch', 'refs/heads/release/1.x', () => second, HEAD],
    ['an older head by the log of pushes', 'refs/heads/dev', () => first, { ...HEAD, isHead: false }],
    ['the commit of a tag', 'refs/tags/light', () => first, HEAD],
    ['the commit of an annotated tag', 'refs/tags/v1', () => first, HEAD],
  ])('%s is proven', async (_, ref, sha, expected) => {
    expect(await open(WRITER).prove(push(sha(), ref), signal)).toEqual(expected);
  });

  test.each([
    ['an ancestor that never was the head', 'refs/heads/main', () => first, /^main has moved on to /],
    ['a head that a forced push removed', 'refs/heads/reset', () => second, /^reset has moved on to /],
    ["a fork's commit", 'refs/heads/main', () => imposter, /^main has moved on to /],
    ['an unknown commit', 'refs/heads/main', () => 'f'.repeat(40), /^main has moved on to /],
    ['a newer commit on an older tag', 'refs/tags/light', () => second, /^light has moved on to /],
    ['a branch that does not exist', 'refs/heads/a%2fb?c#d', () => second, / no longer exists$/],
    ['the commit of a tag of a tag', 'refs/tags/nested', () => first, /^nested has moved on to /],
    ['a tag that does not exist', 'refs/tags/gone', () => second, / no longer exists$/],
  ])('%s is refused', async (_, ref, sha, message) => {
    const proof = await open().prove(push(sha(), ref), signal);
    expect(proof).toMatchObject({ kind: 'refused', message: expect.stringMatching(message) as string });
  });

  test('a token that may only read, or that cannot see the repository, is refused', async () => {
    const message = `the token may not push to ${server.host}/acme/shop`;
    expect(await open(READER).prove(push(second), signal)).toEqual({ kind: 'refused', message });
    expect(await open(READER).checkAccess(signal)).toBe(message);
    expect(await open(WRITER).checkAccess(signal)).toBeUndefined();
    expect(await open(ADMIN, 'other').checkAccess(signal)).toBe(
      `the token cannot see ${server.host}/acme/other: the forge answers 404 "The target couldn't be found."`,
    );
  });

  test('a token that is not valid is a fault', async () => {
    await expect(open('revoked').prove(push(second), signal)).rejects.toMatchObject({ code: 'FORGE_UNAUTHORIZED' });
  });

  test('a push is found in the log', async () => {
    expect(await open().readPush(push(second, 'refs/heads/dev'), signal)).toEqual({ before: first });
    expect(await open().readPush(push(second), signal)).toEqual({ before: undefined });
    expect(await open().readPush(push(first), signal)).toBeUndefined();
  });
});

describe('a commit', () => {
  test('has files', async () => {
    expect(await open().readFile('c3.yaml', first, signal)).toEqual({ kind: 'found', text: 'steps: []\n' });
    expect(await open().readFile('dir/ü #%.yaml', second, signal)).toEqual({ kind: 'found', text: 'odd' });
    expect(await open().readFile('big', second, signal)).toMatchObject({ kind: 'found' });
    expect(await open().readFile('big', first, signal)).toEqual({ kind: 'too-large', maxBytes: 65_536 });
    for (const path of ['nothing', 'dir', 'c3.yaml/x']) {
      expect(await open().readFile(path, first, signal)).toEqual({ kind: 'missing' });
    }
  });

  test('has a subject and an author', async () => {
    expect(await open().readCommit(first, signal)).toEqual({ subject: 'first', author: 'forge' });
    expect(await open().readCommit('f'.repeat(40), signal)).toBeUndefined();
  });

  test('has changed paths, if the commit before is an ancestor', async () => {
    expect(await open().changedPaths(first, second, signal)).toEqual(['big', 'c3.yaml']);
    expect(await open().changedPaths(second, first, signal)).toBeUndefined();
    expect(await open().changedPaths('f'.repeat(40), second, signal)).toBeUndefined();
  });
});

describe('statuses', () => {
  const build = createBuild({ ref: { kind: 'branch', name: 'main' } });
  const running = formatCommitStatus(createState({ kind: 'running' }, { build }));
  const failed = formatCommitStatus(createEnded({ kind: 'config-error', message: 'c3.yaml:1:1 no steps' }, { build }));

  test('are read as they were written, the newest first, over all pages', async () => {
    for (let count = 0; count < 51; count += 1) await open().setStatus(second, running, signal);
    await open().setStatus(second, failed, signal);
    const { context, state, description } = failed;
    const read = await list(second);
    expect(read).toHaveLength(52);
    expect(read[0]).toEqual({ context, state, description });
  });

  test('without the right, and of an unknown commit, are a fault', async () => {
    const setting = open(READER).setStatus(second, running, signal);
    await expect(setting).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot set the status of ${second.slice(0, 12)} in ${server.host}/acme/shop: the forge answers 403 "user should have a permission to write to a repo"`,
      hint: 'the token needs the scope "write:repository", and its user must be allowed to push',
    });
    const unknown = open().setStatus('f'.repeat(40), running, signal);
    await expect(unknown).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    expect(await list('f'.repeat(40))).toEqual([]);
  });
});

describe('pull requests', () => {
  test('of the same repository and of a fork are read, and have statuses', async () => {
    await tree.git('push', '--quiet', bare.path, `${second}:refs/heads/topic`);
    const own = await server.pulls.open({
      repository: bare,
      head: { repository: bare, branch: 'topic' },
      base: 'dev',
      author: 'bob',
      isDraft: true,
    });
    expect(await open().readPull(own.number, signal)).toEqual({
      number: own.number,
      sha: second,
      head: 'topic',
      base: 'dev',
      isDraft: true,
      isFork: false,
      isOpen: true,
      isPublic: true,
      baseSha: undefined,
      commit: { subject: 'WIP: Merge topic', author: 'bob' },
    });
    const foreign = await server.pulls.open({
      repository: bare,
      head: { repository: fork, branch: 'evil' },
      author: 'mallory',
    });
    expect(await open().readPull(foreign.number, signal)).toMatchObject({
      isFork: true,
      sha: imposter,
      baseSha: second,
    });
    expect(await open().pullPaths({ number: foreign.number, base: 'main' }, imposter, signal)).toEqual(['c3.yaml']);
    const pull = { number: foreign.number, base: 'main', head: 'evil', isDraft: false, isFork: true };
    const build = createBuild({ event: 'pull_request', ref: { kind: 'pull', name: String(foreign.number) }, pull });
    const waiting = formatCommitStatus(createEnded({ kind: 'needs-approval', message: '1a2b3c4' }, { build }));
    await open().setStatus(imposter, waiting, signal);
    await open().setStatus(imposter, formatCommitStatus(createState({ kind: 'running' }, { build })), signal);
    expect((await list(imposter)).map(({ description }) => description)).toEqual([
      expect.stringMatching(/^running /),
      expect.stringMatching(/^needs approval: 1a2b3c4 /),
    ]);
    await server.pulls.close(foreign);
    expect(await open().readPull(foreign.number, signal)).toMatchObject({ isOpen: false });
    expect(await open().readPull(99, signal)).toBeUndefined();
  });

  test('have comments of those who may push, and of others', async () => {
    const pull = server.pulls.find(bare, 1)!;
    const may = async (author: string, change: object = {}): Promise<string | undefined> => {
      const { id, text, createdAt } = await server.pulls.comment(pull, author, '/retest');
      return await open().mayApprove({ pull: 1, id: String(id), author, text, createdAt, ...change }, signal);
    };
    expect(await may('bob')).toBeUndefined();
    expect(await may('eve')).toBe('eve may not push');
    expect(await may('mallory')).toBe('mallory may not push');
    expect(await may('eve', { author: 'bob' })).toMatch(/^the comment at the forge has another/);
    expect(await may('bob', { pull: 2 })).toMatch(/^the comment at the forge has another/);
    expect(await may('bob', { id: '4711' })).toBe('the forge has no such comment');
    const { id, text, createdAt } = await server.pulls.comment(pull, 'ada', '/retest');
    const comment = { pull: 1, id: String(id), author: 'ada', text, createdAt };
    expect(await open(WRITER).mayApprove(comment, signal)).toMatch(/give c3 the token of an administrator/);
  });
});

test('git reads the repository with the header', async () => {
  const { url, urlPrefix, header, secrets } = open().gitAccess();
  expect(url).toBe(`${server.origin}/acme/shop.git`);
  expect(await tree.git('-c', `http.${urlPrefix}.extraHeader=${header}`, 'ls-remote', url, 'main')).toContain(second);
  expect(Buffer.from(secrets[1] ?? '', 'base64').toString()).toBe(`c3:${ADMIN}`);
  expect(header).toBe(`Authorization: Basic ${secrets[1]}`);
  expect(open().gitAccess('anonymous')).toEqual({ url, urlPrefix, header: '', secrets: [] });
  expect(await open().fetchPack?.({ want: second, have: first, isShallow: false }, signal)).toBeInstanceOf(Uint8Array);
});

test('links lead to pages of the forge', () => {
  const { repository, commit } = open().urls(first);
  expect([repository, commit]).toEqual([`${server.origin}/acme/shop`, `${server.origin}/acme/shop/commit/${first}`]);
  expect(open().lineUrl('c3.yaml', first, 3)).toBe(`${repository}/src/commit/${first}/c3.yaml#L3`);
});

test('a scope on another host is refused', () => {
  const scope = { host: 'codeberg.org', owner: 'acme', name: 'shop' };
  expect(() => gitea.openRepository(scope, ADMIN)).toThrow(expect.objectContaining({ code: 'SCOPE_REFUSED' }));
});

test('the forge received only requests that it knows', () => {
  expect(server.requests.filter(({ isUnexpected }) => isUnexpected)).toEqual([]);
});
