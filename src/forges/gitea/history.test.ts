import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type BuildTarget, parseRef } from '../../build/index.ts';
import { createForgeServer, type ForgeServer, type Repository as Bare } from '../../../dev/forge/index.ts';
import { createWorkTree, type WorkTree } from '../../../dev/forge/work-tree.ts';
import type { Forge, Repository } from '../forge.ts';
import type { RestApi } from '../rest-api.ts';
import { createGitea } from './gitea.ts';
import { readPull } from './pulls.ts';

/** What a user who may push to any branch could do to the history, to the names of branches and to pull requests. */
const { signal } = new AbortController();

let root: string;
let server: ForgeServer;
let gitea: Forge;
let tree: WorkTree;
let bare: Bare;
let repository: Repository;
let base: string;
let next: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-gitea-history-'));
  const permissions = { 'acme/shop': 'admin' } as const;
  server = await createForgeServer({ kind: 'gitea', root, users: [{ login: 'ada', token: 'token', permissions }] });
  bare = await server.createRepository({ owner: 'acme', name: 'shop' });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  base = await tree.commit({ 'c3.yaml': 'steps: []\n', a: '1', b: '1' }, 'base');
  await tree.git('push', '--quiet', bare.path, 'main');
  next = await tree.commit({ a: '2' }, 'next');
  await tree.git('push', '--quiet', bare.path, 'main');
  await waitForPushes(2);
  const { origin, apiBase } = server;
  const retryPolicy = { callTimeoutMs: 10_000, idleTimeoutMs: 10_000, retryDelaysMs: [], maxRetryAfterMs: 1_000 };
  gitea = createGitea({ origin, apiBase, retryPolicy, pausesMs: [1] });
  repository = gitea.openRepository({ host: server.host, owner: 'acme', name: 'shop' }, 'token');
});

afterAll(async () => {
  await gitea.close();
  await server.close();
  await rm(root, { recursive: true });
});

async function waitForPushes(count: number): Promise<void> {
  await vi.waitUntil(() => bare.pushLog.length === count, 60_000);
}

/** Pushes the commit that is checked out. */
async function push(branch: string, ...options: readonly string[]): Promise<void> {
  const count = bare.pushLog.length + 1;
  await tree.git('push', '--quiet', ...options, bare.path, `HEAD:refs/heads/${branch}`);
  await waitForPushes(count);
}

function target(sha: string, branch: string): BuildTarget {
  return { ref: parseRef(`refs/heads/${branch}`)!, sha };
}

test('a branch that is named like a commit does not change the files of the commit', async () => {
  await tree.git('switch', '--quiet', '--detach', base);
  await tree.commit({ 'c3.yaml': 'steps: [{main: steal}]\n' }, 'evil');
  await push(next);
  const raw = await fetch(`${server.apiBase}/repos/acme/shop/raw/c3.yaml?ref=${next}`, {
    headers: { authorization: 'token token' },
  });
  expect(await raw.text()).toContain('steal');
  expect(await repository.readFile('c3.yaml', next, signal)).toEqual({ kind: 'found', text: 'steps: []\n' });
});

describe('the paths of a push', () => {
  test('are those of a merge, compared with the head before', async () => {
    await tree.git('switch', '--quiet', '--detach', base);
    const topic = await tree.commit({ b: '2' }, 'topic');
    await tree.git('switch', '--quiet', '--detach', next);
    await tree.git('merge', '--quiet', '--no-ff', '--message', 'merge', topic);
    const merge = (await tree.git('rev-parse', 'HEAD')).trim();
    await push('merged');
    expect(await repository.changedPaths(next, merge, signal)).toEqual(['b']);
    expect(await repository.changedPaths(merge, merge, signal)).toEqual([]);
  });

  test('are not known if a merge can have dropped those of the head before', async () => {
    await tree.git('switch', '--quiet', '--detach', base);
    await tree.commit({ b: '3' }, 'topic');
    await tree.git('merge', '--quiet', '--strategy', 'ours', '--message', 'drop', next);
    const merge = (await tree.git('rev-parse', 'HEAD')).trim();
    await push('dropped');
    expect(await repository.changedPaths(next, merge, signal)).toBeUndefined();
  });

  test('are not known without a common ancestor, which the forge shows as no commits', async () => {
    await tree.git('switch', '--quiet', '--detach', next);
    await push('reset');
    await tree.git('checkout', '--quiet', '--orphan', 'other');
    const orphan = await tree.commit({ a: '3' }, 'orphan');
    await push('reset', '--force');
    expect(await repository.changedPaths(next, orphan, signal)).toBeUndefined();
    expect(await repository.prove(target(next, 'reset'), signal)).toEqual({
      kind: 'refused',
      message: `reset has moved on to ${orphan.slice(0, 7)}`,
    });
  });

  test('of a new branch are not known, although the log names a commit before', async () => {
    await tree.git('switch', '--quiet', '--detach', next);
    for (let count = 1; count <= 11; count += 1) await tree.commit({ a: `many ${count}` }, `commit ${count}`);
    const sha = (await tree.git('rev-parse', 'HEAD')).trim();
    await push('many');
    expect(await repository.readPush(target(sha, 'many'), signal)).toEqual({ before: undefined });
    const last = await tree.commit({ b: 'many' }, 'last');
    await push('many');
    expect(await repository.readPush(target(last, 'many'), signal)).toEqual({ before: sha });
  });
});

describe('a pull request', () => {
  test('has paths only for its newest commit', async () => {
    await tree.git('switch', '--quiet', '--detach', next);
    const older = await tree.commit({ src: '1' }, 'older');
    await push('topic');
    const head = { repository: bare, branch: 'topic' };
    const { number } = await server.pulls.open({ repository: bare, head, author: 'ada' });
    expect(await repository.pullPaths({ number, base: 'main' }, older, signal)).toEqual(['src']);
    await tree.git('switch', '--quiet', '--detach', next);
    const newer = await tree.commit({ docs: '1' }, 'newer');
    await push('topic', '--force');
    await vi.waitUntil(() => server.pulls.find(bare, number)?.sha === newer, 60_000);
    expect(await repository.pullPaths({ number, base: 'main' }, older, signal)).toBeUndefined();
    expect(await repository.pullPaths({ number, base: 'main' }, newer, signal)).toEqual(['docs']);
  });

  test('that was pushed to refs/for/ counts as one from a fork, because readers can push there', async () => {
    const golden = new URL('../../../test/fixtures/gitea/pull-of-refs-for.json', import.meta.url);
    const { pull_request: pull } = JSON.parse(await readFile(golden, 'utf8')) as Record<string, unknown>;
    const scope = { host: 'git.example.com', owner: 'gitea', name: 'webhooks' };
    const response = { status: 200, mediaType: 'application/json', isCut: false };
    const get: RestApi['get'] = (path) => {
      const json = path === '/pulls/3' ? pull : { name: 'develop', commit: { id: base } };
      return Promise.resolve({ ...response, body: Buffer.from(JSON.stringify(json)) });
    };
    const api: RestApi = { scope, get, send: () => Promise.reject(new Error('it sends no other request')) };
    expect(await readPull(api, 3, signal)).toMatchObject({ isFork: true, baseSha: base, head: 'refs/pull/3/head' });
  });
});
