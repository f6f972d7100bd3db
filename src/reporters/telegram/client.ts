import { randomBytes } from 'node:crypto';
import type { ApiMethods } from '@grammyjs/types';
import { parseJson, readInteger, readObject, readString } from '../../json.ts';
import { readAtMost } from '../../limiter.ts';
import { trimEnd } from '../../trim-end.ts';

/** Telegram responds in well under a second. Its flood control delays a response by about three. */
const REQUEST_TIMEOUT_MS = 20_000;
/** A response repeats the message: at most 32 KiB of text and its entities. */
const MAX_RESPONSE_BYTES = 256 * 1024;

type SendMessage = Parameters<ApiMethods<never>['sendMessage']>[0];
type EditMessageText = Parameters<ApiMethods<never>['editMessageText']>[0];
type SendDocument = Omit<Parameters<ApiMethods<never>['sendDocument']>[0], 'document'>;

/** The three methods that c3 needs. They never reject. */
export interface TelegramClient {
  sendMessage(message: SendMessage): Promise<TelegramResponse>;
  editMessageText(edit: EditMessageText): Promise<TelegramResponse>;
  /** Has no time limit but the upload's signal. `unread`: the file could not be read, so it was not sent. */
  sendDocument(document: SendDocument, upload: Upload): Promise<TelegramResponse | { readonly kind: 'unread' }>;
}

/** A file that is read while it is sent. */
export interface Upload {
  readonly fileName: string;
  /** Passes the bytes on. The promise of `onBytes` is back-pressure. Resolves to whether the file is complete. */
  read(onBytes: (bytes: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<boolean>;
  /** Aborts the upload. */
  readonly signal: AbortSignal;
}

export interface TelegramClientOptions {
  readonly token: string;
  /** `https://api.telegram.org`, or the address of your own Bot API server. */
  readonly apiBase: string;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
}

/** @see https://core.telegram.org/bots/api#making-requests */
export function createTelegramClient(options: TelegramClientOptions): TelegramClient {
  const base = trimEnd(options.apiBase, '/');
  const send = options.fetch ?? fetch;

  async function call(method: string, init: RequestInit): Promise<TelegramResponse> {
    try {
      const url = `${base}/bot${options.token}/${method}`;
      const response = await send(url, { ...init, method: 'POST', redirect: 'error' });
      const body = await readAtMost(response.body, MAX_RESPONSE_BYTES);
      return body === undefined
        ? { kind: 'transient', reason: `a response of more than ${MAX_RESPONSE_BYTES} bytes` }
        : readResponse(response.status, body.toString(), options.token);
    } catch (error) {
      return { kind: 'transient', reason: toReason(error) };
    }
  }

  function callWithJson(method: string, parameters: object): Promise<TelegramResponse> {
    const headers = { 'content-type': 'application/json' };
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    return call(method, { headers, body: JSON.stringify(parameters), signal });
  }

  return {
    sendMessage: (message) => callWithJson('sendMessage', message),
    editMessageText: (edit) => callWithJson('editMessageText', edit),
    async sendDocument(document, upload) {
      const boundary = `c3-${randomBytes(16).toString('hex')}`;
      const head = toHead(boundary, { ...document }, upload.fileName);
      // Holds one piece, and asks for the next when that is sent.
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      const ended = new AbortController();
      const signal = AbortSignal.any([ended.signal, upload.signal]);
      async function writeForm(): Promise<boolean> {
        await writer.write(Buffer.from(head));
        if (!(await upload.read((bytes) => writer.write(bytes), signal))) return signal.aborted;
        await writer.write(Buffer.from(`\r\n--${boundary}--\r\n`));
        await writer.close();
        return true;
      }
      // Rejects when the request has ended and cancelled the stream. The response says why.
      const isRead = writeForm()
        .catch(() => true)
        .finally(() => void writer.abort().catch(() => {}));
      const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
      const init = { headers, body: readable, duplex: 'half', signal: upload.signal } as const;
      const response = await call('sendDocument', init);
      ended.abort();
      await writer.abort().catch(() => {});
      return (await isRead) ? response : { kind: 'unread' };
    },
  };
}

/** Returns a code such as ECONNREFUSED. The error's message may contain the URL and the token. */
function toReason(error: unknown): string {
  if (!(error instanceof Error)) return 'no connection';
  if (error.name === 'TimeoutError') return `no response in ${REQUEST_TIMEOUT_MS / 1000} s`;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && /^[A-Z0-9_]{1,40}$/.test(cause.code)) return cause.code;
  }
  return 'no connection';
}

/**
 * Returns a `multipart/form-data` body up to the content of its last field, `document`. The platform's `FormData` would
 * need the whole file in memory. Fields that are objects are sent as JSON. Fields that are undefined are omitted.
 *
 * @see https://core.telegram.org/bots/api#sending-files
 */
