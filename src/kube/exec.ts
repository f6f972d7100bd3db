import { Agent } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ExecAnswer, ExecOptions, Workspace } from '../engine/cluster.ts';
import { C3Error } from '../errors.ts';
import { parseJson } from '../json.ts';
import { Semaphore, TokenBucket, type Release } from '../limiter.ts';
import { toStatus, truncate } from './api-types.ts';
import { GracePeriod, describeFault, isTransientAnswer, toHeaders, toTlsOptions } from './cluster-connection.ts';
import { openSession, type SessionLimits } from './exec-session.ts';
import { limitReceived, MAX_FRAMING_BYTES } from './received-bytes.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { createReadBudget, type ReadBudget } from './response-reader.ts';
import { toPodsPath } from './watch.ts';

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Part of the request's URL, and so of audit logs: constants only. */
  readonly argv: readonly string[];
}

export interface ExecLimits extends SessionLimits {
  /** The limit until HTTP 101: TCP, TLS and the server's answer. */
  readonly handshakeMs: number;
  /** What the cluster may send, also to other clients. Default: a budget of this client. */
  readonly budget: ReadBudget;
}

/** `code` is the HTTP status of a refusal, if there was one. */
export type OpenedExec = ExecAnswer & { readonly code?: number };

/** Opens execs at one API server. */
export interface ExecClient {
  open(target: ExecTarget, options: ExecOptions): Promise<OpenedExec>;
  close(): void;
}

/**
 * Since Kubernetes 1.30 the API server itself speaks v5. Before, the request reaches the kubelet, which speaks v4.
 */
const SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
/** A container runtime under load takes seconds to start a process. The kubelet's own limit is much longer. */
const HANDSHAKE_TIMEOUT_MS = 30_000;
/** Servers send frames of 32 KiB. Without a limit a server could fill the memory (threat model A12). */
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
/** Servers do not divide messages. A proxy may, into its buffers of at least 4 KiB. Frames may be empty. */
const MAX_FRAGMENTS = MAX_FRAME_BYTES / 4096;
const MAX_REFUSAL_BYTES = 64 * 1024;
const REFUSAL_SILENCE_MS = 10_000;

/**
 * Creates a client for `pods/exec` over WebSocket, which the caller closes. All execs share one agent, so that a new
 * connection resumes a TLS session and saves a round trip.
 *
 * @see
 *   https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-connect-get-connect-requests-to-exec-of-pod
 */
export function createExecClient(access: ClusterAccess, limits: Partial<ExecLimits> = {}): ExecClient {
  const agent = new Agent({ ...toTlsOptions(access), keepAlive: false, timeout: 0 });
  const { budget = createReadBudget() } = limits;
  return {
    async open(target, options) {
      if (options.signal.aborted) return refused('aborted', false);
      const socket = new WebSocket(toAddress(access, target), SUBPROTOCOLS, {
        agent,
        headers: toHeaders(access),
        perMessageDeflate: false,
        followRedirects: false,
        // Handle each frame in its own turn of the event loop: one read of the socket may hold 20,000 empty frames
        // (threat model A12).
        allowSynchronousEvents: false,
        maxPayload: MAX_FRAME_BYTES,
        maxFragments: MAX_FRAGMENTS,
        finishRequest(request, webSocket) {
          request.once('socket', (tls) => {
            const limit = { budget, event: 'data', maxBytes: () => MAX_FRAMING_BYTES } as const;
            // After the answer, the reader's pace limits the output, and the session limits everything else.
            webSocket.once('open', limitReceived(tls, limit));
          });
          request.end();
        },
      });
      return await waitForAnswer(socket, { options, limits });
    },
    close: () => agent.destroy(),
  };
}

/**
 * Execs that are being started at the same time. Measured with containerd 1.6 on two cores, 40 execs of a short
 * program take 1.7 s with 8, 12 or 16 at a time, 12 s with 24, and 33 s with 40.
 */
const MAX_STARTING = 12;
/**
 * Each exec costs some milliseconds of this process. A cluster that cuts each one would cause a retry (threat model
 * A12).
 */
const START_RATE = { capacity: 300, perMinute: 25 * 60 };
/**
 * The cluster answers 101 before the container runtime has started the program, and the runtime is the bottleneck. So
 * an exec counts as being started until its program sends output or ends, or until this time, because some programs
 * send no output.
 */
const MAX_STARTING_MS = 1_000;

/** Limits how many execs of one cluster are started, at the same time and per second. */
export class ExecLimiter {
  readonly #slots = new Semaphore(MAX_STARTING);
  readonly #rate = new TokenBucket(START_RATE);

