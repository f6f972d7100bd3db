import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { C3Error } from '../errors.ts';
import { toBeginning, toStatus } from './api-types.ts';
import {
  CONNECT_TIMEOUT_MS,
  describeFault,
  isNotReady,
  isTransientAnswer,
  toHeaders,
  toTlsOptions,
} from './connection.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { createAllowance, readBody, readLines, type Allowance, type Reading } from './response-reader.ts';

/** JSON over keep-alive connections to one API server. */
export interface KubeClient {
  readonly access: ClusterAccess;
  /**
   * One request, repeated a few times when it failed in passing.
   *
   * @throws {C3Error} CLUSTER_UNREACHABLE when there is no answer, or none that can be read
   * Rejects also when the signal is aborted: look at the signal, not at the error.
   */
  request(request: KubeRequest): Promise<KubeAnswer>;
  /**
   * The lines of an endless answer (a watch). Ends when the server ends it.
   *
   * @throws {C3Error} CLUSTER_UNREACHABLE when the connection breaks or is silent for `silenceMs`
   * Rejects also when the signal is aborted.
   */
  stream(request: KubeRequest, silenceMs: number): Promise<KubeStream>;
  close(): Promise<void>;
}

export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** From `/api` on, encoded. */
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
/** Whether a server that said no has no time just now: it has refused nothing. */
export function isPutOff({ code, message }: KubeRefusal): boolean {
  return code === 429 || code >= 500 || isNotReady(code, message);
}

export type KubeAnswer = { readonly kind: 'ok'; readonly body: unknown } | KubeRefusal;
export type KubeStream = { readonly kind: 'ok'; readonly lines: AsyncIterable<string> } | KubeRefusal;

/** Admission webhooks may take 30 s each (10 by default); more than a minute no API server lets a plain request last. */
const ANSWER_TIMEOUT_MS = 45_000;
/** A restart of the API server takes a few seconds: 0.2 + 0.4 + 0.8 + 1.6 s are bridged. */
const MAX_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;
/** After this no repeat is begun: a server that takes each request and answers none must not hold a caller for minutes. */
const RETRY_FOR_MS = 30_000;
const MAX_RETRY_AFTER_MS = 10_000;
/** Below the API server's own idle limit (90 s in Go's server), so that we close first and no request meets a closing socket. */
const KEEP_ALIVE_MS = 60_000;
/**
 * Further requests wait. Measured with Kubernetes 1.20 on two cores, 100 requests at once: 0.5 s when each may open a connection
 * of its own, most of it TLS, 0.17 s with 32, 0.15 s with 16. Not fewer, since a creation may wait for admission webhooks.
 */
const MAX_REQUESTS = 16;
/** Each watch has a connection to itself, and each build in a Pod has a watch. */
const MAX_STREAMS = 1000;

/** The caller closes it. `answerMs`: how long one answer may take, its body included. */
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
  const allowance = createAllowance();
  return {
    access,
    request: async (request) =>
      await requestRepeatedly(
        request,
        async () => await requestOnce(requests, access, { ...request, answerMs, allowance }),
      ),
    async stream(request, silenceMs) {
      const response = await send(streams, access, { ...request, silenceMs });
      const reading = { allowance, signal: request.signal };
      if (response.statusCode !== 200) {
        const text = await readBody(response.body, reading).catch(() => '');
        return toRefusal(response.statusCode, parseJson(text), text);
      }
      return { kind: 'ok', lines: toLines(response.body, access, reading) };
    },
    async close() {
      await Promise.all([requests.destroy(), streams.destroy()]);
    },
  };
}

/**
 * Repeats what failed in passing, creations and replacements too: every object c3 creates has a name that c3 chose, and every
 * replacement names the version it replaces, so one that had succeeded unseen meets AlreadyExists or Conflict at worst.
 */
async function requestRepeatedly(request: KubeRequest, attempt: () => Promise<TimedAnswer>): Promise<KubeAnswer> {
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
  /** What the server asked for in `Retry-After`, within reason. */
  readonly retryAfterMs: number | undefined;
}

async function requestOnce(
  pool: Pool,
  access: ClusterAccess,
  request: KubeRequest & { readonly answerMs: number; readonly allowance: Allowance },
): Promise<TimedAnswer> {
  // Over all, since undici's own limit on a body counts from its last byte: a server that trickles would never be left.
  const limit = AbortSignal.timeout(request.answerMs);
  const response = await send(pool, access, { ...request, silenceMs: request.answerMs, limit });
  let text: string;
  try {
    text = await readBody(response.body, { allowance: request.allowance, signal: limit });
  } catch (error) {
    throw toUnreachable(access, error, request.signal);
  }
  const body = parseJson(text);
  if (response.statusCode >= 200 && response.statusCode < 300) {
    if (body !== undefined) return { answer: { kind: 'ok', body }, retryAfterMs: undefined };
    throw new C3Error(
      'CLUSTER_UNREACHABLE',
      `${access.origin} answered ${request.method} with something that is no JSON`,
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

/** CLUSTER_UNREACHABLE; `isTransient`: it may pass by itself. */
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

/** The error itself is not kept as the cause: it may hold the socket, and with it the client's key. */
function toUnreachable(access: ClusterAccess, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof C3Error) return error;
  const fault = describeFault(error);
  return new UnreachableError(`Cannot reach the cluster at ${access.origin}: ${fault.message}`, fault.isTransient);
}

function toRefusal(code: number, body: unknown, text: string): KubeRefusal {
  const status = toStatus(body);
  const isRedirect = code >= 300 && code < 400;
  const fallback = isRedirect
    ? `it answered ${code}, a redirect, which c3 does not follow`
    : `it answered ${code}${text.trim() ? `: ${toBeginning(text.trim(), 300)}` : ''}`;
  return { kind: 'refused', code, reason: status.reason, message: toBeginning(status.message, 2000) || fallback };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function* toLines(
  body: AsyncIterable<Uint8Array>,
  access: ClusterAccess,
  reading: Reading,
): AsyncGenerator<string, void, undefined> {
  try {
    yield* readLines(body, reading);
  } catch (error) {
    throw toUnreachable(access, error, reading.signal);
  }
}
