import { badRequest } from './answers.ts';

/** Bytes, not characters. */
const MAX_CALLBACK_DATA_BYTES = 64;

const STYLES: ReadonlySet<unknown> = new Set(['danger', 'success', 'primary']);

/**
 * Telegram refuses a host without a dot, such as `localhost`: https://github.com/rubenlagus/TelegramBots/issues/302.
 */
function isOfTheInternet(host: string): boolean {
  return host.includes('.') || host.startsWith('[');
}

/** @throws {Refusal} when a button of an inline keyboard has neither a web address nor callback data that fit */
export function checkButtons(markup: unknown): void {
  const rows = (markup as { inline_keyboard?: unknown } | undefined)?.inline_keyboard;
  if (rows === undefined) return;
  if (!Array.isArray(rows)) throw badRequest('field "inline_keyboard" must be of type Array');
  for (const button of rows.flat() as Record<string, unknown>[]) {
    const { text, url = '', callback_data: data = '', style } = button;
    const isText = [text, url, data].every((value) => typeof value === 'string');
    if (!isText || text === '' || (url === '' && data === '')) {
      throw badRequest("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard");
    }
    if (url !== '' && !/^https?:\/\/[^\s/]/.test(url as string)) {
      throw badRequest(`inline keyboard button URL '${url as string}' is invalid: Wrong HTTP URL`);
    }
    if (url !== '' && !isOfTheInternet(new URL(url as string).hostname)) throw badRequest('BUTTON_URL_INVALID');
    if (style !== undefined && !STYLES.has(style)) throw badRequest('invalid button style specified');
    if (Buffer.byteLength(data as string) > MAX_CALLBACK_DATA_BYTES) throw badRequest('BUTTON_DATA_INVALID');
  }
}
