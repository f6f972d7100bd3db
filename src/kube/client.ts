import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type Dispatcher } from 'undici';
import { C3Error } from '../errors.ts';
import { parseJson } from '../json.ts';
import { toStatus, truncate } from './api-types.ts';
import {
  CONNECT_TIMEOUT_MS,
  describeFault,
  isNotReady,
  isTransientAnswer,
  toHeaders,
  toTlsOptions,
} from './connection.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { createReadBudget, readBody, readLines, type ReadBudget, type ReadContext } from './response-reader.ts';

/** Sends JSON requests to one API server over keep-alive connections. */
export interface KubeClient {
  readonly access: ClusterAccess;
  /**
   * Sends one request. Retries it a few times after a transient failure.
   *
   * @throws {C3Error} CLUSTER_UNREACHABLE when there is no answer, or none that c3 can read
   * Also rejects when the signal is aborted: check the signal, not the error.
   */
  request(request: KubeRequest): Promise<KubeAnswer>;
  /**
   * Returns the lines of an endless answer (a watch), which the server ends.
   *
   * @throws {C3Error} CLUSTER_UNREACHABLE when the connection breaks or is silent for `silenceMs`
   * Also rejects when the signal is aborted.
   */
  stream(request: KubeRequest, silenceMs: number): Promise<KubeStream>;
  close(): Promise<void>;
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Starts with `/api`. Encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export type KubeRefusal = {
  readonly kind: 'refused';
  readonly code: number;
  /** `NotFound`, `AlreadyExists`, … */
  readonly reason: string;
  /** The server's own words. */
  readonly message: string;
};
/** Tells whether the server could not answer now, so that it has refused nothing. */
export function isUnavailable({ code, message }: KubeRefusal): boolean {
  return code === 429 || code >= 500 || isNotReady(code, message);
}

export type KubeAnswer = { readonly kind: 'ok'; readonly body: unknown } | KubeRefusal;
export type KubeStream = { readonly kind: 'ok'; readonly lines: AsyncIterable<string> } | KubeRefusal;

/** An admission webhook may take 30 s (10 by default). No API server lets a plain request take more than a minute. */
const ANSWER_TIMEOUT_MS = 45_000;
/** The pauses of 0.2 + 0.4 + 0.8 + 1.6 s cover a restart of the API server. */
const MAX_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;
/** No retry starts later than this, so that a server that answers nothing does not block a caller for minutes. */
const RETRY_FOR_MS = 30_000;
const MAX_RETRY_AFTER_MS = 10_000;
/**
 * Shorter than the server's idle limit (90 s in Go), so that c3 closes first and no request is sent to a closing
 * socket.
 */
const KEEP_ALIVE_MS = 60_000;
/**
 * Concurrent requests. Measured with Kubernetes 1.20 on two cores, 100 requests at once take 0.5 s with a connection
 * each (mostly TLS), 0.17 s with 32 connections and 0.15 s with 16. Fewer would not be enough, because a creation may
 * wait for admission webhooks.
 */
const MAX_REQUESTS = 16;
/** Each watch has its own connection, and each build in a Pod has a watch. */
const MAX_STREAMS = 1000;

/** The caller closes the client. `answerMs` limits one answer with its body. */
export function createClient(access: ClusterAccess, answerMs: number = ANSWER_TIMEOUT_MS): KubeClient {
  const options = {
    pipelining: 1,
    connect: { ...toTlsOptions(access), timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const requests = new Pool(access.origin, { ...options, connections: MAX_REQUESTS });
  const streams = new Pool(access.origin, { ...options, connections: MAX_STREAMS });
  const budget = createReadBudget();
  return {
    access,
    request: async (request) =>
      await requestWithRetries(
        request,
        async () => await requestOnce(requests, access, { ...request, answerMs, budget }),
      ),
    async stream(request, silenceMs) {
      const response = await send(streams, access, { ...request, silenceMs });
      const options = { budget, signal: request.signal };
      if (response.statusCode !== 200) {
        const text = await readBody(response.body, options).catch(() => '');
        return toRefusal(response.statusCode, parseJson(text), text);
      }
      return { kind: 'ok', lines: toLines(response.body, access, options) };
    },
    async close() {
      await Promise.all([requests.destroy(), streams.destroy()]);
    },
  };
}

/**
 * Retries transient failures, also of creations and replacements. c3 chooses the name of each object that it creates,
 * and each replacement names the version that it replaces. So if the failed attempt had succeeded unseen, the retry
 * gets AlreadyExists or Conflict.
 */
async function requestWithRetries(request: KubeRequest, attempt: () => Promise<TimedAnswer>): Promise<KubeAnswer> {
  const startedAt = performance.now();
  for (let count = 1; ; count += 1) {
    const isLast = (): boolean => count === MAX_ATTEMPTS || performance.now() - startedAt > RETRY_FOR_MS;
    let pauseMs = FIRST_PAUSE_MS * 2 ** (count - 1) * (0.75 + Math.random() / 2);
    try {
      const { answer, retryAfterMs } = await attempt();
      const isFinal = answer.kind === 'ok' || !isTransientAnswer(answer.code, answer.message);
      if (isFinal || isLast()) return answer;
      pauseMs = retryAfterMs ?? pauseMs;
    } catch (error) {
      request.signal?.throwIfAborted();
      if (isLast() || !(error instanceof UnreachableError) || !error.isTransient) throw error;
    }
    await sleep(pauseMs, undefined, request.signal ? { signal: request.signal } : {});
  }
}

interface TimedAnswer {
  readonly answer: KubeAnswer;
  /** From the header `Retry-After`, up to a limit. */
  readonly retryAfterMs: number | undefined;
}

async function requestOnce(
  pool: Pool,
  access: ClusterAccess,
  request: KubeRequest & { readonly answerMs: number; readonly budget: ReadBudget },
): Promise<TimedAnswer> {
  // undici's own limit on a body starts again with each byte, so a server that sends slowly would never time out.
  const limit = AbortSignal.timeout(request.answerMs);
  const response = await send(pool, access, { ...request, silenceMs: request.answerMs, limit });
  let text: string;
  try {
    text = await readBody(response.body, { budget: request.budget, signal: limit });
  } catch (error) {
    throw toUnreachable(access, error, request.signal);
  }
  const body = parseJson(text);
  if (response.statusCode >= 200 && response.statusCode < 300) {
    if (body !== undefined) return { answer: { kind: 'ok', body }, retryAfterMs: undefined };
    throw new C3Error(
      'CLUSTER_UNREACHABLE',
      `${access.origin} answered ${request.method} with something that is not JSON`,
    );
  }
  const seconds = Number(response.headers['retry-after']);
  return {
    answer: toRefusal(response.statusCode, body, text),
    retryAfterMs: seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : undefined,
  };
}

async function send(
  pool: Pool,
  access: ClusterAccess,
  request: KubeRequest & { readonly silenceMs: number; readonly limit?: AbortSignal },
): Promise<Dispatcher.ResponseData> {
  const query = request.query ? `?${new URLSearchParams(request.query).toString()}` : '';
  const headers = { ...toHeaders(access), accept: 'application/json' };
  const signals = [request.signal, request.limit].filter((signal) => signal !== undefined);
  try {
    return await pool.request({
      method: request.method,
      path: `${access.basePath}${request.path}${query}`,
      bodyTimeout: request.silenceMs,
      ...(request.body === undefined
        ? { headers }
        : { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(request.body) }),
      ...(signals.length > 0 ? { signal: AbortSignal.any(signals) } : {}),
    });
  } catch (error) {
    throw toUnreachable(access, error, request.signal);
  }
}

/** CLUSTER_UNREACHABLE. If `isTransient`, a retry may succeed. */
export class UnreachableError extends C3Error {
  readonly isTransient: boolean;

  constructor(message: string, isTransient: boolean) {
    super('CLUSTER_UNREACHABLE', message);
    this.isTransient = isTransient;
  }
}

/** CLUSTER_REFUSED, with the HTTP status of the refusal. */
export class RefusedError extends C3Error {
  readonly status: number;

  constructor(message: string, { code }: KubeRefusal, options: { readonly hint?: string } = {}) {
    super('CLUSTER_REFUSED', message, options);
    this.status = code;
  }
}

/**
 * The result does not keep the error as its cause, because the error may hold the socket and with it the client's
 * key.
 */
function toUnreachable(access: ClusterAccess, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof C3Error) return error;
  const fault = describeFault(error);
  return new UnreachableError(`Cannot reach the cluster at ${access.origin}: ${fault.message}`, fault.isTransient);
}

function toRefusal(code: number, body: unknown, text: string): KubeRefusal {
  const status = toStatus(body);
  // c3 does not follow redirects: they could lead into the network of c3 (threat model A5).
  const isRedirect = code >= 300 && code < 400;
  const fallback = isRedirect
    ? `it answered ${code}, a redirect, which c3 does not follow`
    : `it answered ${code}${text.trim() ? `: ${truncate(text.trim(), 300)}` : ''}`;
  return { kind: 'refused', code, reason: status.reason, message: truncate(status.message, 2000) || fallback };
}

async function* toLines(
  body: AsyncIterable<Uint8Array>,
  access: ClusterAccess,
  options: ReadContext,
): AsyncGenerator<string, void, undefined> {
  try {
    yield* readLines(body, options);
  } catch (error) {
    throw toUnreachable(access, error, options.signal);
  }
}
