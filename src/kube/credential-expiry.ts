import { X509Certificate } from 'node:crypto';
import { C3Error, toMessage } from '../errors.ts';
import { parseJson, readInteger, readObject } from '../json.ts';
import { type ClusterAccess, parseKubeconfig } from './kubeconfig.ts';

const DAY_MS = 86_400_000;

/** Certificates that end within this time are reported. Those of kubeadm and k3s last a year. */
const SOON_MS = 30 * DAY_MS;

/**
 * Lists why a build cannot use a kubeconfig, or cannot use it for long: what c3 refuses, and when its credentials
 * expire. Quotes no credential.
 *
 * @param now in milliseconds since 1970
 */
export function checkCredentials(kubeconfig: string, now: number): string[] {
  let expiries: readonly Expiry[];
  try {
    expiries = listExpiries(parseKubeconfig(kubeconfig));
  } catch (error) {
    return [`a build would refuse this kubeconfig: ${toMessage(error)}`];
  }
  return expiries.flatMap(({ what, atMs, isShort }) => {
    if (atMs <= now) return [`${what} of this kubeconfig expired at ${formatTime(atMs)}: builds with it fail`];
    const isSoon = isShort || atMs - now < SOON_MS;
    return isSoon ? [`${what} of this kubeconfig expires at ${formatTime(atMs)}: later builds fail`] : [];
  });
}

/**
 * The clocks of c3 and of the cluster can differ. The cluster itself refuses what has expired, but only says
 * "Unauthorized".
 */
const CLOCK_SKEW_MS = 300_000;

/**
 * Refuses credentials that have expired.
 *
 * @throws {C3Error} KUBECONFIG_INVALID
 */
export function refuseExpired(access: ClusterAccess, now: number): void {
  const expired = listExpiries(access).find(({ atMs }) => atMs < now - CLOCK_SKEW_MS);
  if (expired === undefined) return;
  const { what, atMs } = expired;
  throw new C3Error('KUBECONFIG_INVALID', `${what} of the kubeconfig expired at ${formatTime(atMs)}`, {
    hint: 'make a new one, and seal the kubeconfig again',
  });
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

interface Expiry {
  readonly what: string;
  readonly atMs: number;
  /** Whether it is reported even if it is far away. */
  readonly isShort: boolean;
}

function listExpiries({ token, clientCertificate }: ClusterAccess): Expiry[] {
  // The claims of a JWT: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4
  const claims = readObject(parseJson(Buffer.from(token?.split('.')[1] ?? '', 'base64url')));
  const seconds = readInteger(claims['exp']);
  const found: Expiry[] = [];
  if (seconds !== undefined && seconds < 1e11) found.push({ what: 'the token', atMs: seconds * 1_000, isShort: true });
  if (clientCertificate) {
    const atMs = Date.parse(new X509Certificate(clientCertificate.cert).validTo);
    found.push({ what: 'the client certificate', atMs, isShort: false });
  }
  return found;
}
