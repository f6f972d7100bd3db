import { C3Error } from '../errors.ts';
import { isJsonObject, parseJson, readInteger } from '../json.ts';
import type { Purpose } from './purpose.ts';

/** Limit of a sealed text, in bytes of UTF-8. A kubeconfig with two certificates and a key has about 6 KiB. */
export const MAX_PLAINTEXT_BYTES: number = 16 * 1024;

/**
 * Longest access token. The hook's URL is then below 8 KiB, the limit of common proxies. The longest known token has
 * 520 characters.
 */
const MAX_HOOK_TOKEN_CHARACTERS = 4096;

/** Removes the one newline that `echo` and editors add. */
export function stripNewline(piped: string): string {
  return piped.replace(/\r?\n$/, '');
}

/**
 * Refuses a text that could be sealed but would not work later, so that the user sees the mistake at once.
 *
 * @throws {C3Error} PLAINTEXT_INVALID with a message that says what is expected and never quotes the text
 */
export function checkPlaintext(purpose: Purpose, plaintext: string): void {
  const mistake = findMistake(purpose, plaintext);
  if (mistake) throw new C3Error('PLAINTEXT_INVALID', mistake);
}

function findMistake(purpose: Purpose, plaintext: string): string | undefined {
  if (plaintext.trim() === '') return 'There is nothing to seal: the text is empty';
  if (!plaintext.isWellFormed()) return 'The text to seal is not well-formed Unicode';
  const byteLength = Buffer.byteLength(plaintext);
  if (byteLength > MAX_PLAINTEXT_BYTES) {
    return `The text to seal is ${byteLength} bytes long, at most ${MAX_PLAINTEXT_BYTES} are allowed`;
  }
  return CHECKS[purpose.kind](plaintext, purpose);
}

const CHECKS: Readonly<Record<Purpose['kind'], (plaintext: string, purpose: Purpose) => string | undefined>> = {
  hook: findTokenMistake,
  k8s: findKubeconfigMistake,
  telegram: findTelegramMistake,
  secret: (text) => (text.includes('\0') ? 'A secret with a NUL byte cannot be an environment variable' : undefined),
};

/** Finds the commonest mistake, the name of the file. The kube room checks the kubeconfig itself. */
function findKubeconfigMistake(text: string): string | undefined {
  return /^[~.]?\/\S*$/.test(text)
    ? "This is the path of a kubeconfig: give the file's text, for example from kubectl config view --raw --minify --flatten"
    : undefined;
}

function findTokenMistake(token: string): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    return 'An access token is one word of printable ASCII: this text has white space, a control character or a letter outside ASCII';
  }
  return token.length > MAX_HOOK_TOKEN_CHARACTERS
    ? `An access token has at most ${MAX_HOOK_TOKEN_CHARACTERS} characters, this text has ${token.length}`
    : undefined;
}

/** Whether a Telegram destination is for the operator's bot: it names no token. The rest may be wrong. */
export function isForOperatorsBot(text: string): boolean {
  const value = parseJson(text);
  return isJsonObject(value) && !('token' in value);
}

function findTelegramMistake(text: string, purpose: Purpose): string | undefined {
  const form = 'A Telegram destination is JSON such as {"token": "123:abc", "chat": -100123, "thread": 45}';
  const value = parseJson(text);
  if (value === undefined) return `${form}: this text is not JSON`;
  if (!isJsonObject(value)) return `${form}: this is not an object`;
  const { token, chat, thread, ...others } = value;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return `${form}: "${unknown.slice(0, 60)}" is not known`;
  if (purpose.kind === 'telegram' && purpose.bot === 'operator') {
    if (token !== undefined) return `${form}: one for the operator's bot has no "token"`;
  } else if (token === undefined) {
    return `${form}: there is no "token"; only the operator of c3 seals for the operator's bot, with c3 encrypt and C3_SECRET`;
  } else if (typeof token !== 'string' || !/^[0-9]+:[A-Za-z0-9_-]+$/.test(token)) {
    return `${form}: "token" is not a bot token`;
  }
  const isChatId = (readInteger(chat) ?? 0) !== 0;
  const isChatName = typeof chat === 'string' && /^(-?[1-9][0-9]{0,15}|@[A-Za-z][A-Za-z0-9_]{3,31})$/.test(chat);
  if (!isChatId && !isChatName) return `${form}: "chat" is not a chat id or an @name`;
  if (thread !== undefined && readInteger(thread, { min: 1 }) === undefined) {
    return `${form}: "thread" is not a positive whole number`;
  }
  return undefined;
}
