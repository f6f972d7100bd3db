import { expect, test } from 'vitest';
import { createTelegramClient } from './client.ts';
import type { TelegramResponse } from './client.ts';

const TOKEN = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';

function ask(answer: () => Response | Promise<Response>): Promise<TelegramResponse> {
  const client = createTelegramClient({ token: TOKEN, apiBase: 'https://api.example/', fetch: async () => answer() });
  return client.sendMessage({ chat_id: 1, text: 'a' });
}

test("a call uses the bot's path, follows no redirect and has a time limit", async () => {
  const seen: [unknown, RequestInit | undefined][] = [];
  const client = createTelegramClient({
    token: TOKEN,
    apiBase: 'https://api.example/',
    fetch: async (url, init) => {
      seen.push([url, init]);
      return Response.json({ ok: true, result: { message_id: 5 } });
    },
  });
  expect(await client.editMessageText({ chat_id: 1, message_id: 5, text: 'a' })).toEqual({
    kind: 'delivered',
    messageId: 5,
  });
  expect(seen).toMatchObject([
    [
      `https://api.example/bot${TOKEN}/editMessageText`,
      { method: 'POST', redirect: 'error', signal: expect.any(AbortSignal) },
    ],
  ]);
});

test('a response that is too large is not read to its end', async () => {
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
    cancel: () => void (isCancelled = true),
  });
  expect(await ask(() => new Response(body))).toEqual({
    kind: 'transient',
    reason: 'a response of more than 262144 bytes',
  });
  expect(isCancelled).toBe(true);
});

test.each([
  ['text', 'Bad Gateway'],
  ['other JSON', '{"error":"no"}'],
  ['JSON that is not an object', 'null'],
])('%s does not count as a response of the API', async (_, body) => {
  expect(await ask(() => new Response(body, { status: 502 }))).toEqual({
    kind: 'transient',
    reason: 'HTTP 502 and no response of a Bot API',
  });
});

test('a fault of the connection is reported only by its code', async () => {
  const cause = Object.assign(new Error(`connect to bot${TOKEN}`), { code: 'ENOTFOUND' });
  expect(await ask(() => Promise.reject(new TypeError(`fetch failed: /bot${TOKEN}`, { cause })))).toEqual({
    kind: 'transient',
    reason: 'ENOTFOUND',
  });
  expect(await ask(() => Promise.reject(new TypeError(`Failed to parse URL from /bot${TOKEN}`)))).toEqual({
    kind: 'transient',
    reason: 'no connection',
  });
  expect(await ask(() => Promise.reject(new DOMException('', 'TimeoutError')))).toEqual({
    kind: 'transient',
    reason: 'no response in 20 s',
  });
});
