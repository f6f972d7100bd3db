import { setTimeout as sleep } from 'node:timers/promises';
import { buildConnector, Client, Pool, type Dispatcher } from 'undici';
import { C3Error } from '../errors.ts';
import { parseJson } from '../json.ts';
import { toStatus, truncate } from './api-types.ts';
import { CONNECT_TIMEOUT_MS, describeFault, isTransientAnswer, toHeaders, toTlsOptions } from './cluster-connection.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { limitReceived, MAX_FRAMING_BYTES } from './received-bytes.ts';
import {
  createReadBudget,
  MAX_BODY_BYTES,
  readBody,
  readLines,
  waitForBudget,
  type ReadBudget,
} from './response-reader.ts';

/** Sends JSON requests to one API server over keep-alive connections. */
export interface KubeClient {
  readonly access: ClusterAccess;
  /** What the cluster may send, over all connections. */
  readonly budget: ReadBudget;
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
  readonly signal?: AbortSignal | undefined;
  /** Whether the answer is a text, and not JSON. */
  readonly isText?: boolean;
}

export type KubeRefusal = {
  readonly kind: 'refused';
  readonly code: number;
  /** `NotFound`, `AlreadyExists`, … */
  readonly reason: string;
  /** The server's own words. */
  readonly message: string;
  /** From the header `Retry-After`, up to a limit. */
  readonly retryAfterMs?: number | undefined;
};

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
/** The caller closes the client. `answerMs` limits one answer with its body. */
export function createClient(access: ClusterAccess, answerMs: number = ANSWER_TIMEOUT_MS): KubeClient {
  const budget = createReadBudget();
  const connectTls = buildConnector({ ...toTlsOptions(access), timeout: CONNECT_TIMEOUT_MS });
  /** Returns the options of connections that end when an answer is larger than `maxBytes`. */
  function toOptions(maxBytes: () => number): Client.Options {
    return {
      pipelining: 1,
      connect: (options, callback) =>
        connectTls(options, (...[error, socket]) => {
          if (error) return callback(error, null);
          limitReceived(socket, { budget, event: 'readable', maxBytes });
          callback(null, socket);
        }),
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    };
  }
  const requestOptions = toOptions(() => MAX_BODY_BYTES + MAX_FRAMING_BYTES);
  const requests = new Pool(access.origin, { ...requestOptions, connections: MAX_REQUESTS });
  const connection = { access, pool: requests, budget, answerMs };
  const streams = new Set<Client>();

  /** Opens a connection for one stream, because the limit of what is around the body grows with the body. */
  function openStream(maxBytes: () => number): { readonly pool: Client; end(): void } {
    const pool = new Client(access.origin, toOptions(maxBytes));
    streams.add(pool);
    function end(): void {
      streams.delete(pool);
      pool.destroy().catch(() => undefined);
    }
    return { pool, end };
  }

  return {
    access,
    budget,
    request: async (request) => await requestWithRetries(request, async () => await requestOnce(connection, request)),
    async stream(request, silenceMs) {
      let bodyBytes = 0;
      // Without `end`, the connection of a watch that ends stays open.
      const { pool, end } = openStream(() => MAX_FRAMING_BYTES + 2 * bodyBytes);
      const { signal } = request;
      const onBytes = (bytes: number): void => void (bodyBytes += bytes);
      const options = { budget, signal, onBytes, toError: (error: unknown) => toUnreachable(access, error, signal) };
      try {
        const response = await send({ access, pool, budget }, request, { silenceMs, isLast: true });
        if (response.statusCode === 200) return { kind: 'ok', lines: endAfter(readLines(response.body, options), end) };
        const refusal = toRefusal(response, await readBody(response.body, options).catch(() => ''));
        end();
        return refusal;
      } catch (error) {
        end();
        throw error;
      }
    },
    async close() {
      await Promise.all([requests, ...streams].map((one) => one.destroy()));
    },
  };
}

async function* endAfter(lines: AsyncIterable<string>, end: () => void): AsyncGenerator<string, void, undefined> {
  try {
    yield* lines;
  } finally {
    end();
  }
}

/**
 * Retries transient failures, also of creations and replacements. c3 chooses the name of each object that it creates,
 * and each replacement names the version that it replaces. So if the failed attempt had succeeded unseen, the retry
 * gets AlreadyExists or Conflict.
 */
