import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request as sendRequest } from 'undici';
import { C3Error } from '../errors.ts';
import { KeyedSemaphore, LruMap } from '../limiter.ts';

/** Time limits and retries of a client. The defaults are for production. Tests shorten them. */
export interface RetryPolicy {
  /** The time limit of one call with all its attempts. */
  readonly callTimeoutMs: number;
  /** The time limit for the connection, for the headers, and between two parts of the body. */
  readonly idleTimeoutMs: number;
  /** The delays before the second, third … attempt. There are as many retries as delays. */
  readonly retryDelaysMs: readonly number[];
  /** How long a call waits at most for a rate limit, if its request names no other time. */
  readonly maxRetryAfterMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  callTimeoutMs: 30_000,
  idleTimeoutMs: 10_000,
  retryDelaysMs: [200, 1_000, 3_000],
  maxRetryAfterMs: 10_000,
};

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  /** Identifies the repository. Only `maxCallsPerRepository` of its requests run at the same time. */
  readonly repository: string;
  /** Encoded, starts with a slash. The client appends it to its base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The client reads no more than this of the response's body. */
  readonly maxBytes: number;
  /** Milliseconds that the call may wait for a rate limit. Default: `maxRetryAfterMs` of the policy. */
  readonly patienceMs?: number | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** In lower case, without parameters; empty if the response has none. */
  readonly mediaType: string;
  readonly body: Uint8Array;
  /** Whether the body was longer than `maxBytes`. */
  readonly isCut: boolean;
  /** The header `Link`, with which a forge names the next page of a list. */
  readonly link?: string | undefined;
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface HttpClient {
  /**
   * Returns the first response that is not worth a retry, whatever its status. The client does not follow redirects,
   * because that would send the token to another address (A6).
   *
   * @throws {C3Error} FORGE_UNREACHABLE if every attempt fails: no connection, timeout, 5xx, rate limit
   * @throws the signal's reason if it is aborted
   */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse>;
  close(): Promise<void>;
}

export interface HttpClientOptions {
  readonly retryPolicy?: RetryPolicy | undefined;
  /** Default 32. */
  readonly maxConnections?: number;
  /** Requests of one repository at the same time. Default 8. */
  readonly maxCallsPerRepository?: number;
  /** Whether a response with a status below 500 means that the rate limit is reached. 429 always does. */
  isRateLimit?: ((response: { status: number; headers: ResponseHeaders; body: Uint8Array }) => boolean) | undefined;
}

/** A build makes about seven calls, and few builds start in the same second. */
const MAX_CONNECTIONS = 32;
/** Slow calls of one repository leave connections for the others (A12). */
const MAX_CALLS_PER_REPOSITORY = 8;
/**
 * Longer than most steps, so that the last status of a build finds an open connection. A server may close it earlier.
 */
const KEEP_ALIVE_MS = 60_000;

type SendResult =
  | { kind: 'response'; response: HttpResponse }
  /** The rate limit of the token is reached. */
  | { kind: 'limited'; afterMs: number };
type Attempt = SendResult | { kind: 'retry'; reason: string; cause?: unknown };

/** Tokens whose rate limit is known to be reached. A forgotten one costs a request. */
const MAX_LIMITED = 1_000;
/** GitHub asks for this if a response does not say how long. */
const RATE_LIMIT_MS = 60_000;
/** GitHub's longest limit. */
const MAX_RATE_LIMIT_MS = 3_600_000;

/**
 * Creates a client of one HTTP API. It keeps its connections open, retries after temporary failures, and limits time
 * and size.
 *
 * @param baseUrl without a slash at its end, `https://api.github.com`
 */
