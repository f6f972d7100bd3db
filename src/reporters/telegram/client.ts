import { randomBytes } from 'node:crypto';
import type { ApiMethods } from '@grammyjs/types';
import { readAtMost } from '../../limiter.ts';
import { trimEnd } from '../../trim-end.ts';
import { readResponse, type TelegramResponse } from './response.ts';

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
  readonly fetch?: typeof fetch;
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
      const form = openForm({ ...document }, upload);
      const headers = { 'content-type': form.contentType };
      const init = { headers, body: form.body, duplex: 'half', signal: upload.signal } as const;
      const response = await call('sendDocument', init);
      return (await form.close()) === 'unread' ? { kind: 'unread' } : response;
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

interface Form {
  readonly contentType: string;
  readonly body: ReadableStream<Uint8Array>;
  /** Ends the form. Resolves to `unread` if the file could not be read to its end. */
  close(): Promise<'read' | 'unread'>;
}

/**
 * Opens a `multipart/form-data` body whose last field, `document`, is read while it is sent. Its length is unknown,
 * so it is sent in chunks. Fields that are objects are sent as JSON. Fields that are undefined are omitted.
 *
 * @see https://core.telegram.org/bots/api#sending-files
 */
function openForm(fields: Readonly<Record<string, unknown>>, upload: Upload): Form {
  const boundary = `c3-${randomBytes(16).toString('hex')}`;
  const closed = new AbortController();
  // Holds one piece, and asks for the next when that is sent.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();

  async function fill(): Promise<'read' | 'unread'> {
    await writer.write(Buffer.from(toHead(boundary, fields, upload.fileName)));
    const signal = AbortSignal.any([closed.signal, upload.signal]);
    if (!(await upload.read((bytes) => writer.write(bytes), signal))) return signal.aborted ? 'read' : 'unread';
    await writer.write(Buffer.from(`\r\n--${boundary}--\r\n`));
    await writer.close();
    return 'read';
  }

  const filled = fill()
    // The request has ended and cancelled the stream. Its response says why.
    .catch(() => 'read' as const)
    .then(async (outcome) => {
      await writer.abort().catch(() => {});
      return outcome;
    });
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: readable,
    async close() {
      closed.abort();
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
