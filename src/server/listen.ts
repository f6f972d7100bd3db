import { setImmediate } from 'node:timers/promises';
import { serve, type HttpBindings, type ServerType } from '@hono/node-server';
import type { Hono } from 'hono';
import { C3Error } from '../errors.ts';
import { toErrorAnswer } from './error-answer.ts';

export interface Listener {
  /** Where it listens, `http://127.0.0.1:8668`. */
  readonly origin: string;
  /** Takes no new connection and resolves when the open ones have ended, or were given their time to. */
  close(): Promise<void>;
}

/** A request line with the longest hook URL and the headers of every forge take about 8 KiB. */
const MAX_HEADER_BYTES = 32 * 1024;

export interface ListenLimits {
  /** For a whole request with its body; an answer may take as long as it likes. */
  readonly requestMs: number;
  readonly headersMs: number;
  /** How often connections are looked at for the two above; Node's default would let each last 30 s more. */
  readonly checkEveryMs: number;
  /** How long answers that are still being read have when c3 ends. What streams without an end must end by itself before. */
  readonly closeMs: number;
}

const LIMITS: ListenLimits = { requestMs: 30_000, headersMs: 10_000, checkEveryMs: 2_000, closeMs: 5_000 };

/** A connection takes some 20 KiB. Beyond these new ones are closed at once, until old ones meet a limit above. */
const MAX_CONNECTIONS = 2_000;
const CLOSE_IDLE_EVERY_MS = 50;
/** How long a sender that was refused has to read the answer. */
const LINGER_MS = 1_000;

export interface ListenOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Told what the app threw, which answers its errors by itself, unless even that failed. */
  onFault(error: unknown): void;
  readonly limits?: Partial<ListenLimits>;
}

/** The one place that knows a socket. Rejects when the port is taken. */
export function listen(
  app: Pick<Hono, 'fetch'>,
  { host, port, onFault, limits: given }: ListenOptions,
): Promise<Listener> {
  const limits = { ...LIMITS, ...given };
  return new Promise((resolve, reject) => {
    const server: ServerType = serve(
      {
        fetch: (request, bindings) => answer(() => fetchSafely(app, request, onFault), bindings as HttpBindings),
        hostname: host,
        port,
        // It would read the rest of a refused body, up to 64 MB.
        autoCleanupIncoming: false,
        serverOptions: {
          maxHeaderSize: MAX_HEADER_BYTES,
          requestTimeout: limits.requestMs,
          headersTimeout: limits.headersMs,
          connectionsCheckingInterval: limits.checkEveryMs,
        },
      },
      (address) => {
        const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
        resolve({
          origin: `http://${shown}:${address.port}`,
          close: () => close(server, limits.closeMs),
        });
      },
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.once('error', reject);
  });
}

async function close(server: ServerType, closeMs: number): Promise<void> {
  if (!('closeAllConnections' in server)) throw new C3Error('INTERNAL', 'The listener is no HTTP/1.1 server');
  const late = setTimeout(() => server.closeAllConnections(), closeMs);
  // Node ends those that are idle now; others become so when their answer has ended, and would be kept for the next request.
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  await new Promise((closed) => void server.close(closed));
  clearTimeout(late);
  clearInterval(idle);
}

/**
 * Reads nothing of a body, beyond what came with the headers in one piece of at most 64 KiB, until the app asks for it; and nothing
 * more once the app has answered.
 */
async function answer(fetch: () => Promise<Response>, { incoming }: HttpBindings): Promise<Response> {
  const { socket } = incoming;
  // Reading the body resumes it.
  if (!incoming.complete) socket.pause();
  const response = await fetch();
  // A short body came with the headers; the parser is still at it.
  if (!incoming.complete) await setImmediate();
  if (incoming.complete) {
    socket.resume();
    return response;
  }
  response.headers.set('connection', 'close');
  // Node resumes it, to throw the rest of the body away.
  socket.on('resume', () => socket.pause());
  // And then destroys it; the reset that follows, since there is unread input, can overtake the answer (RFC 9112 §9.6).
  socket.destroySoon = () => {
    socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
  return response;
}

async function fetchSafely(
  app: Pick<Hono, 'fetch'>,
  request: Request,
  onFault: ListenOptions['onFault'],
): Promise<Response> {
  try {
    return await app.fetch(request);
  } catch (error) {
    onFault(error);
    return toErrorAnswer(error);
  }
}
