import { randomBytes } from 'node:crypto';
import type { ApiMethods } from '@grammyjs/types';
import { parseJson, readInteger, readObject } from '../../json.ts';
import { trimEnd } from '../../trim-end.ts';

/** A status takes Telegram well under a second; its own flood control holds an answer for about three. */
const REQUEST_TIMEOUT_MS = 20_000;
/** An answer holds the sent message once more, at most 32 KiB of text and its entities. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** Telegram's sentences are short; this is for something else that answers in its place. */
const MAX_DESCRIPTION_LENGTH = 200;

export type SendMessage = Parameters<ApiMethods<never>['sendMessage']>[0];
export type EditMessageText = Parameters<ApiMethods<never>['editMessageText']>[0];
export type SendDocument = Omit<Parameters<ApiMethods<never>['sendDocument']>[0], 'document'>;

/** How a call ended. Never thrown, and without the token: it is a part of the URL's path, and errors of `fetch` may quote the URL. */
export type TelegramAnswer =
  /** `messageId` is there if the answer is a message. */
  | { readonly kind: 'ok'; readonly messageId: number | undefined }
  | {
      readonly kind: 'refused';
      /** Telegram's own: 400, 401, 403, 404, 429, 500. */
      readonly code: number;
      readonly description: string;
      readonly retryAfterSeconds: number | undefined;
      readonly migrateToChatId: number | undefined;
    }
  /** No answer of Telegram's: no connection, time limit, or something else that answered. */
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface TelegramClient {
  sendMessage(message: SendMessage): Promise<TelegramAnswer>;
  editMessageText(edit: EditMessageText): Promise<TelegramAnswer>;
  /** Takes as long as its signal allows. */
  sendDocument(document: SendDocument, upload: Upload): Promise<TelegramAnswer | { readonly kind: 'unread' }>;
}

export interface TelegramClientOptions {
  readonly token: string;
  /** `https://api.telegram.org`, or a Bot API server of one's own. */
  readonly apiBase: string;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
}

/** The three methods that c3 needs. @see https://core.telegram.org/bots/api#making-requests */
export function createTelegramClient(options: TelegramClientOptions): TelegramClient {
  const base = trimEnd(options.apiBase, '/');
  const send = options.fetch ?? fetch;

  async function call(method: string, init: RequestInit): Promise<TelegramAnswer> {
    try {
      const url = `${base}/bot${options.token}/${method}`;
      const response = await send(url, { ...init, method: 'POST', redirect: 'error' });
      const body = await readBody(response);
      return body === undefined
        ? { kind: 'unreachable', reason: `an answer of more than ${MAX_ANSWER_BYTES} bytes` }
        : toAnswer(response.status, body, options.token);
    } catch (error) {
      return { kind: 'unreachable', reason: toReason(error) };
    }
  }

  function callWithJson(method: string, parameters: object): Promise<TelegramAnswer> {
    const headers = { 'content-type': 'application/json' };
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    return call(method, { headers, body: JSON.stringify(parameters), signal });
  }

  return {
    sendMessage: (message) => callWithJson('sendMessage', message),
    editMessageText: (edit) => callWithJson('editMessageText', edit),
    async sendDocument(document, upload) {
      const form = openForm({ ...document }, upload);
      const { body, contentType: type } = form;
      const init = { headers: { 'content-type': type }, body, duplex: 'half', signal: upload.signal } as const;
      const answer = await call('sendDocument', init);
      return (await form.close()) === 'unread' ? { kind: 'unread' } : answer;
    },
  };
}

async function readBody(response: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the stream, which ends the connection.
    if (size > MAX_ANSWER_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function toAnswer(status: number, body: string, token: string): TelegramAnswer {
  const { ok, result, description, error_code: code, parameters } = readObject(parseJson(body));
  if (ok === true) return { kind: 'ok', messageId: readInteger(readObject(result)['message_id']) };
  if (ok === undefined || typeof description !== 'string') {
    return { kind: 'unreachable', reason: `HTTP ${status} and no answer of a Bot API` };
  }
  const { retry_after: retryAfter, migrate_to_chat_id: newChatId } = readObject(parameters);
  return {
    kind: 'refused',
    code: readInteger(code) ?? status,
    // It may quote a button's address, and whoever has that may cancel the build.
    description: description
      .replaceAll(token, '***')
      .replaceAll(/https?:\/\/[^\s'"]+/gi, '…')
      .slice(0, MAX_DESCRIPTION_LENGTH),
    retryAfterSeconds: readInteger(retryAfter),
    migrateToChatId: readInteger(newChatId),
  };
}

/** A code such as ECONNREFUSED, or the kind of error; never its text. */
function toReason(error: unknown): string {
  if (!(error instanceof Error)) return 'no connection';
  if (error.name === 'TimeoutError') return `no answer in ${REQUEST_TIMEOUT_MS / 1000} s`;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string' && /^[A-Z0-9_]{1,40}$/.test(cause.code)) return cause.code;
  }
  return 'no connection';
}

/** A file that is read while it is sent. */
export interface Upload {
  readonly fileName: string;
  /** Hands over the bytes; its promise slows it. False: there is no more to read, and what there was is no whole file. */
  read(onBytes: (bytes: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<boolean>;
  /** Aborted: it is no longer to be sent. */
  readonly signal: AbortSignal;
}

interface UploadForm {
  readonly contentType: string;
  readonly body: ReadableStream<Uint8Array>;
  /** Ends it. `unread`: it was not sent since it could not be read to its end. */
  close(): Promise<'read' | 'unread'>;
}

/**
 * `multipart/form-data` whose last field, `document`, is read while it is sent: nothing of it is kept, so its length is not known
 * and it goes in chunks. Fields that are objects go as JSON, those that are undefined not at all.
 *
 * @see https://core.telegram.org/bots/api#sending-files
 */
function openForm(fields: Readonly<Record<string, unknown>>, upload: Upload): UploadForm {
  const boundary = `c3-${randomBytes(16).toString('hex')}`;
  const over = new AbortController();
  // Holds one piece: the next is asked for when it was sent.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();

  async function write(bytes: Uint8Array): Promise<void> {
    await writer.write(bytes);
  }

  async function fill(): Promise<'read' | 'unread'> {
    await write(Buffer.from(toHead(boundary, fields, upload.fileName)));
    const signal = AbortSignal.any([over.signal, upload.signal]);
    if (!(await upload.read(write, signal))) return signal.aborted ? 'read' : 'unread';
    await write(Buffer.from(`\r\n--${boundary}--\r\n`));
    await writer.close();
    return 'read';
  }

  const filled = fill()
    // Whoever read the stream has cancelled it: that the answer tells.
    .catch(() => 'read' as const)
    .then(async (outcome) => {
      await writer.abort().catch(() => {});
      return outcome;
    });
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: readable,
    async close() {
      over.abort();
      await writer.abort().catch(() => {});
      return await filled;
    },
  };
}

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
