import { createHmac } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createOfflineHook } from '../../test/fakes/offline-hook.ts';
import { SECRET, serveApp } from '../../test/fakes/served-app.ts';
import { deriveWebhookSecret, formatHookUrl, parseKeyring, parseScope, seal, toJwks } from '../sealing/index.ts';
import { listen, type Listener } from './listen.ts';

const keyring = parseKeyring(SECRET);
const purpose = { kind: 'hook' } as const;
const PUSH = {
  ref: 'refs/heads/main',
  before: '0'.repeat(40),
  after: '1'.repeat(40),
  deleted: false,
  head_commit: { id: '1'.repeat(40), message: 'Subject', author: { name: 'Ann' } },
  pusher: { name: 'ann' },
};

const served = serveApp({
  baseUrl: () => listener.origin,
  rateLimitNew: 90,
  maxBuilds: 50,
  bodies: { bodies: 32 },
});
let listener: Listener;
const strangers: Socket[] = [];

beforeAll(async () => {
  listener = await listen(served.app, { host: '127.0.0.1', port: 0, onFault: () => {} });
});
afterAll(async () => {
  for (const socket of strangers) socket.destroy();
  served.end();
  await listener.close();
});

interface Hook {
  readonly url: string;
  deliver(number: number): Promise<{ status: number; retryAfter: string | null }>;
}

/** `isOffline`: somebody sealed the key with the public key. */
async function createHook(repo: string, token: string, isOffline = false): Promise<Hook> {
  const scope = parseScope(repo);
  const binding = { scope, purpose };
  const url = isOffline
    ? (await createOfflineHook({ baseUrl: listener.origin, jwks: toJwks(keyring) }, repo, { token })).url
    : formatHookUrl(listener.origin, await seal(keyring, token, binding), binding);
  return {
    url,
    async deliver(number) {
      const repository = { full_name: `${scope.owner}/${scope.name}`, html_url: 'https://github.com/acme/shop' };
      const body = JSON.stringify({ ...PUSH, repository, number });
      const signature = createHmac('sha256', deriveWebhookSecret(token, scope)).update(body).digest('hex');
      const headers = {
        'content-type': 'application/json',
        'x-github-event': 'push',
        'x-hub-signature-256': `sha256=${signature}`,
      };
      const answer = await fetch(url, { method: 'POST', body, headers });
      await answer.text();
      return { status: answer.status, retryAfter: answer.headers.get('retry-after') };
    },
  };
}

/** A body that never ends. */
function openSlow(url: string): void {
  const { hostname, port, pathname, search } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(`POST ${pathname}${search} HTTP/1.1\r\nHost: c3\r\nContent-Length: 1000\r\n\r\nx`);
  strangers.push(socket);
}

it('serves a hook from its first delivery while strangers flood its repository with keys, without keys, and with slow bodies', async () => {
  const mine = await createHook('github.com/acme/shop', 'my-token');
  const made = await Promise.all(
    Array.from({ length: 40 }, (_, n) => createHook('github.com/acme/shop', `stranger-${n}`, true)),
  );
  for (let n = 0; n < 40; n += 1) openSlow(mine.url);
  const forged = made.flatMap((hook) => [
    hook.deliver(1),
    fetch(hook.url.replace('acme/shop', 'acme/other'), { method: 'POST', body: '{}' }),
  ]);
  const good = Array.from({ length: 5 }, (_, n) => mine.deliver(n + 1));

  expect((await Promise.all(good)).map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
  const statuses = (await Promise.all(forged)).map(({ status }) => status);
  const count = (status: number): number => statuses.filter((one) => one === status).length;
  // The new hooks of one repository get a ninth of the ninety tokens.
  expect({ accepted: count(202), limited: count(429), refused: count(401) }).toEqual({
    accepted: 11,
    limited: 29,
    refused: 40,
  });
  expect((await made[0]?.deliver(2))?.retryAfter).toMatch(/^[1-9]\d*$/);
  const newcomer = await createHook('github.com/acme/new', 'new-token', true);
  expect((await newcomer.deliver(1)).status).toBe(202);
});
