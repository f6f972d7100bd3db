import { C3Error } from '../../errors.ts';
import { isJsonObject, parseJson, readInteger } from '../../json.ts';

/** The chat that receives the messages of a build. */
export interface TelegramDestination {
  /** Secret: a bot's token, `<bot id>:<key>`. */
  readonly token: string;
  /**
   * A chat's id, or the `@name` of a public chat. Ids of groups are negative; those of supergroups and channels begin
   * with -100.
   */
  readonly chat: number | string;
  /** A topic of a forum, `message_thread_id`. */
  readonly thread?: number;
}

const HINT = 'for example {"token": "123456789:AAE…", "chat": -1001234567890, "thread": 7}; "thread" is optional';
/** Also ensures that the token, which becomes part of a URL, is one path segment. */
const TOKEN = /^[0-9]{1,20}:[A-Za-z0-9_-]{10,128}$/;
const KEYS = new Set(['token', 'chat', 'thread']);

/**
 * Reads the plaintext of a sealed `telegram:` value, `{token, chat, thread?}` as JSON. Numbers may be strings.
 *
 * @throws {C3Error} TELEGRAM_INVALID for anything else. The error quotes nothing of the text, which may be a token
 */
export function parseDestination(text: string): TelegramDestination {
  const value = parseJson(text);
  if (value === undefined) throw invalid('is not JSON');
  if (!isJsonObject(value)) throw invalid('is not a JSON object');
  if (Object.keys(value).some((key) => !KEYS.has(key)))
    throw invalid('has keys other than "token", "chat" and "thread"');
  const { token, chat, thread } = value;
  if (typeof token !== 'string' || !TOKEN.test(token)) throw invalid('has no "token" of the form <digits>:<key>');
  const chatId = toChat(chat);
  if (chatId === undefined) throw invalid('has no "chat" that is a whole number or a @name');
  if (thread === undefined || thread === null) return { token, chat: chatId };
  const threadId = toWholeNumber(thread);
  if (threadId === undefined || threadId < 1) throw invalid('has a "thread" that is not a whole number above 0');
  return { token, chat: chatId, thread: threadId };
}

/**
 * Returns whether a chat is a group, a supergroup or a channel. These have a stricter rate limit than a private chat.
 */
export function isGroupChat(chat: number | string): boolean {
  return typeof chat === 'string' || chat < 0;
}

function toChat(value: unknown): number | string | undefined {
  if (typeof value === 'string' && /^@[A-Za-z][A-Za-z0-9_]{3,31}$/.test(value)) return value;
  const id = toWholeNumber(value);
  return id === 0 ? undefined : id;
}

function toWholeNumber(value: unknown): number | undefined {
  return readInteger(typeof value === 'string' && /^-?[0-9]{1,16}$/.test(value) ? Number(value) : value);
}

function invalid(problem: string): C3Error {
  return new C3Error('TELEGRAM_INVALID', `The Telegram destination ${problem}`, { hint: HINT });
}