function toHead(boundary: string, fields: Readonly<Record<string, unknown>>, fileName: string): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
    });
  const file = `Content-Disposition: form-data; name="document"; filename="${fileName}"\r\nContent-Type: text/plain\r\n\r\n`;
  return `${parts.join('')}--${boundary}\r\n${file}`;
}

/** Telegram sends "retry after 60" when it does not know better. A response without a number is treated alike. */
const DEFAULT_RETRY_AFTER_SECONDS = 60;
/** Flood waits of hours exist. After a longer one, c3 tries again once a day. */
const MAX_RETRY_AFTER_SECONDS = 86_400;
/** Telegram's sentences are short. Something that responds in its place may write more. */
const MAX_DESCRIPTION_LENGTH = 200;

/** How Telegram responded to a message or an edit. A reason never contains the token. */
export type TelegramResponse =
  | { readonly kind: 'delivered'; readonly messageId: number | undefined }
  /** 429: nobody may send to this chat for this time. */
  | { readonly kind: 'wait'; readonly ms: number; readonly reason: string }
  /** There was no response of Telegram, or one that says that Telegram has a fault. */
  | { readonly kind: 'transient'; readonly reason: string }
  /** The group became a supergroup and has another id. */
  | { readonly kind: 'migrated'; readonly chat: number }
  | { readonly kind: 'message-gone' }
  /**
   * The message to reply to was deleted. In a topic, Telegram refuses this in spite of `allow_sending_without_reply`.
   */
  | { readonly kind: 'reply-gone' }
  /** The address of a button has no dot in its host, or is not a web address. */
  | { readonly kind: 'buttons-refused' }
  /** Telegram cannot parse the markup. */
  | { readonly kind: 'unparsable'; readonly reason: string }
  /**
   * A revoked token, an unknown chat or topic, missing rights: a retry cannot help. The reason says what to do, if
   * that is known.
   */
  | { readonly kind: 'permanent'; readonly reason: string };

/** What to do about a refusal, by its description. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:unauthorized|not found)$/,
    'the token is no longer valid: send /token to BotFather and seal the destination again',
  ],
  [/chat not found/, 'add the bot to the chat; the id of a supergroup begins with -100'],
  [/kicked|not a member/, 'add the bot to the chat again'],
  [/blocked/, 'unblock the bot'],
  [/thread not found|topic_(?:deleted|closed)/, 'the topic was deleted or closed: seal the destination again'],
  [/not enough rights|have no rights|chat_write_forbidden/, 'allow the bot to send messages there'],
];

/**
 * Reads the response to a call. The code says little, because most refusals are 400. The description decides: its
 * texts are in Client.cpp of the Bot API server.
 */
function readResponse(status: number, body: string, token: string): TelegramResponse {
  const { ok, result, description: sentence, error_code: errorCode, parameters } = readObject(parseJson(body));
  if (ok === true) return { kind: 'delivered', messageId: readInteger(readObject(result)['message_id']) };
  // It may quote the address of a button, which grants the right to cancel the build.
  const description = readString(sentence)
    ?.replaceAll(token, '***')
    .replaceAll(/https?:\/\/[^\s'"]+/gi, '…')
    .slice(0, MAX_DESCRIPTION_LENGTH);
  if (ok !== false || description === undefined)
    return { kind: 'transient', reason: `HTTP ${status} and no response of a Bot API` };
  const { retry_after: retryAfter, migrate_to_chat_id: migratedTo } = readObject(parameters);
  const code = readInteger(errorCode) ?? status;
  const reason = `${code} ${description}`;
  if (code === 429) {
    const seconds = Math.max(1, readInteger(retryAfter) ?? DEFAULT_RETRY_AFTER_SECONDS);
    return { kind: 'wait', ms: Math.min(seconds, MAX_RETRY_AFTER_SECONDS) * 1000, reason };
  }
  if (code >= 500) return { kind: 'transient', reason };
  const chat = readInteger(migratedTo);
  if (chat !== undefined) return { kind: 'migrated', chat };
  const text = description.toLowerCase();
  // Telegram already has this text: an earlier request was delivered, but its response was lost.
  if (text.includes('message is not modified')) return { kind: 'delivered', messageId: undefined };
  if (/message to edit not found|message can't be edited|message_id_invalid/.test(text))
    return { kind: 'message-gone' };
  if (/message to be replied not found|message to reply not found/.test(text)) return { kind: 'reply-gone' };
  // Must precede the next test: Telegram also says "can't parse inline keyboard button".
  if (/button_url_invalid|inline keyboard button/.test(text)) return { kind: 'buttons-refused' };
  if (text.includes("can't parse entities")) return { kind: 'unparsable', reason };
  const remedy = REMEDIES.find(([pattern]) => pattern.test(text))?.[1];
  return { kind: 'permanent', reason: remedy === undefined ? reason : `${reason} (${remedy})` };
}