export function createHttpClient(baseUrl: string, options: HttpClientOptions = {}): HttpClient {
  const { retryPolicy = DEFAULT_RETRY_POLICY, maxConnections = MAX_CONNECTIONS, isRateLimit = () => false } = options;
  const semaphore = new KeyedSemaphore(options.maxCallsPerRepository ?? MAX_CALLS_PER_REPOSITORY);
  const { host } = new URL(baseUrl);
  const agent = new Agent({
    connections: maxConnections,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: { timeout: retryPolicy.idleTimeoutMs },
    headersTimeout: retryPolicy.idleTimeoutMs,
    bodyTimeout: retryPolicy.idleTimeoutMs,
  });

  /** Until when a token sends nothing, by its header, in milliseconds of a monotonic clock. */
  const limited = new LruMap<string, number>(MAX_LIMITED);

  async function sendWithRetries(request: HttpRequest, signal: AbortSignal): Promise<SendResult> {
    for (let count = 0; ; count += 1) {
      const attempt = await semaphore.run(
        request.repository,
        () => sendOnce({ agent, baseUrl, isRateLimit }, request, signal),
        signal,
      );
      if (attempt.kind !== 'retry') return attempt;
      const { reason, cause } = attempt;
      const delayMs = retryPolicy.retryDelaysMs[count];
      if (delayMs === undefined) throw new C3Error('FORGE_UNREACHABLE', `${host} ${reason}`, { cause });
      await sleep(delayMs, undefined, { signal });
    }
  }

  async function sendWithinTime(request: HttpRequest, signal: AbortSignal): Promise<SendResult> {
    const timeout = AbortSignal.timeout(retryPolicy.callTimeoutMs);
    try {
      return await sendWithRetries(request, AbortSignal.any([signal, timeout]));
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.aborted) {
        throw new C3Error('FORGE_UNREACHABLE', `${host} did not answer within ${retryPolicy.callTimeoutMs / 1000} s`);
      }
      throw error;
    }
  }

  return {
    async send(request, signal) {
      const { headers, patienceMs = retryPolicy.maxRetryAfterMs } = request;
      const token = headers['authorization'] ?? '';
      const patience = performance.now() + patienceMs;
      for (;;) {
        // All calls with the token wait, so that none is sent before the forge accepts it.
        const until = limited.get(token) ?? 0;
        if (until > patience) {
          const seconds = Math.ceil((until - performance.now()) / 1000);
          const reason = `accepts no more requests with this token for now; retry after ${seconds} s`;
          throw new C3Error('FORGE_UNREACHABLE', `${host} ${reason}`);
        }
        if (until > performance.now()) await sleep(until - performance.now(), undefined, { signal });
        const result = await sendWithinTime(request, signal);
        if (result.kind === 'response') return result.response;
        limited.set(token, performance.now() + Math.min(result.afterMs, MAX_RATE_LIMIT_MS));
      }
    },
    close: () => agent.destroy(),
  };
}

interface Connection {
  readonly agent: Agent;
  readonly baseUrl: string;
  readonly isRateLimit: NonNullable<HttpClientOptions['isRateLimit']>;
}

async function sendOnce(
  { agent, baseUrl, isRateLimit }: Connection,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<Attempt> {
  try {
    const { method, headers, body: sent = null } = request;
    const response = await sendRequest(baseUrl + request.path, {
      dispatcher: agent,
      method,
      headers,
      body: sent,
      signal,
    });
    const { statusCode: status } = response;
    const [mediaType = ''] = String(response.headers['content-type'] ?? '').split(';', 1);
    const { body, isCut } = await readContent(response.body, request.maxBytes);
    if (status >= 500) return { kind: 'retry', reason: `answers ${status}` };
    if (status === 429 || isRateLimit({ status, headers: response.headers, body })) {
      return { kind: 'limited', afterMs: toDelayMs(response.headers) };
    }
    const link = [response.headers['link'] ?? []].flat().join(', ') || undefined;
    return { kind: 'response', response: { status, mediaType: mediaType.trim().toLowerCase(), body, isCut, link } };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'retry', reason: `cannot be reached: ${toCode(error)}`, cause: error };
  }
}

/**
 * Returns how long the forge wants no request: `Retry-After` in seconds, or until the time of `x-ratelimit-reset`.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
function toDelayMs(headers: ResponseHeaders): number {
  const retryAfter = readCount(headers['retry-after']);
  if (retryAfter !== undefined) return retryAfter * 1000;
  const reset = headers['x-ratelimit-remaining'] === '0' ? readCount(headers['x-ratelimit-reset']) : undefined;
  return reset === undefined ? RATE_LIMIT_MS : Math.max(1000, reset * 1000 - Date.now());
}

function readCount(value: string | string[] | undefined): number | undefined {
  return typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

async function readContent(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Pick<HttpResponse, 'body' | 'isCut'>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop destroys the stream and its connection, so the rest is never read.
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) break;
  }
  return { body: Buffer.concat(chunks).subarray(0, maxBytes), isCut: length > maxBytes };
}

/** Returns a code such as `ECONNREFUSED`. It says more than undici's message, and contains no part of the request. */
function toCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'connection failed';
}
