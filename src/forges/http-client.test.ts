import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import {
  createHttpClient,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  type RetryPolicy,
} from './http-client.ts';

const RETRY_POLICY: RetryPolicy = {
  callTimeoutMs: 5_000,
  idleTimeoutMs: 5_000,
  retryDelaysMs: [1, 1, 1],
  maxRetryAfterMs: 2_000,
};
const CALL: HttpRequest = {
  method: 'GET',
  repository: 'acme/shop',
  path: '/x',
  headers: { authorization: 'Bearer secret-token' },
  maxBytes: 100,
};

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) {
    await close();
  }
});

interface Setup {
  readonly client: HttpClient;
  readonly server: Server;
  readonly host: string;
  readonly count: () => number;
  readonly connections: () => number;
}

async function setup(listener: RequestListener, retryPolicy: Partial<RetryPolicy> = {}): Promise<Setup> {
  let count = 0;
  let connections = 0;
  const server = createServer((request, response) => {
    count += 1;
    listener(request, response);
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = createHttpClient(`http://${host}`, {
    retryPolicy: { ...RETRY_POLICY, ...retryPolicy },
    isRateLimit: ({ status, headers }) => status === 403 && headers['retry-after'] !== undefined,
  });
  closers.push(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { client, server, host, count: () => count, connections: () => connections };
}

function send(client: HttpClient, signal = new AbortController().signal): Promise<HttpResponse> {
  return client.send(CALL, signal);
}

test('eight calls of one repository run at the same time, and leave connections for other repositories', async () => {
  const held: ServerResponse[] = [];
  const { client, count } = await setup((request, response) => {
    if (request.url === '/slow') held.push(response);
    else response.end('good');
  });
  const signal = new AbortController().signal;
  const slow = Array.from({ length: 40 }, () => client.send({ ...CALL, path: '/slow' }, signal));
  for (const call of slow) call.catch(() => {}); // the client closes before they end
  await expect.poll(count).toBe(8);
  expect(await client.send({ ...CALL, repository: 'acme/other' }, signal)).toMatchObject({ status: 200 });
  expect(count()).toBe(9);
  for (const response of held) response.end();
  await expect.poll(count).toBe(17);
});

/** Fails the first `times` requests. */
function failing(times: number, fail: RequestListener): RequestListener {
  let left = times;
  return (request, response) => {
    left -= 1;
    if (left >= 0) {
      fail(request, response);
    } else {
      response.writeHead(200, { 'content-type': 'Text/Plain; charset=utf-8' }).end('good');
    }
  };
}

test.each<[string, RequestListener]>([
  ['a lost connection', (request) => request.socket.resetAndDestroy()],
  ['502', (_, response) => response.writeHead(502).end('bad gateway'.repeat(100))],
  ['429 with Retry-After', (_, response) => response.writeHead(429, { 'retry-after': '0' }).end()],
  ['403 with Retry-After', (_, response) => response.writeHead(403, { 'retry-after': '0' }).end()],
])('retries after %s', async (_, fail) => {
  const { client, count } = await setup(failing(3, fail));
  expect(await send(client)).toEqual({ status: 200, mediaType: 'text/plain', body: Buffer.from('good'), isCut: false });
  expect(count()).toBe(4);
});

test('reports the reason of the last attempt', async () => {
  const { client, host, count } = await setup((_, response) => response.writeHead(503).end());
  await expect(send(client)).rejects.toMatchObject({ code: 'FORGE_UNREACHABLE', message: `${host} answers 503` });
  expect(count()).toBe(4);
});

test('the error for an unreachable server names the server and not the token', async () => {
  const { client, server, host } = await setup(() => {});
  await new Promise((resolve) => server.close(resolve));
  await expect(send(client)).rejects.toMatchObject({
    code: 'FORGE_UNREACHABLE',
    message: `${host} cannot be reached: ECONNREFUSED`,
  });
});

const LATER = String(Math.floor(Date.now() / 1000) + 1_000);

test.each([
  [{ 'retry-after': '3600' }, 429, /retry after 3600 s$/],
  [{}, 429, /retry after 60 s$/],
  [{ 'retry-after': '9999999999' }, 429, /retry after 3600 s$/],
  [{ 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, 403, /retry after 60 s$/],
  [{ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': LATER }, 429, /retry after (?:9\d\d|1000) s$/],
])(
  'waits no longer than the caller for a rate limit of %j, and sends nothing meanwhile',
  async (headers, status, wait) => {
    const { client, host, count } = await setup((_, response) => response.writeHead(status, headers).end());
    for (let call = 0; call < 3; call += 1) {
      await expect(send(client)).rejects.toMatchObject({
        code: 'FORGE_UNREACHABLE',
        message: expect.stringMatching(wait) as string,
      });
    }
    await expect(send(client)).rejects.toThrow(`${host} accepts no more requests with this token for now`);
    expect(count()).toBe(1);
    const other = { ...CALL, headers: { authorization: 'Bearer other' } };
    await expect(client.send(other, new AbortController().signal)).rejects.toThrow('retry after');
    expect(count()).toBe(2);
  },
);

test('all calls with a token wait for its rate limit if they may', async () => {
  const { client, count } = await setup(
    failing(1, (_, response) => response.writeHead(429, { 'retry-after': '1' }).end()),
  );
  const signal = new AbortController().signal;
  const patient = { ...CALL, patienceMs: 60_000 };
  await expect(client.send({ ...CALL, patienceMs: 0 }, signal)).rejects.toThrow('retry after 1 s');
  const answers = await Promise.all([client.send(patient, signal), client.send(patient, signal)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(count()).toBe(3);
});

test.each([301, 307, 401, 403, 404, 422])('returns a response with the status %i without a retry', async (status) => {
  const { client, count } = await setup((_, response) => response.writeHead(status, { location: '/elsewhere' }).end());
  expect(await send(client)).toMatchObject({ status, mediaType: '', isCut: false });
  expect(count()).toBe(1);
});

test('cuts a body that is too long, and does not read the rest', async () => {
  const { client } = await setup((request, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!request.socket.destroyed && response.write('x'.repeat(1000)));
    };
    response.on('drain', more);
    more();
  });
  const response = await send(client);
  expect(response.isCut).toBe(true);
  expect(response.body).toHaveLength(100);
});

test('returns a body of exactly the limit in full', async () => {
  const { client } = await setup((_, response) => response.end('x'.repeat(100)));
  expect(await send(client)).toMatchObject({ isCut: false, body: Buffer.from('x'.repeat(100)) });
});

test('times out if the server does not answer', async () => {
  const { client, host } = await setup(() => {}, { callTimeoutMs: 50 });
  await expect(send(client)).rejects.toMatchObject({
    code: 'FORGE_UNREACHABLE',
    message: `${host} did not answer within 0.05 s`,
  });
});

test('an aborted call throws the reason, during the first attempt and during a retry delay', async () => {
  const controller = new AbortController();
  const { client } = await setup(() => controller.abort(new Error('cancelled')));
  await expect(send(client, controller.signal)).rejects.toThrow('cancelled');
  await expect(send(client, controller.signal)).rejects.toThrow('cancelled');
  const other = new AbortController();
  const slow = await setup(
    (_, response) => {
      response.writeHead(500).end();
      other.abort(new Error('cancelled'));
    },
    { retryDelaysMs: [60_000] },
  );
  await expect(send(slow.client, other.signal)).rejects.toThrow('cancelled');
});

test('keeps connections for the next call', async () => {
  const { client, count, connections } = await setup((_, response) => response.end('good'));
  for (let index = 0; index < 10; index += 1) {
    await send(client);
  }
  expect(count()).toBe(10);
  // A call can start before the connection of the previous call counts as idle, so there may be two.
  expect(connections()).toBeLessThanOrEqual(2);
});
