import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createForgeServer, type ForgeServer, type Repository as Bare } from '../../../dev/forge/index.ts';
import { createWorkTree, type WorkTree } from '../../../dev/forge/work-tree.ts';
import type { Repository } from '../forge.ts';
import type { Forge } from '../forge.ts';
import { createGithub } from './github.ts';

const { signal } = new AbortController();

let root: string;
let server: ForgeServer;
let github: Forge;
let repository: Repository;
let tree: WorkTree;
let bare: Bare;
let first: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-github-test-'));
  server = await createForgeServer({
    root,
    users: [{ login: 'ann', token: 'a-token', permissions: { 'acme/shop': 'write' } }],
  });
  bare = await server.createRepository({ owner: 'acme', name: 'shop', isPrivate: true });
  tree = await createWorkTree({ path: join(root, 'work-tree') });
  first = await tree.commit({ file: 'x' }, 'first');
  await tree.git('push', '--quiet', bare.path, 'main');
  github = createGithub({ origin: server.origin, apiBase: server.apiBase });
  repository = github.openRepository({ host: server.host, owner: 'acme', name: 'shop' }, 'a-token');
});

afterAll(async () => {
  await github.close();
  await server.close();
  await rm(root, { recursive: true });
});

describe('readCommit', () => {
  test('returns the first line of the message and the author', async () => {
    const message = 'A subject \u0007of\u202e one line\n\nand a body';
    const sha = await tree.commit({ commit: 'x' }, message);
    await tree.git('push', '--quiet', bare.path, `${sha}:refs/heads/commit`);
    const author = await tree.git('log', '-1', '--format=%an', sha);
    expect(author).not.toBe('');
    expect(await repository.readCommit(sha, signal)).toEqual({ subject: 'A subject of one line', author });
  });

  test('returns undefined for an unknown commit', async () => {
    expect(await repository.readCommit('f'.repeat(40), signal)).toBeUndefined();
  });

  test('a response without a commit is a fault', async () => {
    server.faults.add({ match: /commits/, kind: 'status', times: 1, status: 403, body: '{"message":"no"}' });
    await expect(repository.readCommit(first, signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot read commit ${first.slice(0, 12)} of ${server.host}/acme/shop: the forge answers 403 "no"`,
    });
  });
});

test('the web addresses of a repository, a commit and a line are not those of the API', () => {
  expect(repository.urls(first)).toEqual({
    repository: `${server.origin}/acme/shop`,
    commit: `${server.origin}/acme/shop/commit/${first}`,
  });
  expect(repository.lineUrl('c3.yaml', first, 4)).toBe(`${server.origin}/acme/shop/blob/${first}/c3.yaml#L4`);
});