  /** @throws the signal's reason, if it is aborted first */
  async acquire(signal: AbortSignal): Promise<Release> {
    const waitMs = this.#rate.reserve();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    return await this.#slots.acquire(signal);
  }
}

/**
 * Creates the function that opens execs in one Pod, within the limits of the cluster. Once an exec was opened,
 * refusals of the account are tolerated for a while.
 */
export function createPodExec({ namespace, pod, execs, limiter }: PodExecOptions): Workspace['exec'] {
  const grace = new GracePeriod();
  return async (container, argv, options) => {
    const release = await limiter.acquire(options.signal).catch(() => undefined);
    if (!release) return refused('aborted', false);
    const answer = await execs.open(
      { namespace, pod, container, argv },
      {
        signal: options.signal,
        onStdout: (chunk) => (release(), options.onStdout(chunk)),
        onStderr: (chunk) => (release(), options.onStderr(chunk)),
      },
    );
    if (answer.kind === 'refused') {
      release();
      return refused(answer.message, answer.isTransient || grace.tolerates(answer, { forExec: true }));
    }
    grace.recordSuccess();
    const timer = setTimeout(release, MAX_STARTING_MS);
    void answer.session.done.then(() => {
      clearTimeout(timer);
      release();
    });
    return answer;
  };
}

export interface PodExecOptions {
  readonly namespace: string;
  /** The Pod's name. */
  readonly pod: string;
  readonly execs: ExecClient;
  readonly limiter: ExecLimiter;
}

async function waitForAnswer(
  socket: WebSocket,
  { options, limits }: { options: ExecOptions; limits: Partial<ExecLimits> },
): Promise<OpenedExec> {
  const { signal } = options;
  // Without a listener an `error` event would end the process and print the object with the TLS key.
  socket.on('error', () => undefined);
  return await new Promise((resolve) => {
    // The limit of ws starts again with each byte, so a server that sends slowly would never time out.
    const handshakeMs = limits.handshakeMs ?? HANDSHAKE_TIMEOUT_MS;
    const late = `the cluster did not answer the request for an exec within ${handshakeMs / 1000} s`;
    const timer = setTimeout(() => settle(refused(late, true)), handshakeMs);
    const open = (): void => settle({ kind: 'open', session: openSession(socket, { options, limits }) });
    const abort = (): void => settle(refused('aborted', false));
    const refuse = (_: unknown, response: IncomingMessage): void => void readRefusal(response).then(settle);

    function settle(answer: OpenedExec): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('open', open).off('error', fail).off('unexpected-response', refuse);
      if (answer.kind === 'refused') socket.terminate();
      resolve(answer);
    }
    function fail(error: Error): void {
      const { message, isTransient } = describeFault(error);
      settle(refused(`cannot reach the cluster: ${message}`, isTransient && !(error instanceof C3Error)));
    }
    signal.addEventListener('abort', abort, { once: true });
    socket.on('open', open).on('error', fail).on('unexpected-response', refuse);
  });
}

function refused(message: string, isTransient: boolean): Extract<ExecAnswer, { kind: 'refused' }> {
  return { kind: 'refused', message, isTransient };
}

/** Reads an answer other than 101. Nothing ran, and the body says why. */
async function readRefusal(response: IncomingMessage): Promise<OpenedExec> {
  const code = response.statusCode ?? 0;
  let text = '';
  response.setTimeout(REFUSAL_SILENCE_MS, () => response.destroy());
  try {
    for await (const chunk of response) {
      text += String(chunk);
      if (text.length > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // The status code is known even if the body is cut.
  }
  const body = parseJson(text);
  const message = body === undefined ? truncate(text.trim(), 300) : toStatus(body).message;
  // Newer API servers require `create` too, and do not say so.
  const rights = code === 403 ? ' (the account needs the verbs get and create for "pods/exec")' : '';
  const words = (message || `the cluster answered ${code}`) + rights;
  return { ...refused(words, isTransientAnswer({ code, message })), code };
}

function toAddress(access: ClusterAccess, target: ExecTarget): string {
  const query = new URLSearchParams({ container: target.container });
  for (const argument of target.argv) query.append('command', argument);
  // Always request stdin: without it some runtimes report success after the first output (kata-containers#13640).
  for (const stream of ['stdin', 'stdout', 'stderr']) query.append(stream, 'true');
  query.append('tty', 'false');
  const path = `${toPodsPath(target.namespace)}/${encodeURIComponent(target.pod)}/exec`;
  return `${access.origin.replace(/^https/, 'wss')}${access.basePath}${path}?${query.toString()}`;
}
