import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type BuildTarget, type CommitStatus, parseRef } from '../../build/index.ts';
import { createForgeServer, type ForgeServer, type LoggedRequest } from '../../../dev/forge/index.ts';
import type { Repository as Bare } from '../../../dev/forge/index.ts';
import { createWorkTree, type WorkTree } from '../../../dev/forge/work-tree.ts';
import type { Repository } from '../forge.ts';
import type { Forge } from '../forge.ts';
import { createGithub } from './github.ts';
import { deadline } from '../../../test/time-limits.ts';

const OWNER = 'owner-token';
const READER = 'reader-token';
const ZERO = '0'.repeat(40);
const { signal } = new AbortController();
const HEAD_OF_MAIN = { kind: 'proven', trust: 'protected', isHead: true } as const;

let root: string;
let server: ForgeServer;
let github: Forge;
let tree: WorkTree;
let bare: Bare;
let first: string;
let second: string;
let imposter: string;
let tagObject: string;

// All tests share one repository, because git commands are slow.
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-github-test-'));
  server = await createForgeServer({ root });
  bare = await server.createRepository({ owner: 'Acme', name: 'Shop', isPrivate: true });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit(
    { 'c3.yaml': 'steps: []\n', 'dir/ü #%.yaml': 'odd', big: 'x'.repeat(64 * 1024 + 1) },
    'first',
  );
  second = await tree.commit({ 'c3.yaml': 'steps: [grüße]\n', big: 'x'.repeat(64 * 1024) }, 'second');
  await tree.git('tag', 'light', first);
  await tree.git('tag', '--annotate', '--message', 'one', 'v1', first);
  await tree.git('tag', '--annotate', '--message', 'two', 'nested', 'v1');
  tagObject = await tree.git('rev-parse', 'v1');
  await tree.git('push', '--quiet', bare.path, `${first}:refs/heads/dev`);
  await tree.git('push', '--quiet', bare.path, 'main', 'main:dev', 'main:release/1.x', 'main:tags/ghost', '--tags');
  // The server processes the pushes later.
  await vi.waitUntil(() => bare.pushLog.length === 5, 60_000);
  const fork = await server.createFork(bare, 'mallory');
  imposter = await tree.commit({ 'c3.yaml': 'evil' }, 'imposter');
  await tree.git('push', '--quiet', fork.path, 'main:evil');
});

