import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request as sendRequest } from 'undici';
import { C3Error } from '../errors.ts';
import { KeyedSemaphore } from '../limiter.ts';

/** Time limits and retries of a client. The defaults are for production. Tests shorten them. */
export interface RetryPolicy {
  /** The time limit of one call with all its attempts. */
  readonly callTimeoutMs: number;
  /** The time limit for the connection, for the headers, and between two parts of the body. */
  readonly idleTimeoutMs: number;
  /** The delays before the second, third … attempt. There are as many retries as delays. */
  readonly retryDelaysMs: readonly number[];
  /** The client does not wait for a longer `Retry-After`. */
  readonly maxRetryAfterMs: number;
}

const DEFAULT_RETRY_POLICY: RetryPolicy = {
  callTimeoutMs: 30_000,
  idleTimeoutMs: 10_000,
  retryDelaysMs: [200, 1_000, 3_000],
  maxRetryAfterMs: 10_000,
};

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  /** Identifies the repository. Only {@link MAX_CALLS_PER_REPOSITORY} of its requests run at the same time. */
  readonly repository: string;
  /** Encoded, starts with a slash. The client appends it to its base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The client reads no more than this of the response's body. */
  readonly maxBytes: number;
}

export interface HttpResponse {
  readonly status: number;
  /** In lower case, without parameters; empty if the response has none. */
  readonly mediaType: string;
  readonly body: Uint8Array;
  /** Whether the body was longer than `maxBytes`. */
  readonly isCut: boolean;
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
  /** Whether a response with a status below 500 means that the rate limit is reached. 429 always does. */
  isRateLimit?(status: number, headers: ResponseHeaders): boolean;
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
  /** `afterMs` is the delay that the server asks for. */
  | { kind: 'retry'; reason: string; afterMs?: number; cause?: unknown };

/**
 * Creates a client of one HTTP API. It keeps its connections open, retries after temporary failures, and limits time
 * and size.
 *
 * @param baseUrl without a slash at its end, `https://api.github.com`
 */
export function createHttpClient(baseUrl: string, options: HttpClientOptions = {}): HttpClient {
  const { retryPolicy = DEFAULT_RETRY_POLICY, maxConnections = MAX_CONNECTIONS, isRateLimit = () => false } = options;
  const semaphore = new KeyedSemaphore(MAX_CALLS_PER_REPOSITORY);
  const { host } = new URL(baseUrl);
  const agent = new Agent({
    connections: maxConnections,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connect: { timeout: retryPolicy.idleTimeoutMs },
    headersTimeout: retryPolicy.idleTimeoutMs,
    bodyTimeout: retryPolicy.idleTimeoutMs,
  });

  async function sendOnce(request: HttpRequest, signal: AbortSignal): Promise<SendResult> {
    try {
      const { method, headers, body = null } = request;
      const response = await sendRequest(baseUrl + request.path, {
        dispatcher: agent,
        method,
        headers,
        body,
        signal,
      });
      const { statusCode: status } = response;
      if (status === 429 || status >= 500 || isRateLimit(status, response.headers)) {
        await response.body.dump({ limit: request.maxBytes, signal });
        return status >= 500 ? { kind: 'retry', reason: `answers ${status}` } : toRateLimited(response.headers);
      }
      const [mediaType = ''] = String(response.headers['content-type'] ?? '').split(';', 1);
      const content = await readContent(response.body, request.maxBytes);
      return { kind: 'response', response: { status, mediaType: mediaType.trim().toLowerCase(), ...content } };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: 'retry', reason: `cannot be reached: ${toCode(error)}`, cause: error };
    }
  }

  async function sendWithRetries(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    for (let count = 0; ; count += 1) {
      const attempt = await semaphore.run(request.repository, () => sendOnce(request, signal), signal);
      if (attempt.kind === 'response') return attempt.response;
      const { reason, afterMs = 0, cause } = attempt;
      const delayMs = retryPolicy.retryDelaysMs[count];
      if (delayMs === undefined || afterMs > retryPolicy.maxRetryAfterMs) {
        throw new C3Error('FORGE_UNREACHABLE', `${host} ${reason}`, { cause });
      }
      await sleep(Math.max(delayMs, afterMs), undefined, { signal });
    }
  }

  return {
    async send(request, signal) {
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
    },
    close: () => agent.destroy(),
  };
}

/** Reads `Retry-After`. Without one in seconds, a retry is useless: an hourly limit takes longer than any call. */
function toRateLimited({ 'retry-after': retryAfter }: ResponseHeaders): SendResult {
  const reason = 'accepts no more requests with this token for now';
  if (typeof retryAfter !== 'string' || !/^\d{1,6}$/.test(retryAfter)) {
    return { kind: 'retry', reason, afterMs: Infinity };
  }
  return { kind: 'retry', reason: `${reason}; retry after ${retryAfter} s`, afterMs: Number(retryAfter) * 1000 };
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
