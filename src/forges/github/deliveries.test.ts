import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type HookDeliveries, openDeliveries, type RepositoryHook } from './deliveries.ts';

const { signal } = new AbortController();
const HOOK: RepositoryHook = { id: '7', url: 'https://c3.example.com/hook?key=a', isActive: true };
const AT = '2026-12-01T15:41:22Z';

let server: Server;
let deliveries: HookDeliveries;
let origin: string;
let seen: string[];
let respond: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.setHeader('content-type', 'application/json');
    respond(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const scope = { host: 'ghe.example.com', owner: 'acme', name: 'shop' };
  const retryPolicy = { callTimeoutMs: 10_000, idleTimeoutMs: 10_000, retryDelaysMs: [1], maxRetryAfterMs: 1_000 };
  const options = { origin: 'https://ghe.example.com', apiBase: `${origin}/api/v3`, retryPolicy, pausesMs: [1] };
  deliveries = openDeliveries(options, scope, 'a-token');
});

afterEach(async () => {
  await deliveries.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** An item as GitHub sends it. `id` is text, since it can be larger than a number holds. */
function item(id: string, fields: object = {}): string {
  const rest = { guid: `g${id}`, delivered_at: AT, status: 'timed out', status_code: 0, event: 'push', action: null };
  return `{"id":${id},${JSON.stringify({ ...rest, ...fields }).slice(1)}`;
}

const list = (...items: string[]): string => `[${items.join(',')}]`;

describe('the deliveries of a webhook', () => {
  test('keep an id that a number does not hold exactly', async () => {
    respond = (request, response) => {
      if (request.method === 'POST') response.writeHead(202).end('{}');
      else response.end(list(item('3844358593348378625')));
    };
    const { attempts } = await deliveries.listAttempts(HOOK, { since: 0, signal });
    expect(attempts).toEqual([
      {
        id: '3844358593348378625',
        guid: 'g3844358593348378625',
        deliveredAt: Date.parse(AT),
        event: 'push',
        action: undefined,
        status: 'timed out',
        statusCode: 0,
      },
    ]);
    expect(await deliveries.sendAgain(HOOK, attempts[0]!, signal)).toBeUndefined();
    expect(seen[1]).toBe('POST /api/v3/repos/acme/shop/hooks/7/deliveries/3844358593348378625/attempts');
  });

  test('are read page by page, and only the cursor comes from an answer', async () => {
    const pages = [
      { body: list(item('3')), link: '<https://evil.example/?cursor=v1_2%3D&per_page=1>; rel="next"' },
      { body: list(item('2')), link: `<${origin}/>; rel="prev", <${origin}/?cursor=v1_1>; rel="next"` },
      { body: list(item('1')), link: `<${origin}/?cursor=v1_3>; rel="prev"` },
    ];
    respond = (_, response) => {
      const { body, link } = pages[seen.length - 1] ?? { body: '[]', link: '' };
      response.setHeader('link', link).end(body);
    };
    const { attempts, isComplete } = await deliveries.listAttempts(HOOK, { since: 0, signal });
    expect({ ids: attempts.map(({ id }) => id), isComplete }).toEqual({ ids: ['3', '2', '1'], isComplete: true });
    expect(seen).toEqual([
      'GET /api/v3/repos/acme/shop/hooks/7/deliveries?per_page=100',
      'GET /api/v3/repos/acme/shop/hooks/7/deliveries?per_page=100&cursor=v1_2%3D',
      'GET /api/v3/repos/acme/shop/hooks/7/deliveries?per_page=100&cursor=v1_1',
    ]);
  });

  test('end at the first that is too old', async () => {
    respond = (_, response) =>
      response
        .setHeader('link', `<${origin}/?cursor=v1_1>; rel="next"`)
        .end(list(item('2'), item('1', { delivered_at: '2026-11-01T00:00:00Z' })));
    const since = Date.parse(AT) - 1000;
    expect(await deliveries.listAttempts(HOOK, { since, signal })).toMatchObject({
      attempts: [{ id: '2' }],
      isComplete: true,
    });
    expect(seen).toHaveLength(1);
  });

  test('end after 200 pages, and the list says so', async () => {
    respond = (_, response) => response.setHeader('link', `<${origin}/?cursor=v1_1>; rel="next"`).end(list(item('1')));
    const { attempts, isComplete } = await deliveries.listAttempts(HOOK, { since: 0, signal });
    expect({ count: attempts.length, isComplete }).toEqual({ count: 200, isComplete: false });
  });

  test('are left out if they are no deliveries, and their text is printable', async () => {
    const odd = item('4', { guid: 'a\u001B[31mb', event: 'push\nx', status: '\u009B1m', status_code: 'x' });
    const fields = [{ guid: 1 }, { delivered_at: 'soon' }, { delivered_at: null }];
    respond = (_, response) =>
      response.end(
        list('null', '[]', item('-1'), item('1.5'), item('"x"'), ...fields.map((one) => item('1', one)), odd),
      );
    const { attempts } = await deliveries.listAttempts(HOOK, { since: 0, signal });
    expect(attempts).toMatchObject([{ id: '4', guid: 'a[31mb', event: 'push', status: '1m', statusCode: 0 }]);
  });
});

describe('the webhooks of a repository', () => {
  test('are all read, page by page', async () => {
    const page = Array.from({ length: 100 }, (_, id) => ({ id, active: true, config: { url: `https://x/${id}` } }));
    respond = (request, response) =>
      response.end(
        JSON.stringify(request.url?.endsWith('page=1') ? page : [{ id: 100, active: false, config: { url: 'u' } }, {}]),
      );
    const hooks = await deliveries.listHooks(signal);
    expect(hooks).toHaveLength(101);
    expect(hooks.at(-1)).toEqual({ id: '100', url: 'u', isActive: false });
  });

  test.each([
    [404, 'the user must be an administrator of the repository; a fine-grained token needs'],
    [403, 'the user must be an administrator of the repository; a fine-grained token needs'],
    [301, 'the repository has another name now: use that with --repo'],
  ])('cannot be listed after %i, and the hint says why', async (status, hint) => {
    respond = (_, response) => response.writeHead(status).end('{"message":"no"}');
    await expect(deliveries.listHooks(signal)).rejects.toMatchObject({
      code: 'FORGE_REFUSED',
      message: `Cannot list the webhooks of ghe.example.com/acme/shop: the forge answers ${status} "no"`,
      hint: expect.stringContaining(hint),
    });
  });

  test('are no object', async () => {
    respond = (_, response) => response.end('{}');
    await expect(deliveries.listHooks(signal)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
  });
});

test('a delivery that the forge does not find may be too old, or hidden from the token', async () => {
  respond = (request, response) => {
    if (request.method === 'POST') response.writeHead(404).end('{"message":"Not Found"}');
    else response.end(list(item('1')));
  };
  const { attempts } = await deliveries.listAttempts(HOOK, { since: 0, signal });
  expect(await deliveries.sendAgain(HOOK, attempts[0]!, signal)).toBe(
    'the forge answers 404 "Not Found": it is too old, or the token may only read webhooks',
  );
});
