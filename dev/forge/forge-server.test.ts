import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createForgeServer, type Delivery, type ForgeServer } from './index.ts';
import { createWorkTree, type WorkTree } from './work-tree.ts';
import { deadline } from '../../test/time-limits.ts';

const OWNER = { login: 'acme', token: 'owner-token', permissions: { '*': 'admin' } } as const;
const READER = { login: 'bob', token: 'reader-token', permissions: {} } as const;

let root: string;
let forge: ForgeServer;
const receivers: Server[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'c3-forge-test-'));
  forge = await createForgeServer({ root, users: [OWNER, READER] });
});

afterEach(async () => {
  await forge.close();
  for (const server of receivers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await rm(root, { recursive: true });
});

function clone(token: string | undefined, name: string): Promise<WorkTree> {
  return createWorkTree({ path: join(root, 'work-trees', name), ...(token === undefined ? {} : { token }) });
}

async function api(
  method: string,
  path: string,
  options: { token?: string; body?: unknown } = {},
): Promise<{ status: number; body: unknown }> {
  const headers: Record<string, string> = { 'user-agent': 'test' };
  if (options.token !== undefined) {
    headers['authorization'] = `Bearer ${options.token}`;
  }
  const body = options.body === undefined ? {} : { body: JSON.stringify(options.body) };
  const response = await fetch(`${forge.apiBase}${path}`, { method, headers, redirect: 'manual', ...body });
  return { status: response.status, body: await response.json() };
}

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function receiver(status = 202): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      response.writeHead(status).end('taken');
    });
  });
  receivers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=x`, received };
}

function answered(find: (delivery: Delivery) => boolean): Promise<Delivery> {
  const found = (): Delivery | undefined =>
    forge.deliveries.find((delivery) => delivery.answer !== undefined && find(delivery));
  return forge.waitFor(found, deadline());
}

async function pushed(): Promise<string> {
  const repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
  const writer = await clone(undefined, 'writer');
  const sha = await writer.commit({ 'c3.yaml': 'steps: []\n', 'dir/file': '' }, 'first');
  await writer.git('push', '--quiet', repository.path, 'main');
  return sha;
}

const isPush = ({ event }: Delivery): boolean => event === 'push';

describe('git', () => {
  test('a push over HTTP can be cloned again', async () => {
    await forge.createRepository({ owner: 'acme', name: 'shop' });
    const url = `${forge.origin}/acme/shop.git`;
    const writer = await clone(OWNER.token, 'writer');
    const sha = await writer.commit({ 'a/b.txt': 'x'.repeat(300_000) }, 'first');
    await writer.git('push', '--quiet', url, 'main');
    const reader = await clone(undefined, 'reader');
    await reader.git('fetch', '--quiet', '--depth=1', url, sha);
    expect(await reader.git('rev-parse', 'FETCH_HEAD')).toBe(sha);
  });

  test('users without write permission cannot push', async () => {
    await forge.createRepository({ owner: 'acme', name: 'shop' });
    const url = `${forge.origin}/acme/shop.git`;
    const reader = await clone(READER.token, 'reader');
    await reader.commit({ a: '' }, 'first');
    await expect(reader.git('push', '--quiet', url, 'main')).rejects.toThrow('403');
    const stranger = await clone(undefined, 'stranger');
    await stranger.commit({ a: '' }, 'first');
    await expect(stranger.git('push', '--quiet', url, 'main')).rejects.toThrow('could not read Username');
  });

  test('a private repository is 404 for users who may not read it', async () => {
    await forge.createRepository({ owner: 'acme', name: 'vault', isPrivate: true });
    const url = `${forge.origin}/acme/vault.git`;
    const reader = await clone(READER.token, 'reader');
    await expect(reader.git('ls-remote', url)).rejects.toThrow('not found');
    const stranger = await clone(undefined, 'stranger');
    await expect(stranger.git('ls-remote', url)).rejects.toThrow('could not read Username');
    forge.setPermission(READER.token, 'acme/vault', 'read');
    expect(await reader.git('ls-remote', url)).toBe('');
  });
});

describe('webhooks', () => {
  test('a push is delivered, signed, with the real commits', async () => {
    const repository = await forge.createRepository({ owner: 'Acme', name: 'Shop' });
    const { url, received } = await receiver();
    forge.createHook(repository, { url, secret: 's3cret' });
    await answered(({ event }) => event === 'ping');
    const writer = await clone(OWNER.token, 'writer');
    const first = await writer.commit({ a: '1' }, 'first\n\nwith a body');
    await writer.git('push', '--quiet', `${forge.origin}/acme/shop.git`, 'main');
    const delivery = await answered(isPush);
    expect(delivery.answer).toMatchObject({ kind: 'answered', status: 202, body: 'taken' });
    const { headers, body } = received[1] as Received;
    expect(headers['x-hub-signature-256']).toBe(`sha256=${createHmac('sha256', 's3cret').update(body).digest('hex')}`);
    expect(headers['x-github-event']).toBe('push');
    expect(JSON.parse(body)).toMatchObject({
      ref: 'refs/heads/main',
      before: '0'.repeat(40),
      after: first,
      created: true,
      deleted: false,
      forced: false,
      head_commit: { id: first, message: 'first\n\nwith a body', added: ['a'] },
      repository: { full_name: 'Acme/Shop', clone_url: `${forge.origin}/Acme/Shop.git` },
      pusher: { name: 'acme' },
    });
  });

  test('a push to the path of the bare repository is delivered too, forced or not', async () => {
    const repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
    const { url, received } = await receiver();
    forge.createHook(repository, { url, contentType: 'form' });
    const writer = await clone(undefined, 'writer');
    const first = await writer.commit({ a: '1' }, 'first');
    await writer.git('push', '--quiet', repository.path, 'main');
    await writer.git('commit', '--quiet', '--amend', '--message', 'other');
    const other = await writer.git('rev-parse', 'HEAD');
    await writer.git('push', '--quiet', '--force', repository.path, 'main');
    await answered(({ request }) => request.body.includes(`%22after%22%3A%22${other}`));
    const { headers, body } = received.at(-1) as Received;
    expect(headers['x-hub-signature-256']).toBeUndefined();
    expect(JSON.parse(new URLSearchParams(body).get('payload') ?? '')).toMatchObject({
      before: first,
      after: other,
      forced: true,
      commits: [{ id: other, modified: [], added: ['a'] }],
    });
  });

  test('an annotated tag is delivered with the tag object, a deleted one without a commit', async () => {
    const repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
    const { url } = await receiver();
    const writer = await clone(undefined, 'writer');
    const sha = await writer.commit({ a: '1' }, 'first');
    await writer.git('push', '--quiet', repository.path, 'main');
    forge.createHook(repository, { url });
    await writer.git('tag', '--annotate', '--message', 'one', 'v1');
    const tag = await writer.git('rev-parse', 'v1');
    await writer.git('push', '--quiet', repository.path, 'v1');
    const created = await answered(({ request }) => request.body.includes('"ref":"refs/tags/v1"'));
    expect(JSON.parse(created.request.body)).toMatchObject({ after: tag, head_commit: { id: sha } });
    await writer.git('push', '--quiet', repository.path, ':v1');
    const deleted = await answered(({ request }) => request.body.includes('"deleted":true'));
    expect(JSON.parse(deleted.request.body)).toMatchObject({ before: tag, after: '0'.repeat(40), head_commit: null });
  });

  test('a push of more than three tags is not delivered', async () => {
    const repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
    const { url } = await receiver();
    const writer = await clone(undefined, 'writer');
    await writer.commit({ a: '1' }, 'first');
    forge.createHook(repository, { url });
    for (const tag of ['v1', 'v2', 'v3', 'v4']) {
      await writer.git('tag', tag);
    }
    await writer.git('push', '--quiet', repository.path, '--tags');
    await writer.git('push', '--quiet', repository.path, 'main');
    const delivery = await answered(isPush);
    expect(JSON.parse(delivery.request.body)).toMatchObject({ ref: 'refs/heads/main' });
    expect(forge.deliveries.filter(isPush)).toHaveLength(1);
  });

  test('a delivery can be sent again, with the same id and body', async () => {
    const repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
    const { url, received } = await receiver();
    forge.createHook(repository, { url });
    const first = await answered(({ event }) => event === 'ping');
    const again = await forge.redeliver(first.id);
    expect(again.isRedelivery).toBe(true);
    expect(received[1]).toMatchObject({ body: received[0]?.body, headers: { 'x-github-delivery': first.guid } });
  });

  test('a delivery to a closed port fails', async () => {
    const repository = await forge.createRepository({ owner: 'acme', name: 'shop' });
    const { url } = await receiver();
    const [server] = receivers.splice(0) as [Server];
    await new Promise((resolve) => server.close(resolve));
    forge.createHook(repository, { url });
    const delivery = await answered(() => true);
    expect(delivery.answer).toMatchObject({ kind: 'failed' });
  });
});

describe('the API', () => {
  test('requires a valid token', async () => {
    expect(await api('GET', '/user')).toMatchObject({ status: 401, body: { message: 'Requires authentication' } });
    expect(await api('GET', '/user', { token: 'wrong' })).toMatchObject({
      status: 401,
      body: { message: 'Bad credentials' },
    });
    expect(await api('GET', '/user', { token: OWNER.token })).toMatchObject({ status: 200, body: { login: 'acme' } });
    forge.revokeToken(OWNER.token);
    expect(await api('GET', '/user', { token: OWNER.token })).toMatchObject({ status: 401 });
  });

  test('reports the permissions of the token', async () => {
    await pushed();
    const { token } = READER;
    expect(await api('GET', '/repos/acme/shop', { token })).toMatchObject({
      body: { permissions: { push: false, pull: true } },
    });
    const status = { token, body: { state: 'success' } };
    expect(await api('POST', `/repos/acme/shop/statuses/${'0'.repeat(40)}`, status)).toMatchObject({ status: 403 });
  });

  test('records requests of unknown routes', async () => {
    await pushed();
    const { token } = OWNER;
    expect(await api('GET', '/repos/acme/shop/secrets', { token })).toMatchObject({
      status: 404,
      body: { message: 'Not Found' },
    });
    expect(await api('POST', '/repos/acme/shop/branches/main', { token, body: {} })).toMatchObject({ status: 404 });
    const find = (): unknown => forge.requests.filter(({ isUnexpected }) => isUnexpected)[1];
    expect(await forge.waitFor(find, deadline())).toMatchObject({ method: 'POST', login: 'acme' });
  });

  test('stores statuses, and refuses invalid ones', async () => {
    const sha = await pushed();
    const { token } = OWNER;
    const set = (body: unknown, of = sha): Promise<unknown> =>
      api('POST', `/repos/acme/shop/statuses/${of}`, { token, body });
    expect(await set({ state: 'pending', context: 'c3', description: 'x'.repeat(140) })).toMatchObject({ status: 201 });
    expect(await set({ state: 'success', context: 'c3' })).toMatchObject({ status: 201 });
    expect(await set({ state: 'running' })).toMatchObject({ status: 422 });
    expect(await set({ state: 'error', description: 'x'.repeat(141) })).toMatchObject({ status: 422 });
    expect(await set({ state: 'error', target_url: 'ftp://x' })).toMatchObject({ status: 422 });
    expect(await set({ state: 'error', context: 7 })).toMatchObject({ status: 422 });
    expect(await set({ state: 'error' }, 'f'.repeat(40))).toMatchObject({ status: 422 });
    expect(forge.statuses.map(({ state }) => state)).toEqual(['pending', 'success']);
    expect(await api('GET', `/repos/acme/shop/commits/${sha}/status`, { token })).toMatchObject({
      body: { state: 'success', total_count: 1 },
    });
    expect(await api('GET', '/repos/acme/shop/commits/main/statuses', { token })).toMatchObject({
      body: [{ state: 'success' }, { state: 'pending', creator: { login: 'acme' } }],
    });
  });

  test('creates a webhook, pings it, and never shows its secret', async () => {
    await pushed();
    const { url, received } = await receiver();
    const { token } = OWNER;
    const config = { url, content_type: 'json', secret: 's3cret', insecure_ssl: '0' };
    const body = { name: 'web', active: true, events: ['push'], config };
    expect(await api('POST', '/repos/acme/shop/hooks', { token, body })).toMatchObject({
      status: 201,
      body: { id: 1 },
    });
    await answered(({ event }) => event === 'ping');
    expect(received[0]?.headers).toMatchObject({ 'x-github-event': 'ping', 'x-github-hook-id': '1' });
    expect(await api('GET', '/repos/acme/shop/hooks', { token })).toMatchObject({
      body: [{ config: { url, secret: '********' } }],
    });
    expect(await api('POST', '/repos/acme/shop/hooks', { token, body: { config: {} } })).toMatchObject({ status: 422 });
    expect(await api('GET', '/repos/acme/shop/hooks/1/deliveries', { token })).toMatchObject({
      body: [{ event: 'ping', status_code: 202 }],
    });
  });

  test("shows a fork's commit by its sha, and not among the parent's branches", async () => {
    const repository = await forge.createRepository({ owner: 'acme', name: 'lib' });
    const writer = await clone(undefined, 'fork-writer');
    await writer.commit({ 'c3.yaml': 'good' }, 'base');
    await writer.git('push', '--quiet', repository.path, 'main');
    const fork = await forge.createFork(repository, 'mallory');
    const evil = await writer.commit({ 'c3.yaml': 'evil' }, 'imposter');
    await writer.git('push', '--quiet', fork.path, 'main:evil');
    const { token } = OWNER;
    expect(await api('GET', `/repos/acme/lib/commits/${evil}`, { token })).toMatchObject({
      status: 200,
      body: { sha: evil },
    });
    expect(await api('GET', `/repos/acme/lib/compare/main...${evil}`, { token })).toMatchObject({
      body: { status: 'ahead' },
    });
    expect(await api('GET', '/repos/acme/lib/branches', { token })).toMatchObject({ body: [{ name: 'main' }] });
    expect(await writer.git('ls-remote', `${forge.origin}/acme/lib.git`)).not.toContain(evil);
  });

  test('applies the planned faults', async () => {
    const { token } = OWNER;
    forge.faults.add({ match: /^GET .*\/user$/, kind: 'status', status: 502, times: 1 });
    expect(await api('GET', '/user', { token })).toMatchObject({ status: 502 });
    forge.faults.add({ match: /\/user$/, kind: 'cut', times: 1 });
    await expect(api('GET', '/user', { token })).rejects.toThrow('fetch failed');
    forge.faults.add({ match: /\/user$/, kind: 'delay', ms: 1, times: 1 });
    expect(await api('GET', '/user', { token })).toMatchObject({ status: 200 });
  });
});