afterAll(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

beforeEach(() => {
  server.setUser({ login: 'acme', token: OWNER, permissions: { 'acme/shop': 'write' } });
  server.setUser({ login: 'bob', token: READER, permissions: { 'acme/shop': 'read' } });
  bare.protectedBranches.clear();
  github = createGithub({
    origin: server.origin,
    apiBase: server.apiBase,
    retryPolicy: { callTimeoutMs: 10_000, idleTimeoutMs: 10_000, retryDelaysMs: [1, 1], maxRetryAfterMs: 1_000 },
    pausesMs: [1],
  });
});

afterEach(async () => {
  await github.close();
});

function open(token = OWNER, name = 'shop'): Repository {
  return github.openRepository({ host: server.host, owner: 'acme', name }, token);
}

function push(sha: string, fullRef = 'refs/heads/main'): BuildTarget {
  return { ref: parseRef(fullRef)!, sha };
}

/** Waits for `count` requests after the first `start`, and returns them. */
function requested(start: number, count: number): Promise<LoggedRequest[]> {
  const find = (): LoggedRequest[] | undefined => {
    const requests = server.requests.slice(start);
    return requests.length < count ? undefined : requests;
  };
  return server.waitFor(find, deadline());
}

describe('prove', () => {
  test('the head of a branch is proven', async () => {
    expect(await open().prove(push(second), signal)).toEqual(HEAD_OF_MAIN);
  });

  test('a protected branch is trusted', async () => {
    server.protectBranch(bare, 'release/1.x');
    expect(await open().prove(push(second, 'refs/heads/release/1.x'), signal)).toEqual(HEAD_OF_MAIN);
    expect(await open().prove(push(second, 'refs/heads/dev'), signal)).toEqual({ ...HEAD_OF_MAIN, trust: 'other' });
  });

  test('an older head of the branch is proven by the log of pushes', async () => {
    const expected = { ...HEAD_OF_MAIN, trust: 'other', isHead: false };
    expect(await open().prove(push(first, 'refs/heads/dev'), signal)).toEqual(expected);
  });

  test('an ancestor that never was the head is refused', async () => {
    const message = `main has moved on to ${second.slice(0, 7)}`;
    expect(await open().prove(push(first), signal)).toEqual({ kind: 'refused', message });
  });

  test.each(['light', 'v1', 'nested'])('the commit of the tag %s is proven', async (tag) => {
    const expected = { ...HEAD_OF_MAIN, trust: 'other' };
    expect(await open().prove(push(first, `refs/tags/${tag}`), signal)).toEqual(expected);
  });

  test('two requests at the same time prove a push', async () => {
    const start = server.requests.length;
    await open().prove(push(second), signal);
    const requests = await requested(start, 2);
    expect(requests.map(({ path }) => path).sort()).toEqual([
      '/api/v3/repos/acme/shop',
      '/api/v3/repos/acme/shop/branches/main',
    ]);
  });

  test("a fork's commit is refused, although the forge shows it", async () => {
    const { status } = await fetch(`${server.apiBase}/repos/acme/shop/commits/${imposter}`, {
      headers: { authorization: `Bearer ${OWNER}`, 'user-agent': 'test' },
    });
    expect(status).toBe(200);
    const message = `main has moved on to ${second.slice(0, 7)}`;
    expect(await open().prove(push(imposter), signal)).toEqual({ kind: 'refused', message });
  });

  test.each([
    ['an unknown commit', 'refs/heads/main', ZERO.replace('0', 'f'), /^main has moved on to /],
    ['a newer commit on an older tag', 'refs/tags/light', '', /^light has moved on to /],
  ])('%s is refused', async (_, ref, sha, message) => {
    expect(await open().prove(push(sha || second, ref), signal)).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(message) as string,
    });
  });

  test.each(['refs/heads/gone', 'refs/tags/gone', 'refs/tags/ghost', 'refs/heads/a%2fb?c#d'])(
    '%s does not exist',
    async (ref) => {
      expect(await open().prove(push(second, ref), signal)).toEqual({
        kind: 'refused',
        message: `ref ${ref} no longer exists`,
      });
    },
  );

  test('the tag object itself is not the commit', async () => {
    expect(await open().prove(push(tagObject, 'refs/tags/v1'), signal)).toMatchObject({ kind: 'refused' });
  });

  test('a token that may only read is refused', async () => {
    const message = `the token may not push to ${server.host}/acme/shop`;
    expect(await open(READER).prove(push(second), signal)).toEqual({ kind: 'refused', message });
    expect(await open(READER).checkAccess(signal)).toBe(message);
    expect(await open().checkAccess(signal)).toBeUndefined();
  });

  test('a repository that the token cannot see is refused', async () => {
    const message = `the token cannot see ${server.host}/acme/other: the forge answers 404 "Not Found"`;
    expect(await open(OWNER, 'other').prove(push(second), signal)).toEqual({ kind: 'refused', message });
  });

  test('a token that was revoked is a fault', async () => {
    server.revokeToken(OWNER);
    await expect(open().prove(push(second), signal)).rejects.toMatchObject({
      code: 'FORGE_UNAUTHORIZED',
      message: 'The forge does not accept the token',
    });
  });

  test.each([
    ['a redirect', { status: 301, headers: { location: 'http://127.0.0.1:1/' } }],
    ['another name', { status: 200, body: '{"full_name":"acme/new-shop","permissions":{"push":true}}' }],
    ['no JSON', { status: 200, body: '<html>' }],
  ])('a repository that answers with %s is refused', async (_, fault) => {
    server.faults.add({ match: /repos\/acme\/shop$/, kind: 'status', times: 1, ...fault });
    const message = `${server.host}/acme/shop was renamed or moved; seal the token for its new name`;
    expect(await open().prove(push(second), signal)).toEqual({ kind: 'refused', message });
  });

  test.each([
    ['a renamed branch', '{"name":"trunk","commit":{"sha":"x"}}', 200, 'no longer exists'],
    ['no JSON', 'null', 200, 'no longer exists'],
    ['a redirect', '', 301, 'no longer exists'],
    [
      '403',
      '{"message":"no\\u001b way"}',
      403,
      'the forge does not show ref refs/heads/main: the forge answers 403 "no way"',
    ],
  ])('a branch that answers with %s is refused', async (_, body, status, message) => {
    const stop = server.faults.add({ match: /branches\/main$/, kind: 'status', status, body });
    const proof = await open().prove(push(second), signal);
    stop();
    expect(proof).toMatchObject({ kind: 'refused', message: expect.stringContaining(message) as string });
  });

  test('a forge whose replica lags is asked again', async () => {
    server.faults.add({ match: /branches\/main$/, kind: 'status', status: 404, times: 1 });
    expect(await open().prove(push(second), signal)).toMatchObject({ kind: 'proven' });
  });

  test('a forge that is down is a fault', async () => {
    const stop = server.faults.add({ match: /./, kind: 'cut' });
    await expect(open().prove(push(second), signal)).rejects.toMatchObject({ code: 'FORGE_UNREACHABLE' });
    stop();
  });
});