async function requestWithRetries(request: KubeRequest, attempt: () => Promise<KubeAnswer>): Promise<KubeAnswer> {
  const startedAt = performance.now();
  const { method } = request;
  for (let count = 1; ; count += 1) {
    const isLast = (): boolean => count === MAX_ATTEMPTS || performance.now() - startedAt > RETRY_FOR_MS;
    let pauseMs = FIRST_PAUSE_MS * 2 ** (count - 1) * (0.75 + Math.random() / 2);
    try {
      const answer = await attempt();
      if (answer.kind === 'ok' || !isTransientAnswer({ ...answer, method }) || isLast()) return answer;
      pauseMs = answer.retryAfterMs ?? pauseMs;
    } catch (error) {
      request.signal?.throwIfAborted();
      if (isLast() || !isTransient(error)) throw error;
    }
    await sleep(pauseMs, undefined, request.signal ? { signal: request.signal } : {});
  }
}

type Connection = { readonly access: ClusterAccess; readonly pool: Pool | Client; readonly budget: ReadBudget };

async function requestOnce(
  { answerMs, ...connection }: Connection & { readonly answerMs: number },
  request: KubeRequest,
): Promise<KubeAnswer> {
  // undici's own limit on a body starts again with each byte, so a server that sends slowly would never time out.
  const limit = AbortSignal.timeout(answerMs);
  const response = await send(connection, request, { silenceMs: answerMs, limit });
  const { access, budget } = connection;
  const toError = (error: unknown): unknown => toUnreachable(access, error, request.signal);
  const text = await readBody(response.body, { budget, signal: limit, toError });
  if (response.statusCode < 200 || response.statusCode >= 300) return toRefusal(response, text);
  const body = request.isText === true ? text : parseJson(text);
  if (body !== undefined) return { kind: 'ok', body };
  const message = `${access.origin} answered ${request.method} with something that is not JSON`;
  throw new C3Error('CLUSTER_UNREACHABLE', message);
}

async function send(
  { access, pool, budget }: Connection,
  { method, path, query, body, signal: given }: KubeRequest,
  { silenceMs, limit, isLast = false }: SendOptions,
): Promise<Dispatcher.ResponseData> {
  const search = query ? `?${new URLSearchParams(query).toString()}` : '';
  const signal = AbortSignal.any([given, limit].filter((one) => one !== undefined));
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  try {
    await waitForBudget(0, { budget, signal });
    return await pool.request({
      method,
      path: `${access.basePath}${path}${search}`,
      headers: { ...toHeaders(access), accept: 'application/json', ...type },
      body: body === undefined ? null : JSON.stringify(body),
      bodyTimeout: silenceMs,
      reset: isLast,
      signal,
    });
  } catch (error) {
    throw toUnreachable(access, error, given);
  }
}

interface SendOptions {
  readonly silenceMs: number;
  readonly limit?: AbortSignal;
  /** Whether the connection ends with the answer. */
  readonly isLast?: boolean;
}

/** CLUSTER_UNREACHABLE. If `isTransient`, a retry may succeed. */
export class UnreachableError extends C3Error {
  readonly isTransient: boolean;

  constructor(message: string, isTransient: boolean) {
    super('CLUSTER_UNREACHABLE', message);
    this.isTransient = isTransient;
  }
}

/** Returns whether a retry may succeed. */
export function isTransient(error: unknown): error is UnreachableError {
  return error instanceof UnreachableError && error.isTransient;
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

function toRefusal({ statusCode: code, headers }: Dispatcher.ResponseData, text: string): KubeRefusal {
  const { reason, message } = toStatus(parseJson(text));
  // c3 does not follow redirects: they could lead into the network of c3 (threat model A5).
  const isRedirect = code >= 300 && code < 400;
  const fallback = isRedirect
    ? `it answered ${code}, a redirect, which c3 does not follow`
    : `it answered ${code}${text.trim() ? `: ${truncate(text.trim(), 300)}` : ''}`;
  const seconds = Number(headers['retry-after']);
  const retryAfterMs = seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MS) : undefined;
  return { kind: 'refused', code, reason, message: truncate(message, 2000) || fallback, retryAfterMs };
}
