import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request, type Dispatcher } from 'undici';
import { C3Error } from '../errors.ts';
import { KeyedSemaphore } from '../limiter.ts';

/** How patient a client is. The defaults are for production; tests shorten them. */
export interface Patience {
  /** One call with all its tries. Short enough that a build does not seem hung, long enough for a forge's bad minute. */
  readonly callTimeoutMs: number;
  /** Until the connection stands, until the headers are there, and between two pieces of the body. */
  readonly idleTimeoutMs: number;
  /** Before the second, third … try of a call that may succeed when tried again. Its length is the number of retries. */
  readonly retryDelaysMs: readonly number[];
  /** A `Retry-After` beyond this is not waited for. */
  readonly maxRetryAfterMs: number;
}

const DEFAULT_PATIENCE: Patience = {
  callTimeoutMs: 30_000,
  idleTimeoutMs: 10_000,
  retryDelaysMs: [200, 1_000, 3_000],
  maxRetryAfterMs: 10_000,
};

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  /** The repository that the call is for. Only {@link MAX_CALLS_PER_OWNER} calls of one owner run at the same time. */
  readonly owner: string;
  /** Begins with a slash, already encoded; appended to the client's base. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of the answer's body. More is not read: the answer is then `isCut`. */
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower case, without parameters; empty when there is none. */
  readonly mediaType: string;
  readonly body: Uint8Array;
  readonly isCut: boolean;
}

export interface HttpClient {
  /**
   * Any answer that is final, whatever its status; redirects are final, since following one would carry the token elsewhere.
   *
   * @throws {C3Error} FORGE_UNREACHABLE when there is no such answer: no connection, time-out, 5xx or a rate limit in every try
   * @throws the signal's reason when it is aborted
   */
  send(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export interface HttpClientOptions {
  readonly patience?: Patience;
  /** Default 32. */
  readonly maxConnections?: number;
}

/** Connections of one client. A build makes about seven calls, and few builds start in the same second. */
const MAX_CONNECTIONS = 32;
/** Calls of one owner at the same time. Slow calls of one owner leave room for others. */
const MAX_CALLS_PER_OWNER = 8;
/** Longer than a step usually takes, so that the last status of a build finds a warm connection. Servers end it earlier as they like. */
const KEEP_ALIVE_MS = 60_000;

type Try =
  | { kind: 'answer'; answer: HttpAnswer }
  /** Worth another try, after the time the server names. */
  | { kind: 'again'; why: string; afterMs: number | undefined; cause?: unknown };

/**
 * A client of one HTTP API that keeps its connections, tries again what may succeed, and has a limit for everything.
 *
 * @param baseUrl without a slash at the end, `https://api.github.com`
 */
export function createHttpClient(baseUrl: string, options: HttpClientOptions = {}): HttpClient {
  const { patience = DEFAULT_PATIENCE, maxConnections = MAX_CONNECTIONS } = options;
  const calls = new KeyedSemaphore(MAX_CALLS_PER_OWNER);
  const { host } = new URL(baseUrl);
  const agent = new Agent({
    connections: maxConnections,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: { timeout: patience.idleTimeoutMs },
    headersTimeout: patience.idleTimeoutMs,
    bodyTimeout: patience.idleTimeoutMs,
  });

  async function tryAll(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    for (let count = 0; ; count += 1) {
      const result = await calls.run(call.owner, () => tryOnce(agent, baseUrl + call.path, call, signal), signal);
      if (result.kind === 'answer') {
        return result.answer;
      }
      const delayMs = patience.retryDelaysMs[count];
      if (delayMs === undefined || (result.afterMs ?? 0) > patience.maxRetryAfterMs) {
        throw new C3Error('FORGE_UNREACHABLE', `${host} ${result.why}`, { cause: result.cause });
      }
      await sleep(Math.max(delayMs, result.afterMs ?? 0), undefined, { signal });
    }
  }

  return {
    async send(call, signal) {
      const timeout = AbortSignal.timeout(patience.callTimeoutMs);
      try {
        return await tryAll(call, AbortSignal.any([signal, timeout]));
      } catch (error) {
        signal.throwIfAborted();
        if (timeout.aborted) {
          throw new C3Error('FORGE_UNREACHABLE', `${host} did not answer within ${patience.callTimeoutMs / 1000} s`);
        }
        throw error;
      }
    },
    close: () => agent.destroy(),
  };
}

async function tryOnce(dispatcher: Dispatcher, url: string, call: HttpCall, signal: AbortSignal): Promise<Try> {
  try {
    const { method, headers, body = null } = call;
    const response = await request(url, { dispatcher, method, headers, body, signal });
    const again = toRetry(response.statusCode, response.headers);
    if (again !== undefined) {
      await response.body.dump({ limit: call.maxBytes, signal });
      return again;
    }
    const [mediaType = ''] = String(response.headers['content-type'] ?? '').split(';', 1);
    const content = await readBody(response.body, call.maxBytes);
    const answer = { status: response.statusCode, mediaType: mediaType.trim().toLowerCase(), ...content };
    return { kind: 'answer', answer };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'again', why: `cannot be reached: ${toReason(error)}`, afterMs: undefined, cause: error };
  }
}

/** GitHub's rate limits come as 429 or as 403 with `Retry-After`, the hourly one as `x-ratelimit-remaining: 0`. */
function toRetry(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): Try | undefined {
  const retryAfter = headers['retry-after'];
  const isHourly = headers['x-ratelimit-remaining'] === '0';
  if (status === 429 || (status === 403 && (retryAfter !== undefined || isHourly))) {
    const seconds = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
    const afterMs = seconds === undefined ? Infinity : seconds * 1000;
    const wait = seconds === undefined ? '' : `, and wants ${seconds} s of silence`;
    return { kind: 'again', why: `refuses more requests with this token for now${wait}`, afterMs };
  }
  if (status >= 500) {
    return { kind: 'again', why: `answers ${status}`, afterMs: undefined };
  }
  return undefined;
}

async function readBody(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<{ body: Uint8Array; isCut: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early destroys the stream, and with it the connection: the rest is never read.
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) {
      break;
    }
  }
  return { body: Buffer.concat(chunks).subarray(0, maxBytes), isCut: length > maxBytes };
}

/** `ECONNREFUSED`, `CERT_HAS_EXPIRED`: the code says more than undici's sentence, and holds nothing of the request. */
function toReason(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'connection failed';
}
