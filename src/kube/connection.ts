import { constants } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { createSecureContext, DEFAULT_CIPHERS, type SecureContext } from 'node:tls';
import { ADDRESS_REFUSED } from './address-policy.ts';
import { toBeginning } from './api-types.ts';
import type { ClusterAccess } from './kubeconfig.ts';

/** How long TCP and TLS together may take. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** What `tls.connect` takes of an access: the trust, the identity, and the resolver that knows which addresses may be dialled. */
export interface TlsOptions {
  /** Made once for all connections: each would else parse the authorities and the key anew, and keep them. */
  readonly secureContext: SecureContext;
  readonly servername?: string;
  readonly lookup?: LookupFunction;
}

/**
 * Keys are agreed on over elliptic curves alone, as every Kubernetes does. In the other way the server chooses a prime, and one of 10,000
 * bits keeps a client busy for a second, during which nothing else goes on here.
 */
const AGREEMENT = {
  ciphers: `${DEFAULT_CIPHERS}:!DHE`,
  ecdhCurve: [
    ...(isAtLeast35(process.versions.openssl) ? ['X25519MLKEM768'] : []),
    'X25519',
    'P-256',
    'P-384',
    'P-521',
  ].join(':'),
  // Once a connection: a server could ask for it again and again.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
};

/** OpenSSL refuses a list with a name that it does not know. */
function isAtLeast35(version: string): boolean {
  return Number.parseFloat(version) >= 3.5;
}

export function toTlsOptions({ ca, clientCertificate, serverName, lookup }: ClusterAccess): TlsOptions {
  return {
    secureContext: createSecureContext({ ...AGREEMENT, ...(ca === undefined ? {} : { ca }), ...clientCertificate }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(lookup === undefined ? {} : { lookup }),
  };
}

/** Headers of every request. */
export function toHeaders(access: ClusterAccess): Record<string, string> {
  return {
    'user-agent': 'c3',
    ...(access.token === undefined ? {} : { authorization: `Bearer ${access.token}` }),
  };
}

/**
 * What trying again cannot mend: the certificate is not one we trust, or it is for another name, or the name does not exist or
 * leads to an address that is not dialled.
 */
const LASTING = new RegExp(
  `^(?:ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|HOSTNAME_MISMATCH|ENOTFOUND|${ADDRESS_REFUSED})`,
);

/**
 * What went wrong on the way to the API server, in words that hold no object of the connection: errors of `ws` and `undici`
 * carry the socket, and with it the client's TLS key.
 */
export function describeFault(error: unknown): { message: string; isTransient: boolean } {
  const causes: unknown[] = [error];
  for (let cause = error; cause instanceof Error && cause.cause && causes.length < 5; cause = cause.cause) {
    causes.push(cause.cause);
  }
  // An AggregateError (every address of a name refused) has an empty message of its own.
  const first = error instanceof AggregateError ? (error.errors as unknown[])[0] : undefined;
  const messages = [...causes, first].map((cause) => (cause instanceof Error ? cause.message : '')).filter(Boolean);
  const codes = [...causes, first].map((cause) => (cause as { code?: unknown } | undefined)?.code);
  return {
    message: toBeginning(messages.at(-1) ?? 'the connection failed', 500),
    isTransient: !codes.some((code) => typeof code === 'string' && LASTING.test(code)),
  };
}

/**
 * Words of an API server that cannot reach a node just now; a fresh node refuses execs like this for up to a minute.
 * The list is GitLab Runner's `retryNetworkErrorsGroup`, widened by containerd's time limit and by a kubelet whose runtime restarts.
 */
const TRANSIENT =
  /error dialing backend|TLS handshake timeout|tls: internal error|connection (?:refused|reset|aborted)|broken pipe|EOF\b|etcdserver: |http2: client connection lost|i\/o timeout|context deadline exceeded|server is currently unable|code = Unavailable/i;

/**
 * Words of an API server that has just started, in a 403 that forbids nothing: what decides has yet to read what it decides by.
 *
 * @see https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/namespace/lifecycle/admission.go Admit
 */
const NOT_READY = /not yet ready to handle request/i;

/** Whether a server that says 403 says so because it cannot tell yet. */
export function isNotReady(code: number, message: string): boolean {
  return code === 403 && NOT_READY.test(message);
}

/** Whether an answer other than the wanted one is worth another try. */
export function isTransientAnswer(code: number, message: string): boolean {
  if (isNotReady(code, message)) return true;
  return code === 429 || code === 502 || code === 503 || code === 504 || (code >= 500 && TRANSIENT.test(message));
}
