import { Agent } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { ExecAnswer, ExecOptions } from '../engine/cluster.ts';
import { toBeginning, toStatus } from './api-types.ts';
import { CONNECT_TIMEOUT_MS, describeFault, isTransientAnswer, toHeaders, toTlsOptions } from './connection.ts';
import { openSession } from './exec-session.ts';
import type { SessionLimits } from './exec-session.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { toPodsPath } from './watch.ts';

export interface ExecTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Stands in the request's address, so in audit logs: constants only. */
  readonly argv: readonly string[];
}

export interface ExecLimits extends SessionLimits {
  /** How long the way to an HTTP 101 may take: TCP, TLS and the server's answer. */
  readonly handshakeMs: number;
}

/** `code`: the HTTP status of a refusal, if it had one. */
export type ExecOpening = ExecAnswer & { readonly code?: number };

/** Opens execs at one API server. */
export interface ExecClient {
  open(target: ExecTarget, options: ExecOptions): Promise<ExecOpening>;
  close(): void;
}

/** From Kubernetes 1.30 on the API server itself speaks v5; before, the request reaches the kubelet, which speaks v4. */
const SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
/** A container's runtime under load takes seconds to start a process; the kubelet's own limit is longer than anyone's patience. */
const HANDSHAKE_TIMEOUT_MS = 30_000;
/** Servers send frames of 32 KiB; a bigger limit costs nothing, none at all would let a server fill the memory. */
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
const MAX_REFUSAL_BYTES = 64 * 1024;

/**
 * A client for `pods/exec` over WebSocket. One agent for all execs: TLS sessions are resumed, which saves the certificates'
 * round of each new connection. The caller closes it.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-connect-get-connect-requests-to-exec-of-pod
 */
export function createExecClient(access: ClusterAccess, limits: Partial<ExecLimits> = {}): ExecClient {
  const agent = new Agent({ ...toTlsOptions(access), keepAlive: false, timeout: 0 });
  return {
    open: async (target, options) => await openExec(toAddress(access, target), { access, agent, limits, options }),
    close: () => agent.destroy(),
  };
}

interface Opening {
  readonly access: ClusterAccess;
  readonly agent: Agent;
  readonly limits: Partial<ExecLimits>;
  readonly options: ExecOptions;
}

async function openExec(address: string, { access, agent, limits, options }: Opening): Promise<ExecOpening> {
  const { signal } = options;
  if (signal.aborted) return { kind: 'refused', message: 'aborted', isTransient: false };
  const socket = new WebSocket(address, SUBPROTOCOLS, {
    agent,
    headers: toHeaders(access),
    perMessageDeflate: false,
    followRedirects: false,
    // Each frame in a turn of its own: one read of the socket may hold twenty thousand empty ones.
    allowSynchronousEvents: false,
    maxPayload: MAX_FRAME_BYTES,
  });
  // An `error` event without a listener would end the process and print the object with the TLS key: one stays for ever.
  socket.on('error', () => undefined);
  return await new Promise((resolve) => {
    // Not ws' own time limit, which counts from the last byte: whoever sends one now and then would be waited for without end.
    const handshakeMs = limits.handshakeMs ?? HANDSHAKE_TIMEOUT_MS;
    const timer = setTimeout(giveUp, handshakeMs);

    function settle(answer: ExecOpening): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('open', open).off('error', fail).off('unexpected-response', refuse);
      resolve(answer);
    }
    function open(): void {
      settle({ kind: 'open', session: openSession(socket, { options, limits }) });
    }
    function fail(error: Error): void {
      const fault = describeFault(error);
      settle({
        kind: 'refused',
        message: `cannot reach the cluster: ${fault.message}`,
        isTransient: fault.isTransient,
      });
    }
    function refuse(_request: unknown, response: IncomingMessage): void {
      void readRefusal(response).then((answer) => {
        settle(answer);
        socket.terminate();
      });
    }
    function abort(): void {
      settle({ kind: 'refused', message: 'aborted', isTransient: false });
      socket.terminate();
    }
    function giveUp(): void {
      const message = `the cluster did not answer the request for an exec within ${handshakeMs / 1000} s`;
      settle({ kind: 'refused', message, isTransient: true });
      socket.terminate();
    }
    signal.addEventListener('abort', abort, { once: true });
    socket.on('open', open).on('error', fail).on('unexpected-response', refuse);
  });
}

/** The answer was not 101: nothing ran, and the body says why. */
async function readRefusal(response: IncomingMessage): Promise<ExecOpening> {
  const code = response.statusCode ?? 0;
  let text = '';
  response.setTimeout(CONNECT_TIMEOUT_MS, () => response.destroy());
  try {
    for await (const chunk of response) {
      text += String(chunk);
      if (text.length > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // A body that was cut still leaves the code.
  }
  let message = '';
  try {
    message = toStatus(JSON.parse(text)).message;
  } catch {
    message = toBeginning(text.trim(), 300);
  }
  return {
    kind: 'refused',
    code,
    message: message || `the cluster answered ${code}`,
    isTransient: isTransientAnswer(code, message),
  };
}

function toAddress(access: ClusterAccess, target: ExecTarget): string {
  const query = new URLSearchParams({ container: target.container });
  for (const argument of target.argv) query.append('command', argument);
  // stdin is always asked for: without it some runtimes report success after the first output (kata-containers#13640).
  for (const stream of ['stdin', 'stdout', 'stderr']) query.append(stream, 'true');
  query.append('tty', 'false');
  const path = `${toPodsPath(target.namespace)}/${encodeURIComponent(target.pod)}/exec`;
  return `${access.origin.replace(/^https/, 'wss')}${access.basePath}${path}?${query.toString()}`;
}
