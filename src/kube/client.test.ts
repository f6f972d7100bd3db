import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerJson, createFakeApiServer, type FakeApiServer } from '../../test/contract/fake-api-server.ts';
import { createClient, type KubeClient } from './client.ts';

let server: FakeApiServer;
let client: KubeClient;

beforeAll(async () => {
  server = await createFakeApiServer();
  client = createClient({ ...server.access, basePath: '/prefix' });
});
afterAll(async () => {
  await client.close();
  await server.close();
});

const GET = { method: 'GET', path: '/api/v1/x' } as const;

test('sends the token, the path after its prefix, and the body as JSON', async () => {
  const seen: unknown[] = [];
  server.onRequest = (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { authorization, 'content-type': type } = request.headers;
      seen.push(request.method, request.url, authorization, type, body);
      answerJson(response, 201, { ok: true });
    });
  };
  const answer = await client.request({ method: 'POST', path: '/api/v1/x', query: { a: 'b c' }, body: { d: 'é' } });
  expect(answer).toEqual({ kind: 'ok', body: { ok: true } });
  expect(seen).toEqual([
    'POST',
    '/prefix/api/v1/x?a=b+c',
    'Bearer fake-token-0123456789',
    'application/json',
    '{"d":"é"}',
  ]);
});

test('uses one connection for successive requests', async () => {
  server.onRequest = (_request, response) => answerJson(response, 200, {});
  await client.request(GET);
  const { opened } = server.connections;
  for (let count = 0; count < 5; count += 1) await client.request(GET);
  expect(server.connections.opened).toBe(opened);
});

describe('refusals', () => {
  test.each([
    [409, { reason: 'AlreadyExists', message: 'pods "a" already exists' }, 'AlreadyExists', 'pods "a" already exists'],
    [401, { reason: 'Unauthorized', message: 'Unauthorized' }, 'Unauthorized', 'Unauthorized'],
    [418, { some: 'proxy' }, '', 'it answered 418: {"some":"proxy"}'],
    [302, {}, '', 'it answered 302, a redirect, which c3 does not follow'],
  ])('%d has the message of the server', async (code, body, reason, message) => {
    server.onRequest = (_request, response) => {
      response.setHeader('location', 'https://127.0.0.1:1/');
      answerJson(response, code, body);
    };
    expect(await client.request(GET)).toEqual({ kind: 'refused', code, reason, message });
  });
});

describe('faults', () => {
  test('a server that has just started and is not ready gets a retry', async () => {
    const message = 'pods "shop-1" is forbidden: not yet ready to handle request';
    let count = 0;
    server.onRequest = (_request, response) => {
      count += 1;
      answerJson(response, count === 1 ? 403 : 201, { reason: 'Forbidden', message });
    };
    expect(await client.request({ ...GET, method: 'POST', body: {} })).toMatchObject({ kind: 'ok' });
  });

  test('a creation that has lost a race is sent again, and a replacement is not', async () => {
    const methods: string[] = [];
    server.onRequest = ({ method = '' }, response) => {
      answerJson(response, methods.includes(method) ? 201 : 409, { reason: 'Conflict', message: 'modified' });
      methods.push(method);
    };
    expect(await client.request({ ...GET, method: 'POST', body: {} })).toMatchObject({ kind: 'ok' });
    expect(await client.request({ ...GET, method: 'PUT', body: {} })).toMatchObject({ reason: 'Conflict' });
    expect(methods).toEqual(['POST', 'POST', 'PUT']);
  });

  test('transient failures are retried: a cut, 503, 429 with Retry-After', async () => {
    let count = 0;
    server.onRequest = (request, response) => {
      count += 1;
      if (count === 1) request.socket.destroy();
      else if (count === 2) answerJson(response, 503, { message: 'the server is currently unable' });
      else if (count === 3) response.writeHead(429, { 'retry-after': '0.01' }).end();
      else answerJson(response, 200, { count });
    };
    expect(await client.request(GET)).toEqual({ kind: 'ok', body: { count: 4 } });
  });

  test('an untrusted certificate is not worth another try', async () => {
    const { ca: _ca, ...access } = server.access;
    const stranger = createClient(access);
    await expect(stranger.request(GET)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE', isTransient: false });
    await stranger.close();
  });

  test('a certificate with another name fails', async () => {
    const other = createClient({ ...server.access, serverName: 'kubernetes.example.com' });
    await expect(other.request(GET)).rejects.toMatchObject({
      message: expect.stringContaining("does not match certificate's altnames") as string,
      isTransient: false,
    });
    await other.close();
  });

  test('an answer that is not JSON or has no end fails', async () => {
    server.onRequest = (_request, response) => response.end('<html>');
    await expect(client.request(GET)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
    server.onRequest = (_request, response) => {
      response.on('error', () => undefined);
      const more = (): void =>
        void (response.destroyed || response.write(Buffer.alloc(256 * 1024), () => setImmediate(more)));
      more();
    };
    await expect(client.request(GET)).rejects.toMatchObject({
      code: 'CLUSTER_UNREACHABLE',
      message: "The cluster's answer is larger than 4194304 bytes",
    });
  });

  test('an abort ends a request without an answer', async () => {
    const abort = new AbortController();
    server.onRequest = () => abort.abort();
    await expect(client.request({ ...GET, signal: abort.signal })).rejects.toThrow('aborted');
  });

  test('an error does not keep the error of the connection, which holds the key', async () => {
    const { ca: _ca, ...access } = server.access;
    const pair = { cert: server.certificate, key: server.privateKey };
    const stranger = createClient({ ...access, clientCertificate: pair });
    const fault: unknown = await stranger.request(GET).catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(Error);
    expect((fault as Error).cause).toBeUndefined();
    await stranger.close();
  });
});

test('an answer that arrives byte by byte times out', async () => {
  const hasty = createClient(server.access, 200);
  const trickles = new Set<NodeJS.Timeout>();
  server.onRequest = (_request, response) => {
    response.writeHead(200);
    trickles.add(setInterval(() => response.write(' '), 10));
  };
  await expect(hasty.request(GET)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
  for (const trickle of trickles) clearInterval(trickle);
  await hasty.close();
});
