import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { toErrorResponse } from './responses.ts';

export interface Listener {
  /** Where it listens, `http://127.0.0.1:8668`. */
  readonly origin: string;
  /** Accepts no new connection. Resolves when the open ones have ended; cuts them after a while. */
  close(): Promise<void>;
}

/** Limits of connections (A12). */
export interface ListenLimits {
  /** A connection takes about 20 KiB. */
  readonly connections: number;
  /** Milliseconds for a request with its body. The response may take longer. */
  readonly requestMs: number;
  readonly headersMs: number;
  /** How often Node checks the two limits above. Its default is 30 s. */
  readonly checkEveryMs: number;
  /** How long a reader may take nothing while data are ready for it. A response without data may be silent. */
  readonly stallMs: number;
  /** How long responses may go on when c3 shuts down. Endless ones must end by themselves before. */
  readonly closeMs: number;
}

const LIMITS: ListenLimits = {
  connections: 2_000,
  requestMs: 30_000,
  headersMs: 10_000,
  checkEveryMs: 2_000,
  stallMs: 30_000,
  closeMs: 5_000,
};

/** The request line with the longest hook URL and the headers of any forge take about 8 KiB. */
const MAX_HEADER_BYTES = 32 * 1024;
/**
 * Requests of one connection whose responses are not read. Browsers and proxies send one at a time. Node starts all
 * 1,500 that fit into 64 KiB, and keeps their responses in memory.
 */
const MAX_UNANSWERED = 4;
const CLOSE_IDLE_EVERY_MS = 50;
/** How long a sender whose body was refused has to read the response. */
const LINGER_MS = 1_000;

export interface ListenOptions {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Receives what the app threw. The app handles its own errors, so this is a bug. */
  onFault(error: unknown): void;
  readonly limits?: Partial<ListenLimits>;
}

/** Serves the app. The only function that uses a socket. Rejects if the port is in use. */
export async function listen(
  app: Pick<Hono, 'fetch'>,
  { host, port, onFault, limits: given }: ListenOptions,
): Promise<Listener> {
  const limits = { ...LIMITS, ...given };
  function toFaultResponse(error: unknown): Response {
    onFault(error);
    return toErrorResponse(error);
  }
  const handle = getRequestListener(
    async (request, bindings) => {
      const fetch = async (): Promise<Response> => await app.fetch(request);
      return await respond(() => fetch().catch(toFaultResponse), bindings as HttpBindings);
    },
    // The default reads the rest of a refused body, up to 64 MB.
    { hostname: host, autoCleanupIncoming: false },
  );
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: limits.requestMs,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkEveryMs,
    },
    limitConnections(handle, limits.stallMs),
  );
  limitOpenConnections(server, limits.connections);
  server.listen(port, host);
  await once(server, 'listening');
  const { family, address, port: bound } = server.address() as AddressInfo;
  return {
    origin: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    close: () => close(server, limits.closeMs),
  };
}

/**
 * Closes the connection that has waited longest for a request, when there are too many. A forge sends its request at
 * once. So somebody who opens many connections and sends nothing loses their own (A12).
 */
function limitOpenConnections(server: Server, max: number): void {
  const open = new Set<Socket>();
  const idle = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    idle.add(socket);
    socket.once('close', () => void (open.delete(socket), idle.delete(socket)));
    const [oldest] = open.size > max ? idle : [];
    oldest?.destroy();
  });
  server.on('request', ({ socket }, outgoing) => {
    idle.delete(socket);
    outgoing.once('close', () => void (socket.destroyed || idle.add(socket)));
  });
}

/** Never rejects. */
type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<unknown>;

/** Closes a connection that sends more requests than it reads responses, and one that reads nothing (A12). */
function limitConnections(
  handle: Handle,
  stallMs: number,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const unanswered = new WeakMap<Socket, number>();
  return (incoming, outgoing) => {
    const { socket } = incoming;
    const count = unanswered.get(socket) ?? 0;
    if (count >= MAX_UNANSWERED) return void socket.destroy();
    unanswered.set(socket, count + 1);
    outgoing.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    socket.setTimeout(stallMs);
    // By a reset: after any other end, a proxy that speaks HTTP/1.0 takes the response for complete.
    outgoing.on('timeout', () => void (outgoing.writableLength > 0 && socket.resetAndDestroy()));
    void handle(incoming, outgoing);
  };
}

async function close(server: Server, closeMs: number): Promise<void> {
  const late = setTimeout(() => server.closeAllConnections(), closeMs);
  // Node closes connections that are idle now. Others become idle when their response ends.
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  await new Promise((closed) => void server.close(closed));
  clearTimeout(late);
  clearInterval(idle);
}

/**
 * Reads a body only when the app asks for it, except the 64 KiB at most that arrive with the headers. If the app
 * responds before the body is complete, the rest stays unread and the connection ends (A12).
 */
async function respond(fetch: () => Promise<Response>, { incoming }: HttpBindings): Promise<Response> {
  const { socket } = incoming;
  // To read the body resumes it.
  if (!incoming.complete) socket.pause();
  const response = await fetch();
  // A short body arrived with the headers, but Node has not parsed it yet.
  if (!incoming.complete) await setImmediate();
  if (incoming.complete) {
    socket.resume();
    return response;
  }
  response.headers.set('connection', 'close');
  // Node resumes it, to discard the rest of the body.
  socket.on('resume', () => socket.pause());
  // Node would destroy it now. The reset for unread input could overtake the response (RFC 9112 §9.6).
  socket.destroySoon = () => {
    socket.setTimeout(0);
    socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
  return response;
}
