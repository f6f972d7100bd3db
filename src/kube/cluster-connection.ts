import { constants } from 'node:crypto';
import { createSecureContext, DEFAULT_CIPHERS, type ConnectionOptions } from 'node:tls';
import { ADDRESS_REFUSED } from './address-policy.ts';
import { truncate } from './api-types.ts';
import type { ClusterAccess } from './kubeconfig.ts';

/** The limit for TCP and TLS together. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** The name of the post-quantum group that OpenSSL 3.5 added. OpenSSL rejects a list with an unknown name. */
const POST_QUANTUM = Number.parseFloat(process.versions.openssl) >= 3.5 ? ['X25519MLKEM768'] : [];

/**
 * The key exchange uses elliptic curves only, as every Kubernetes does. With DHE the server chooses a prime, and one
 * of 10,000 bits blocks the event loop for a second (threat model A12).
 */
const KEY_EXCHANGE = {
  ciphers: `${DEFAULT_CIPHERS}:!DHE`,
  ecdhCurve: [...POST_QUANTUM, 'X25519', 'P-256', 'P-384', 'P-521'].join(':'),
  // Once per connection: else a server could request it again and again.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
};

/**
 * Returns the options of `tls.connect` for all connections to one cluster. Without a shared context, each connection
 * would parse the authorities and the key again and keep them.
 */
export function toTlsOptions({ ca, clientCertificate, serverName: servername, lookup }: ClusterAccess): TlsOptions {
  return { secureContext: createSecureContext({ ...KEY_EXCHANGE, ca, ...clientCertificate }), servername, lookup };
}

type TlsOptions = Pick<ConnectionOptions, 'secureContext' | 'servername' | 'lookup'>;

/** Returns the headers of every request. */
export function toHeaders({ token }: ClusterAccess): Record<string, string> {
  return { 'user-agent': 'c3', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
}

/**
 * Error codes that a retry cannot fix: an untrusted certificate, a wrong host name, or a refused address. A name that
 * is unknown may be known a moment later, when the resolver has restarted.
 */
const PERMANENT = new RegExp(
  `^(?:ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|HOSTNAME_MISMATCH|${ADDRESS_REFUSED})`,
);

/**
 * Describes why the connection to the API server failed. The description keeps no reference to the error: errors of
 * `ws` and `undici` hold the socket, and with it the client's TLS key (threat model A9).
 */
export function describeFault(error: unknown): { message: string; isTransient: boolean } {
  const causes: unknown[] = [error];
  for (let cause = error; cause instanceof Error && cause.cause && causes.length < 5; cause = cause.cause) {
    causes.push(cause.cause);
  }
  // An AggregateError (every address of a name failed) has no message of its own.
  if (error instanceof AggregateError) causes.push((error.errors as unknown[])[0]);
  const messages = causes.map((cause) => (cause instanceof Error ? cause.message : '')).filter(Boolean);
  const codes = causes.map((cause) => (cause as { code?: unknown } | undefined)?.code);
  return {
    message: truncate(messages.at(-1) ?? 'the connection failed', 500),
    isTransient: !codes.some((code) => typeof code === 'string' && PERMANENT.test(code)),
  };
}

/** An answer that is not a success. */
interface Refusal {
  readonly code: number;
  /** `Conflict`, `Forbidden`, … */
  readonly reason?: string;
  readonly message: string;
  /** The method of the refused request. Not known for an exec. */
  readonly method?: string;
}

/**
 * What an API server answers, with a 500, when it cannot reach a node or when admission took too long. A new node
 * refuses execs like this for up to a minute. The list is GitLab Runner's `retryNetworkErrorsGroup`, plus the timeout
 * of containerd, the kubelet's answer while its runtime restarts, and `NewServerTimeout` of the API server.
 */
const TRANSIENT =
  /could not be completed at this time|quota evaluation timed out|error dialing backend|TLS handshake timeout|tls: internal error|connection (?:refused|reset|aborted)|broken pipe|EOF\b|etcdserver: |http2: client connection lost|i\/o timeout|context deadline exceeded|server is currently unable|code = Unavailable/i;

/**
 * What an API server answers, with a 403, when an admission plugin has not yet read what it decides by: the server has
 * just started, or a quota is new.
 *
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/namespace/lifecycle/admission.go
 *   Admit
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/resourcequota/controller.go
 *   CheckRequest
 */
const NOT_READY = /not yet ready to handle request|status unknown for quota/i;

/**
 * What an API server answers, with a 500, when it could not ask an admission webhook, or did not understand the answer.
 * A webhook that has denied the request is quoted with "denied the request".
 *
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/util/webhook/error.go
 */
const WEBHOOK_FAILED = /^(?:Internal error occurred: )?failed calling (?:admission )?webhook/;

/**
 * Returns whether an admission webhook did not answer. It is back when its Pod has restarted, which may take a minute:
 * longer than the retries of a request. So the creation of a Pod waits for it.
 */
export function isWebhookAway({ code, message }: Refusal): boolean {
  return code >= 500 && WEBHOOK_FAILED.test(message);
}

/**
 * Returns whether a creation has lost a race about another object, mostly the quota of its namespace. A creation never
 * depends on an earlier version of its own object, so it can be sent again. For a replacement, Conflict is an answer.
 */
function hasLostRace({ code, reason, message, method }: Refusal): boolean {
  return method === 'POST' && code === 409 && reason === 'Conflict' && !message.includes('denied the request');
}

/** Returns whether the server could not answer now, so that it has refused nothing. */
export function isUnavailable({ code, message }: Refusal): boolean {
  return code === 429 || code >= 500 || (code === 403 && NOT_READY.test(message));
}

/** Returns whether a retry of a refused request may succeed. */
export function isTransientAnswer(refusal: Refusal): boolean {
  const { code, message } = refusal;
  if (hasLostRace(refusal) || isWebhookAway(refusal)) return true;
  const isCertain = code < 500 || [502, 503, 504].includes(code);
  return isUnavailable(refusal) && (isCertain || TRANSIENT.test(message));
}

/** How long refusals are tolerated. */
const GRACE_MS = 30_000;
/** A new node refuses execs until the certificate of its kubelet is approved, which takes up to a minute. */
const NEW_NODE_MS = 90_000;

/**
 * Tolerates refusals for a while. From a server that has accepted us before it tolerates 401 and 403: a restarted API
 * server answers 401 until it reaches its token authenticator, and 403 until it has read the roles. For execs it
 * tolerates every code, for example 404 until the server has read the Pods: that the Pod still exists, its watch knows.
 * A server that has never accepted us gets a grace period only for its own failures, and only for execs.
 */
export class GracePeriod {
  readonly #graceMs: number;
  #hasSucceeded = false;
  #deniedSince: number | undefined;

  constructor(graceMs: number = GRACE_MS) {
    this.#graceMs = graceMs;
  }

  recordSuccess(): void {
    [this.#hasSucceeded, this.#deniedSince] = [true, undefined];
  }

  /** Returns whether a refusal may be temporary. `forExec`: it is the answer to an exec in a Pod that exists. */
  tolerates(
    { code = 0 }: { readonly code?: number },
    { forExec = false }: { readonly forExec?: boolean } = {},
  ): boolean {
    const mayPass = this.#hasSucceeded
      ? (forExec && code >= 400) || code === 401 || code === 403
      : forExec && code >= 500;
    if (!mayPass) return false;
    this.#deniedSince ??= performance.now();
    return performance.now() - this.#deniedSince < (this.#hasSucceeded ? this.#graceMs : NEW_NODE_MS);
  }
}
