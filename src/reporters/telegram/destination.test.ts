import { expect, test } from 'vitest';
import { C3Error } from '../../errors.ts';
import { isGroupChat, parseDestination } from './destination.ts';

const TOKEN = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';

test.each([
  [
    { token: TOKEN, chat: 42 },
    { token: TOKEN, chat: 42 },
  ],
  [
    { token: TOKEN, chat: '-1001234567890', thread: '7' },
    { token: TOKEN, chat: -1001234567890, thread: 7 },
  ],
  [
    { token: TOKEN, chat: '@acme_builds', thread: null },
    { token: TOKEN, chat: '@acme_builds' },
  ],
])('reads %j', (input, output) => {
  expect(parseDestination(JSON.stringify(input))).toEqual(output);
});

test.each([
  [TOKEN, 'is not JSON'],
  [JSON.stringify(TOKEN), 'is not a JSON object'],
  ['[]', 'is not a JSON object'],
  [JSON.stringify({ token: TOKEN, chat: 1, [TOKEN]: 1 }), 'has keys other than "token", "chat" and "thread"'],
  [JSON.stringify({ token: 'x', chat: 1 }), 'has no "token" of the form <digits>:<key>'],
  [JSON.stringify({ token: `${TOKEN}/../x`, chat: 1 }), 'has no "token" of the form <digits>:<key>'],
  [JSON.stringify({ token: TOKEN }), 'has no "chat" that is a whole number or a @name'],
  [JSON.stringify({ token: TOKEN, chat: 0 }), 'has no "chat" that is a whole number or a @name'],
  [JSON.stringify({ token: TOKEN, chat: TOKEN }), 'has no "chat" that is a whole number or a @name'],
  [JSON.stringify({ token: TOKEN, chat: 1, thread: 1.5 }), 'has a "thread" that is not a whole number above 0'],
])('refuses %s', (text, what) => {
  let thrown: unknown;
  try {
    parseDestination(text);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(C3Error);
  expect(thrown).toMatchObject({ code: 'TELEGRAM_INVALID', message: `The Telegram destination ${what}` });
  expect(JSON.stringify([thrown, (thrown as Error).stack, (thrown as Error).cause])).not.toContain(TOKEN);
});

test('groups and public chats differ from private ones', () => {
  expect([isGroupChat(42), isGroupChat(-42), isGroupChat('@acme')]).toEqual([false, true, true]);
});
