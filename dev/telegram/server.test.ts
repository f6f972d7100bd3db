import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTelegramServer, type TelegramServer } from './server.ts';
import { newest } from './world.ts';
import { deadline } from '../../test/time-limits.ts';

const TOKEN = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';
const USER = 42;
const GROUP = -5;
const FORUM = -1001;

let server: TelegramServer;
let now: number;

beforeEach(async () => {
  now = 1_000_000;
  server = await createTelegramServer({
    bots: [{ token: TOKEN, username: 'c3_bot' }, { token: '7:other-bots-token' }],
    chats: [
      { id: USER, username: 'ann' },
      { id: GROUP, title: 'Builds' },
      { id: FORUM, threads: [7] },
    ],
    hasLimits: true,
    now: () => now,
  });
});

afterEach(() => server.close());

async function call(method: string, parameters: object = {}, token: string = TOKEN): Promise<unknown> {
  const response = await fetch(`${server.url}/bot${token}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(parameters),
  });
  const body = (await response.json()) as { ok: boolean };
  expect(response.ok).toBe(body.ok);
  return body;
}

function refusal(code: number, description: string): object {
  return { ok: false, error_code: code, description };
}

test('a bot knows itself and its chats', async () => {
  expect(await call('getMe')).toMatchObject({ ok: true, result: { id: 110201543, is_bot: true, username: 'c3_bot' } });
  expect(await call('getchat', { chat_id: '@ann' })).toMatchObject({ result: { id: USER, type: 'private' } });
  expect(await call('getChat', { chat_id: FORUM })).toMatchObject({ result: { type: 'supergroup', is_forum: true } });
});

test('tokens and methods are checked as the real API does', async () => {
  expect(await call('getMe', {}, '110201543:wrong')).toEqual(refusal(401, 'Unauthorized'));
  expect(await call('getMe', {}, 'nonsense')).toEqual(refusal(404, 'Not Found'));
  expect(await call('toString')).toEqual(refusal(404, 'Not Found'));
});

test('a message is sent, edited with all its versions kept, and deleted', async () => {
  expect(
    await call('sendMessage', { chat_id: USER, text: '<b>a</b>', parse_mode: 'HTML', disable_notification: true }),
  ).toMatchObject({ result: { message_id: 1, text: 'a', date: 1_000 } });
  now += 5_000;
  expect(await call('editMessageText', { chat_id: USER, message_id: 1, text: 'b' })).toMatchObject({
    result: { text: 'b', date: 1_000, edit_date: 1_005 },
  });
  const [message] = server.messages(USER);
  expect(message?.isSilent).toBe(true);
  expect(message?.versions.map(({ at, source, text }) => ({ at, source, text }))).toEqual([
    { at: 1_000_000, source: '<b>a</b>', text: 'a' },
    { at: 1_005_000, source: 'b', text: 'b' },
  ]);
  expect(await call('deleteMessage', { chat_id: USER, message_id: 1 })).toEqual({ ok: true, result: true });
  now += 5_000;
  expect(await call('editMessageText', { chat_id: USER, message_id: 1, text: 'c' })).toEqual(
    refusal(400, 'Bad Request: message to edit not found'),
  );
});

test("an edit that changes nothing, or another bot's message, is refused", async () => {
  await call('sendMessage', { chat_id: USER, text: 'a' });
  expect(await call('editMessageText', { chat_id: USER, message_id: 1, text: 'a' })).toMatchObject({
    error_code: 400,
    description: expect.stringContaining('message is not modified') as string,
  });
  expect(await call('editMessageText', { chat_id: USER, message_id: 1, text: 'b' }, '7:other-bots-token')).toEqual(
    refusal(400, "Bad Request: message can't be edited"),
  );
});

test.each([
  ['an unknown chat', { chat_id: 1, text: 'a' }, 400, 'Bad Request: chat not found'],
  ['a call without a chat', { text: 'a' }, 400, 'Bad Request: chat_id is empty'],
  ['an empty text', { chat_id: USER, text: ' ' }, 400, 'Bad Request: message text is empty'],
  [
    'a text that is too long to be seen',
    { chat_id: USER, text: 'a'.repeat(4_097) },
    400,
    'Bad Request: message is too long',
  ],
  [
    'a source that is too long to be read',
    { chat_id: USER, text: '&lt;'.repeat(8_193), parse_mode: 'HTML' },
    400,
    'Bad Request: Text is too long',
  ],
  ['half a surrogate pair', { chat_id: USER, text: '\uD800' }, 400, 'Bad Request: strings must be encoded in UTF-8'],
  [
    'wrong markup',
    { chat_id: USER, text: '<p>', parse_mode: 'HTML' },
    400,
    'Bad Request: can\'t parse entities: Unsupported start tag "p" at byte offset 0',
  ],
  [
    'an unknown topic',
    { chat_id: FORUM, text: 'a', message_thread_id: 8 },
    400,
    'Bad Request: message thread not found',
  ],
  [
    'a button without a web address',
    { chat_id: USER, text: 'a', reply_markup: { inline_keyboard: [[{ text: 'x', url: 'javascript:x' }]] } },
    400,
    "Bad Request: inline keyboard button URL 'javascript:x' is invalid: Wrong HTTP URL",
  ],
  [
    'a button whose host is none of the internet',
    {
      chat_id: USER,
      text: 'a',
      reply_markup: { inline_keyboard: [[{ text: 'x', url: 'http://localhost:8668/b/x' }]] },
    },
    400,
    'Bad Request: BUTTON_URL_INVALID',
  ],
  [
    'a button of an unknown style',
    {
      chat_id: USER,
      text: 'a',
      reply_markup: { inline_keyboard: [[{ text: 'x', url: 'https://a.b', style: 'red' }]] },
    },
    400,
    'Bad Request: invalid button style specified',
  ],
  [
    'a reply to a message that is not there',
    { chat_id: USER, text: 'a', reply_parameters: { message_id: 9 } },
    400,
    'Bad Request: message to be replied not found',
  ],
  [
    'such a reply in a topic, though it may be left out',
    {
      chat_id: FORUM,
      text: 'a',
      message_thread_id: 7,
      reply_parameters: { message_id: 9, allow_sending_without_reply: true },
    },
    400,
    'Bad Request: message to be replied not found',
  ],
  [
    'a button whose data are too long',
    { chat_id: USER, text: 'a', reply_markup: { inline_keyboard: [[{ text: 'x', callback_data: 'é'.repeat(33) }]] } },
    400,
    'Bad Request: BUTTON_DATA_INVALID',
  ],
])('refuses %s', async (_, parameters, code, description) => {
  expect(await call('sendMessage', parameters)).toEqual(refusal(code, description));
  expect(server.messages()).toEqual([]);
});

test('4,096 characters are counted after the entities are read', async () => {
  expect(
    await call('sendMessage', { chat_id: USER, text: `<b>${'&lt;'.repeat(4_096)}</b>`, parse_mode: 'HTML' }),
  ).toMatchObject({ ok: true });
});

test('a group accepts twenty messages a minute, edits included, and returns the time to wait', async () => {
  await call('sendMessage', { chat_id: GROUP, text: '0' });
  for (let count = 1; count < 20; count += 1) {
    now += 1_500;
    expect(await call('editMessageText', { chat_id: GROUP, message_id: 1, text: `${count}` })).toMatchObject({
      ok: true,
    });
  }
  now += 1_500;
  expect(await call('sendMessage', { chat_id: GROUP, text: 'one more' })).toEqual({
    ...refusal(429, 'Too Many Requests: retry after 30'),
    parameters: { retry_after: 30 },
  });
  now += 30_000;
  expect(await call('sendMessage', { chat_id: GROUP, text: 'one more' })).toMatchObject({ ok: true });
});

test('a reply has the id of its message, and is optionally sent without it if that was deleted', async () => {
  await call('sendMessage', { chat_id: USER, text: 'a' });
  const reply = { chat_id: USER, text: 'b', reply_parameters: { message_id: 1, allow_sending_without_reply: true } };
  expect(await call('sendMessage', reply)).toMatchObject({ result: { reply_to_message: { message_id: 1 } } });
  server.faults.remove(USER, 1);
  expect(await call('sendMessage', reply)).toMatchObject({ ok: true });
  expect(server.messages(USER).map(({ replyTo }) => replyTo)).toEqual([undefined, 1, undefined]);
});

test('an edit without buttons removes them', async () => {
  const reply_markup = { inline_keyboard: [[{ text: 'Log', url: 'https://c3.example/b/x', style: 'primary' }]] };
  await call('sendMessage', { chat_id: USER, text: 'a', reply_markup });
  await call('editMessageText', { chat_id: USER, message_id: 1, text: 'b' });
  expect(server.messages(USER)[0]?.versions.map((version) => version.replyMarkup)).toEqual([reply_markup, undefined]);
});

test('each bot has its own limits', async () => {
  for (const text of ['a', 'b', 'c']) await call('sendMessage', { chat_id: USER, text });
  expect(await call('sendMessage', { chat_id: USER, text: 'd' }, '7:other-bots-token')).toMatchObject({ ok: true });
});

test('after a burst in a chat the bot must wait a second', async () => {
  for (const text of ['a', 'b', 'c'])
    expect(await call('sendMessage', { chat_id: USER, text })).toMatchObject({ ok: true });
  expect(await call('sendMessage', { chat_id: USER, text: 'd' })).toMatchObject({ parameters: { retry_after: 1 } });
});

test('a removed bot and a migrated group get the errors of the real API', async () => {
  server.faults.kick(GROUP);
  server.faults.kick(USER);
  server.faults.migrate(FORUM, -1002);
  expect(await call('sendMessage', { chat_id: GROUP, text: 'a' })).toEqual(
    refusal(403, 'Forbidden: bot was kicked from the group chat'),
  );
  expect(await call('sendMessage', { chat_id: USER, text: 'a' })).toEqual(
    refusal(403, 'Forbidden: bot was blocked by the user'),
  );
  expect(await call('sendMessage', { chat_id: FORUM, text: 'a' })).toEqual({
    ...refusal(400, 'Bad Request: group chat was upgraded to a supergroup chat'),
    parameters: { migrate_to_chat_id: -1002 },
  });
});

test('a document is accepted as an upload', async () => {
  const form = new FormData();
  form.set('chat_id', String(USER));
  form.set('caption', 'the log');
  form.set('document', new File(['line\n'], 'build.log'));
  const response = await fetch(`${server.url}/bot${TOKEN}/sendDocument`, { method: 'POST', body: form });
  expect(await response.json()).toMatchObject({
    result: { caption: 'the log', document: { file_name: 'build.log', file_size: 5 } },
  });
  expect(Buffer.from(server.messages()[0]?.document?.bytes ?? []).toString()).toBe('line\n');
});

test('webhooks and callback answers are checked', async () => {
  expect(await call('setWebhook', { url: 'http://x.example' })).toMatchObject(
    refusal(400, 'Bad Request: bad webhook: An HTTPS URL must be provided for webhook'),
  );
  expect(await call('setWebhook', { url: 'https://x.example', secret_token: 'a b' })).toMatchObject({ ok: false });
  expect(await call('setWebhook', { url: 'https://x.example', secret_token: 'a_b' })).toEqual({
    ok: true,
    result: true,
  });
  expect(await call('deleteWebhook')).toEqual({ ok: true, result: true });
  expect(await call('answerCallbackQuery', { callback_query_id: '1', text: 'ok' })).toEqual({ ok: true, result: true });
  expect(await call('answerCallbackQuery', {})).toMatchObject({ ok: false });
});

test('waiting ends with the message or with the signal', async () => {
  const waiting = server.waitFor((message) => newest(message).text === 'b', deadline());
  await call('sendMessage', { chat_id: USER, text: 'a' });
  await call('editMessageText', { chat_id: USER, message_id: 1, text: 'b' });
  expect(await waiting).toMatchObject({ messageId: 1 });
  const abort = new AbortController();
  const given = server.waitFor(() => false, abort.signal);
  abort.abort(new Error('enough'));
  await expect(given).rejects.toThrow('enough');
});

test('the viewer shows messages from their parsed form only', async () => {
  await call('sendMessage', { chat_id: GROUP, text: '<b>a</b> &lt;script&gt;', parse_mode: 'HTML' });
  await call('sendMessage', { chat_id: GROUP, text: '<script>x</script>' });
  const page = await (await fetch(`${server.url}/`)).text();
  expect(page).toContain("default-src 'none'");
  await call('sendMessage', {
    chat_id: GROUP,
    text: 'c',
    reply_parameters: { message_id: 2 },
    disable_notification: true,
  });
  const url = `${server.url}/messages`;
  const messages = (await (await fetch(url)).json()) as { chat: string; html: string; isSilent: boolean }[];
  expect(messages.map(({ chat, html }) => [chat, html])).toEqual([
    ['Builds', '<div class="text"><b>a</b> &lt;script&gt;</div>'],
    ['Builds', '<div class="text">&lt;script&gt;x&lt;/script&gt;</div>'],
    ['Builds', '<p class="reply">&lt;script&gt;x&lt;/script&gt;</p><div class="text">c</div>'],
  ]);
  expect(messages.map(({ isSilent }) => isSilent)).toEqual([false, false, true]);
});
