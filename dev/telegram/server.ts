import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Refusal, toError, tooManyRequests, toResult, type Answer } from './answers.ts';
import { createFaults, type Faults } from './faults.ts';
import { createRateLimiter } from './limits.ts';
import { findChat, METHODS, type Parameters } from './methods.ts';
import { renderMessages, renderViewer } from './viewer.ts';
import { StoredDocument, toBotId, type BotAccount, type ChatAccount, type StoredMessage, type World } from './world.ts';

/** The 50 MB of an upload, and the overhead of multipart. */
const MAX_BODY_BYTES = 51 * 1024 * 1024;
const SENDING = new Set(['sendmessage', 'editmessagetext', 'senddocument']);

export interface TelegramServerOptions {
  /** Default 0: any free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly bots: readonly BotAccount[];
  readonly chats: readonly ChatAccount[];
  /**
   * Whether a chat accepts only 20 messages a minute (groups) and 3 in 3 seconds, as the real one. Default: false.
   */
  readonly hasLimits?: boolean;
  /** Epoch milliseconds. Default: the system's clock. */
  readonly now?: () => number;
}

/** A request to the API, with a valid token or not. */
export interface Call {
  readonly method: string;
  readonly parameters: Parameters;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface TelegramServer {
  /** Base URL of the API and of the viewer page, without a slash at the end. */
  readonly url: string;
  readonly calls: readonly Call[];
  readonly faults: Faults;
  /** The messages of one chat or of all, in the order of sending, with the deleted ones. */
  messages(chatId?: number): readonly StoredMessage[];
  /** Resolves with the first message that matches, now or after a change. @throws the signal's reason */
  waitFor(predicate: (message: StoredMessage) => boolean, signal: AbortSignal): Promise<StoredMessage>;
  close(): Promise<void>;
}

/**
 * Starts a Bot API on loopback. It is stricter than the real one, uses its error texts and keeps every version of
 * each message.
 */
export async function createTelegramServer(options: TelegramServerOptions): Promise<TelegramServer> {
  const now = options.now ?? Date.now;
  const watchers = new Set<(message: StoredMessage) => void>();
  const world: World = {
    bots: options.bots,
    chats: new Map(options.chats.map((chat) => [chat.id, chat])),
    migrated: new Map(),
    kicked: new Set(),
    messages: [],
    webhooks: new Map(),
    now,
    changed: (message) => watchers.forEach((watch) => watch(message)),
  };
  const calls: Call[] = [];
  const faults = createFaults(world);
  const limiter = options.hasLimits === true ? createRateLimiter(now) : undefined;

  async function answerApi(request: IncomingMessage, path: string): Promise<Answer | 'cut'> {
    const [, token, name = ''] = /^\/bot([^/]+)\/([A-Za-z]+)$/.exec(path) ?? [];
    if (token === undefined) throw new Refusal(404, 'Not Found');
    const parameters = await readParameters(request);
    const method = name.toLowerCase();
    calls.push({ method: name, parameters, at: now() });
    if (!/^[0-9]+:[A-Za-z0-9_-]+$/.test(token)) throw new Refusal(404, 'Not Found');
    const bot = world.bots.find((other) => other.token === token);
    if (bot === undefined) throw new Refusal(401, 'Unauthorized');
    const run = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
    if (run === undefined) throw new Refusal(404, 'Not Found');
    const fault = faults.take(method);
    if (fault?.kind === 'cut') return 'cut';
    if (fault?.kind === 'answer') return fault.answer;
    const wait = SENDING.has(method) ? (limiter?.take(toBotId(bot), findChat(world, parameters).id) ?? 0) : 0;
    if (wait > 0) throw tooManyRequests(wait);
    const result = toResult(run(world, bot, parameters));
    return fault?.kind === 'lose-answer' ? 'cut' : result;
  }

  const server = createServer((request, response) => {
    const path = (request.url ?? '/').replace(/\?.*$/, '');
    if (path === '/') return sendText(response, renderViewer(), 'text/html; charset=utf-8');
    if (path === '/messages') return sendText(response, JSON.stringify(renderMessages(world)), 'application/json');
    void answerApi(request, path)
      .catch((error: unknown) => toError(error instanceof Refusal ? error : new Refusal(500, 'Internal Server Error')))
      .then((answer) => {
        if (answer === 'cut') response.destroy();
        else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
      });
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  await promise;
  const { address, port } = server.address() as AddressInfo;

  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    calls,
    faults,
    messages: (chatId) => world.messages.filter((message) => chatId === undefined || message.chatId === chatId),
    waitFor: (predicate, signal) => waitFor(world, { watchers, predicate, signal }),
    async close(): Promise<void> {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Wait {
  readonly watchers: Set<(message: StoredMessage) => void>;
  readonly predicate: (message: StoredMessage) => boolean;
  readonly signal: AbortSignal;
}

async function waitFor(world: World, { watchers, predicate, signal }: Wait): Promise<StoredMessage> {
  signal.throwIfAborted();
  const present = world.messages.find(predicate);
  if (present !== undefined) return present;
  const { promise, resolve, reject } = Promise.withResolvers<StoredMessage>();
  const watch = (message: StoredMessage): void => {
    if (predicate(message)) resolve(message);
  };
  const onAbort = (): void => reject(signal.reason as Error);
  watchers.add(watch);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await promise;
  } finally {
    watchers.delete(watch);
    signal.removeEventListener('abort', onAbort);
  }
}

/** @throws {Refusal} when the body is too large or does not match its type */
async function readParameters(request: IncomingMessage): Promise<Parameters> {
  const query = new URLSearchParams((request.url ?? '').replace(/^[^?]*\??/, ''));
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Refusal(413, 'Request Entity Too Large');
    chunks.push(chunk);
  }
  const type = request.headers['content-type'] ?? '';
  try {
    return { ...Object.fromEntries(query), ...(await parseBody(Buffer.concat(chunks), type)) };
  } catch {
    throw new Refusal(400, "Bad Request: can't parse the request's body");
  }
}

async function parseBody(bytes: Buffer<ArrayBuffer>, type: string): Promise<Parameters> {
  if (bytes.length === 0) return {};
  if (type.startsWith('application/json')) return JSON.parse(bytes.toString('utf8')) as Parameters;
  const form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
  const parameters: Record<string, unknown> = {};
  for (const [name, value] of form) {
    parameters[name] =
      typeof value === 'string' ? value : new StoredDocument(value.name, new Uint8Array(await value.arrayBuffer()));
  }
  return parameters;
}

function sendText(response: ServerResponse, body: string, type: string): void {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