describe('readFile', () => {
  test('reads a file as it was at the commit', async () => {
    expect(await open().readFile('c3.yaml', first, signal)).toEqual({ kind: 'found', text: 'steps: []\n' });
    expect(await open().readFile('c3.yaml', second, signal)).toEqual({ kind: 'found', text: 'steps: [grüße]\n' });
    expect(await open().readFile('dir/ü #%.yaml', second, signal)).toEqual({ kind: 'found', text: 'odd' });
  });

  test.each(['nothing.yaml', 'dir', 'c3.yaml/x'])('%s is missing', async (path) => {
    expect(await open().readFile(path, first, signal)).toEqual({ kind: 'missing' });
  });

  test('a file of 64 KiB is read, and one byte more is too large', async () => {
    expect(await open().readFile('big', second, signal)).toMatchObject({ kind: 'found' });
    expect(await open().readFile('big', first, signal)).toEqual({ kind: 'too-large', maxBytes: 65_536 });
  });

  test("a refusal quotes the forge's message", async () => {
    const body = '{"message":"Resource not accessible by personal access token"}';
    server.faults.add({ match: /contents/, kind: 'status', status: 403, body, times: 1 });
    await expect(open().readFile('c3.yaml', first, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot read c3.yaml of ${server.host}/acme/shop at ${first.slice(0, 12)}: the forge answers 403 "Resource not accessible by personal access token"`,
    });
  });
});

describe('setStatus', () => {
  test('sets the status with and without a target', async () => {
    const targetUrl = 'https://c3.example/b/x';
    await open().setStatus(second, { context: 'c3/push', state: 'pending', description: 'running', targetUrl }, signal);
    await open().setStatus(second, { context: 'c3/push', state: 'success', description: 'passed' }, signal);
    const base = { repository: 'Acme/Shop', sha: second, context: 'c3/push', creator: 'acme' };
    expect(server.statuses.slice(-2)).toMatchObject([
      { ...base, state: 'pending', description: 'running', targetUrl },
      { ...base, state: 'success', description: 'passed', targetUrl: null },
    ]);
  });

  test('a status for an unknown commit, or without the right, is a fault', async () => {
    const status = { context: 'c3/push', state: 'error', description: '' } as const;
    const message = `Cannot set the status of ffffffffffff in ${server.host}/acme/shop: the forge answers`;
    await expect(open().setStatus('f'.repeat(40), status, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `${message} 422 "No commit found for SHA: ${'f'.repeat(40)}"`,
    });
    await expect(open(READER).setStatus('f'.repeat(40), status, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `${message} 403 "Resource not accessible by personal access token"`,
      hint: 'the token needs the right "Commit statuses: write"',
    });
  });
});

async function list(sha: string): Promise<CommitStatus[]> {
  const statuses: CommitStatus[] = [];
  for await (const status of open().listStatuses(sha, signal)) statuses.push(status);
  return statuses;
}

describe('listStatuses', () => {
  test('lists the statuses of c3, the newest first, and none of other services', async () => {
    const sha = await tree.commit({ listed: 'x' }, 'listed');
    await tree.git('push', '--quiet', bare.path, `${sha}:refs/heads/listed`);
    await open().setStatus(sha, { context: 'c3/push', state: 'pending', description: 'running' }, signal);
    await fetch(`${server.apiBase}/repos/acme/shop/statuses/${sha}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${OWNER}`, 'user-agent': 'test' },
      body: JSON.stringify({ state: 'success', context: 'lint', description: 'fine (build forged)' }),
    });
    await open().setStatus(sha, { context: 'c3/push', state: 'failure', description: 'failed' }, signal);
    expect(await list(sha)).toEqual([
      { context: 'c3/push', state: 'failure', description: 'failed' },
      { context: 'c3/push', state: 'pending', description: 'running' },
    ]);
    expect(await list('f'.repeat(40))).toEqual([]);
  });

  test('reads beyond the first page', async () => {
    await open().setStatus(first, { context: 'c3/push', state: 'success', description: 'old' }, signal);
    for (let count = 0; count < 100; count += 1) {
      await open().setStatus(first, { context: 'c3/push', state: 'success', description: '' }, signal);
    }
    expect((await list(first)).at(-1)).toEqual({ context: 'c3/push', state: 'success', description: 'old' });
  });

  test.each([
    ['403', { status: 403, body: '{"message":"no"}' }, 'the forge answers 403 "no"'],
    ['no list', { status: 200, body: '{}' }, 'the forge answers 200'],
  ])('a response of %s is a fault', async (_, answer, words) => {
    server.faults.add({ match: /statuses/, kind: 'status', times: 1, ...answer });
    await expect(list(first)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot read the statuses of ${first.slice(0, 12)} in ${server.host}/acme/shop: ${words}`,
    });
  });
});

