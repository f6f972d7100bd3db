import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
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
  /**
   * How long a reader may take nothing of what is there for it: of an answer that is whole, or of one that streams and waits for its reader.
   * One that has nothing to say may take as long as it likes.
   */
  readonly stallMs: number;
  /** How long answers that are still being read have when c3 ends. What streams without an end must end by itself before. */
  readonly closeMs: number;
}

const LIMITS: ListenLimits = {
  requestMs: 30_000,
  headersMs: 10_000,
  checkEveryMs: 2_000,
  stallMs: 30_000,
  closeMs: 5_000,
};

/** A connection takes some 20 KiB. Beyond these new ones are closed at once, until old ones meet a limit above. */
const MAX_CONNECTIONS = 2_000;
/**
 * Requests of one connection whose answers are not taken. Browsers and proxies ask one thing at a time, and Node begins all that stand in
 * one piece of 64 KiB, some 1,500, and holds their answers until somebody reads them.
 */
const MAX_UNANSWERED = 4;
/**
 * Of a body, so many pieces may be of any size; beyond them they have so many bytes each on an average. A packet has more, and so has a
 * chunk of whoever sends chunks. Each piece is an object of some 250 bytes until it is read: one byte each would make 3 MB of 64 KiB.
 */
const SPARE_PIECES = 256;
const MIN_PIECE_BYTES = 256;
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
  const handle = getRequestListener(
    (request, bindings) => answer(() => fetchSafely(app, request, onFault), bindings as HttpBindings),
    {
      hostname: host,
      // It would read the rest of a refused body, up to 64 MB.
      autoCleanupIncoming: false,
    },
  );
  const bounded = boundConnections(handle, limits.stallMs);
  const server = createServer(
    {
      // What Node answers by itself is not counted: `boundConnections` does this, and 'checkExpectation' below is for the other answer.
      requireHostHeader: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: limits.requestMs,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkEveryMs,
    },
    bounded,
  );
  server.on('checkExpectation', bounded);
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const address = server.address() as AddressInfo;
      const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      resolve({
        origin: `http://${shown}:${address.port}`,
        close: () => close(server, limits.closeMs),
      });
    });
  });
}

/** Of the app; never rejects. */
type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<unknown>;

/** Ends a connection that asks for more than it takes, and one that takes nothing. */
function boundConnections(handle: Handle, stallMs: number): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  return (incoming, outgoing) => {
    const { socket } = incoming;
    const count = unanswered.get(socket) ?? 0;
    if (count >= MAX_UNANSWERED) {
      cut(socket);
      return;
    }
    unanswered.set(socket, count + 1);
    boundPieces(incoming);
    outgoing.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    // Node counts what the reader takes as a sign of life.
    socket.setTimeout(stallMs);
    // By a reset: a proxy that speaks HTTP/1.0 would take any other end for that of the answer.
    outgoing.on('timeout', () => void (outgoing.writableLength > 0 && socket.resetAndDestroy()));
    // Before Node sets how long the connection may wait for its next request.
    outgoing.prependOnceListener('finish', () => socket.setTimeout(unanswered.get(socket) === 1 ? 0 : stallMs));
    if (incoming.httpVersion === '1.1' && incoming.headers.host === undefined) refuse(outgoing);
    else void handle(incoming, outgoing);
  };
}

/** What Node's parser, which is not documented, asks about each request whose headers it has read. 2: nothing of it follows. */
interface Parser {
  onIncoming?: () => number;
}

/**
 * Destroys a connection in the middle of what it has sent. The parser would make requests of the rest of its 64 KiB all the same,
 * thousands of them, and keep them until the connections of all who did so are closed: it is told that the next one is of another
 * protocol, and stops.
 */
function cut(socket: Socket & { readonly parser?: Parser | null }): void {
  if (socket.parser) socket.parser.onIncoming = () => 2;
  socket.destroy();
}

/** RFC 9112 §3.2. */
function refuse(outgoing: ServerResponse): void {
  outgoing.writeHead(400, { connection: 'close' }).end();
}

/** Ends the connection of a body that comes in crumbs, before it is anybody's: Node takes all that stand in one piece of 64 KiB. */
function boundPieces(incoming: IncomingMessage): void {
  const push = incoming.push.bind(incoming);
  let count = 0;
  let byteLength = 0;
  incoming.push = (piece: Buffer | null) => {
    count += 1;
    byteLength += piece?.length ?? 0;
    if (count <= SPARE_PIECES + byteLength / MIN_PIECE_BYTES) return push(piece);
    cut(incoming.socket);
    return false;
  };
}

async function close(server: Server, closeMs: number): Promise<void> {
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
