import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { parseScope } from '../../sealing/index.ts';
import type { Repository } from '../forge.ts';
import { createGithub } from './github.ts';

const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A repository at a forge that answers every request for a pack with `answer`. */
async function open(answer: Answer): Promise<{ repository: Repository; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume().on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const retryPolicy = { callTimeoutMs: 5000, idleTimeoutMs: 5000, retryDelaysMs: [1, 1], maxRetryAfterMs: 1 };
  const forge = createGithub({ origin, apiBase: `${origin}/api/v3`, retryPolicy });
  closes.push(async () => {
    await forge.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const scope = parseScope(`${new URL(origin).host}/acme/shop`);
  return { repository: forge.openRepository(scope, 'secret-token'), requests };
}

const order = { want: 'a'.repeat(40), have: 'b'.repeat(40), isShallow: true };
const signal = new AbortController().signal;
const TYPE = { 'content-type': 'application/x-git-upload-pack-result' };
const PACK = '000dpackfile\n0009\u0001pack0000';

it('sends one request with the token, and returns the pack', async () => {
  const { repository, requests } = await open((_, response) => void response.writeHead(200, TYPE).end(PACK));
  const pack = await repository.fetchPack?.(order, signal);
  expect(Buffer.from(pack ?? []).toString()).toBe('pack');
  expect(requests.map(({ method, url, headers }) => ({ method, url, ...headers }))).toMatchObject([
    {
      method: 'POST',
      url: '/acme/shop.git/git-upload-pack',
      authorization: `Basic ${Buffer.from('x-access-token:secret-token').toString('base64')}`,
      'git-protocol': 'version=2',
      'content-type': 'application/x-git-upload-pack-request',
    },
  ]);
});

it.each<[string, Answer]>([
  ['refuses', (_, response) => void response.writeHead(403, TYPE).end(PACK)],
  [
    'redirects',
    (request, response) => void response.writeHead(307, { location: `http://${request.headers.host}/x` }).end(),
  ],
  ['has no such protocol', (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(PACK)],
  ['sends half a pack', (_, response) => void response.writeHead(200, TYPE).end(PACK.slice(0, -4))],
  ['sends too much', (_, response) => void response.writeHead(200, TYPE).end(Buffer.alloc(257 * 1024, PACK))],
])('returns nothing when the forge %s, after one request', async (_, answer) => {
  const { repository, requests } = await open(answer);
  expect(await repository.fetchPack?.(order, signal)).toBeUndefined();
  expect(requests).toHaveLength(1);
});

it('reads no more than its limit of an endless answer', async () => {
  let sent = 0;
  const closed = Promise.withResolvers<void>();
  const { repository } = await open((_, response) => {
    response.writeHead(200, TYPE);
    response.on('close', () => closed.resolve());
    const chunk = Buffer.alloc(16 * 1024);
    const write = (): void => {
      while (!response.destroyed && response.write(chunk)) sent += chunk.length;
      if (!response.destroyed) response.once('drain', write);
    };
    write();
  });
  expect(await repository.fetchPack?.(order, signal)).toBeUndefined();
  await closed.promise;
  expect(sent).toBeLessThan(16 * 1024 * 1024);
});

it.each([500, 503, 429])('does not try again after %i: the container fetches', async (status) => {
  const { repository, requests } = await open((_, response) => void response.writeHead(status).end());
  await expect(repository.fetchPack?.(order, signal)).rejects.toMatchObject({ code: 'FORGE_UNREACHABLE' });
  expect(requests).toHaveLength(1);
});