describe('changedPaths', () => {
  test('lists the paths that a push changed, with both names of a moved file', async () => {
    await tree.git('switch', '--quiet', '--detach', second);
    await tree.git('mv', 'big', 'moved');
    await tree.git('rm', '--quiet', 'dir/ü #%.yaml');
    const third = await tree.commit({ 'c3.yaml': 'changed', 'src/ü x': '' }, 'third');
    await tree.git('push', '--quiet', bare.path, `${third}:refs/heads/moved`);
    expect((await open().changedPaths(second, third, signal))?.toSorted()).toEqual([
      'big',
      'c3.yaml',
      'dir/ü #%.yaml',
      'moved',
      'src/ü x',
    ]);
  });

  test.each([
    ['the commit before is not an ancestor', () => [second, first]],
    ['the forge does not know the commit before', () => ['f'.repeat(40), second]],
  ])('returns undefined if %s', async (_, pair) => {
    const [before = '', sha = ''] = pair();
    expect(await open().changedPaths(before, sha, signal)).toBeUndefined();
  });

  test('returns undefined if the list may be incomplete, or if the forge is not reachable', async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`many/${index}`, '']));
    await tree.git('switch', '--quiet', '--detach', second);
    const wide = await tree.commit(files, 'wide');
    await tree.git('push', '--quiet', bare.path, `${wide}:refs/heads/wide`);
    expect(await open().changedPaths(second, wide, signal)).toBeUndefined();
    const stop = server.faults.add({ match: /compare/, kind: 'cut' });
    expect(await open().changedPaths(first, second, signal)).toBeUndefined();
    stop();
    expect(await open().changedPaths(first, second, signal)).toEqual(['big', 'c3.yaml']);
  });
});

test('retries after a 403 with Retry-After, and reports a secondary rate limit', async () => {
  const fault = { match: /contents/, kind: 'status', status: 403, times: 1 } as const;
  server.faults.add({ ...fault, headers: { 'retry-after': '0' } });
  expect(await open().readFile('c3.yaml', first, signal)).toMatchObject({ kind: 'found' });
  server.faults.add({ ...fault, body: '{"message":"You have exceeded a secondary rate limit."}' });
  await expect(open().readFile('c3.yaml', first, signal)).rejects.toMatchObject({
    code: 'FORGE_UNREACHABLE',
    message: `${server.host} accepts no more requests with this token for now; retry after 60 s`,
  });
});

describe('gitAccess', () => {
  test('git reads the repository and its private submodules with the header, and sends it to no other host', async () => {
    const { url, urlPrefix, header, secrets } = open().gitAccess();
    expect(url).toBe(`${server.origin}/acme/shop.git`);
    const setting = `http.${urlPrefix}.extraHeader=${header}`;
    expect(await tree.git('-c', setting, 'ls-remote', url, 'main')).toContain(second);
    const library = await server.createRepository({ owner: 'acme', name: 'library', isPrivate: true });
    server.setPermission(OWNER, library.fullName, 'read');
    expect(await tree.git('-c', setting, 'ls-remote', `${server.origin}/acme/library.git`)).toBe('');
    const elsewhere = url.replace('127.0.0.1', 'localhost');
    await expect(tree.git('-c', setting, 'ls-remote', elsewhere)).rejects.toThrow('could not read Username');
    expect(header).toBe(`Authorization: Basic ${secrets[1]}`);
    expect(secrets[0]).toBe(OWNER);
  });
});

test.each([
  ['another host', { host: 'github.com', owner: 'acme', name: 'shop' }],
  ['a nested group', { host: '', owner: 'acme/sub', name: 'shop' }],
])('a scope with %s is refused', (_, scope) => {
  const full = { ...scope, host: scope.host || server.host };
  expect(() => github.openRepository(full, OWNER)).toThrow(expect.objectContaining({ code: 'SCOPE_REFUSED' }));
});

test.each(['', 'a b', 'a\r\nx-evil: 1', 'ü'])('the token %j is refused, and the message does not quote it', (token) => {
  expect(() => open(token)).toThrow(
    expect.objectContaining({
      code: 'FORGE_UNAUTHORIZED',
      message: 'The token sealed in the hook key contains spaces, line breaks or other characters that no token has',
    }),
  );
});

test('the forge received only requests that it knows', async () => {
  expect(server.requests.filter(({ isUnexpected }) => isUnexpected)).toEqual([]);
});
