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
 * Error codes that a retry cannot fix: an untrusted certificate, a wrong or unknown host name, or a refused address.
 */
const PERMANENT = new RegExp(
  `^(?:ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|HOSTNAME_MISMATCH|ENOTFOUND|${ADDRESS_REFUSED})`,
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

/**
 * What an API server answers when it cannot reach a node. A new node refuses execs like this for up to a minute. The
 * list is GitLab Runner's `retryNetworkErrorsGroup`, plus the timeout of containerd and the kubelet's answer while
 * its runtime restarts.
 */
const TRANSIENT =
  /error dialing backend|TLS handshake timeout|tls: internal error|connection (?:refused|reset|aborted)|broken pipe|EOF\b|etcdserver: |http2: client connection lost|i\/o timeout|context deadline exceeded|server is currently unable|code = Unavailable/i;

/**
 * What an API server that has just started answers, with a 403: an admission plugin has not yet read what it decides
 * by.
 *
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/namespace/lifecycle/admission.go
 *   Admit
 */
const NOT_READY = /not yet ready to handle request/i;

/** Returns whether the server could not answer now, so that it has refused nothing. */
export function isUnavailable({ code, message }: { readonly code: number; readonly message: string }): boolean {
  return code === 429 || code >= 500 || (code === 403 && NOT_READY.test(message));
}

/** Returns whether a retry of a refused request may succeed. */
export function isTransientAnswer(code: number, message: string): boolean {
  const isCertain = code < 500 || [502, 503, 504].includes(code);
  return isUnavailable({ code, message }) && (isCertain || TRANSIENT.test(message));
}

/** How long 401 and 403 are tolerated. */
const GRACE_MS = 30_000;

/**
 * Tolerates 401 and 403 for a while from a server that has accepted us before. A restarted API server answers 401
 * until it reaches its token authenticator, and 403 until it has read the roles. A server that has never accepted us
 * gets no grace period.
 */
export class AuthGracePeriod {
  readonly #graceMs: number;
  #hasSucceeded = false;
  #deniedSince: number | undefined;

  constructor(graceMs: number = GRACE_MS) {
    this.#graceMs = graceMs;
  }

  recordSuccess(): void {
    [this.#hasSucceeded, this.#deniedSince] = [true, undefined];
  }

  /** Returns whether a refusal may be temporary. */
  tolerates({ code }: { readonly code?: number }): boolean {
    if (!this.#hasSucceeded || (code !== 401 && code !== 403)) return false;
    this.#deniedSince ??= performance.now();
    return performance.now() - this.#deniedSince < this.#graceMs;
  }
}
