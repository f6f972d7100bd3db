import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { C3Error } from '../errors.ts';
import { isJsonObject, readObject, type UnknownObject } from '../json.ts';
import { trimEnd } from '../trim-end.ts';

/**
 * What c3 needs from a kubeconfig: the address of the API server, its certificate, and our credentials. Never log it.
 */
export interface ClusterAccess {
  /** `https://host[:port]`. */
  readonly origin: string;
  /** The path before `/api`, without a slash at the end. It is usually empty. */
  readonly basePath: string;
  /** PEM. Without it the public certificate authorities are trusted. */
  readonly ca?: string;
  /** The name that the server's certificate must have, if it is not the host. */
  readonly serverName?: string;
  readonly token?: string;
  /** Both in PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  readonly namespace: string;
  /** Replaces the system's resolver: `AddressPolicy.lookup`. */
  readonly lookup?: LookupFunction;
}

/**
 * A kubeconfig with a few certificate chains has 16 KiB. The limit leaves room for a laptop's file and bounds the
 * parser.
 */
const MAX_KUBECONFIG_BYTES = 256 * 1024;

/**
 * Each TLS connection signs with the client key on the main thread: 5 ms with an RSA key of 4,096 bits, 280 ms with
 * 15,360 (threat model A12).
 */
const MAX_RSA_BITS = 4096;

const HINT =
  'c3 reads server, certificate-authority-data, tls-server-name, token, client-certificate-data, client-key-data and namespace';

/** The fields that c3 reads. */
const FIELDS: Readonly<Record<'context' | 'cluster' | 'user', readonly string[]>> = {
  context: ['cluster', 'user', 'namespace'],
  cluster: ['server', 'certificate-authority-data', 'tls-server-name'],
  user: ['token', 'client-certificate-data', 'client-key-data'],
};

/** Fields of kubectl that c3 can ignore. */
const HARMLESS = new Set(['extensions', 'disable-compression']);

/**
 * Why c3 refuses fields that kubectl accepts. In a stranger's file, each of them acts on c3's own machine or network.
 */
const REFUSALS: readonly (readonly [sentence: string, ...names: readonly string[]])[] = [
  ['would run a program on the machine of c3', 'exec', 'auth-provider'],
  ['names a file on the machine of c3; put the token itself in token', 'tokenFile'],
  ['names a file on the machine of c3; put its content in certificate-authority-data', 'certificate-authority'],
  ['names a file on the machine of c3; put its content in client-certificate-data', 'client-certificate'],
  ['names a file on the machine of c3; put its content in client-key-data', 'client-key'],
  ['would send the connection through another host', 'proxy-url'],
  ['would let any server pose as the cluster; give certificate-authority-data', 'insecure-skip-tls-verify'],
  ['is basic authentication, which Kubernetes removed in 1.19', 'username', 'password'],
  ['is impersonation; use an account that has the rights itself', 'as', 'as-uid', 'as-groups', 'as-user-extra'],
];

/**
 * Reads the current context of a kubeconfig, which a stranger may have written (threat model A5). Accepts the fields
 * of a short list and refuses every other field of the objects in use. Runs no program, reads no file and opens no
 * connection.
 *
 * @throws {C3Error} KUBECONFIG_INVALID with the name of the field, never with a secret
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
export function parseKubeconfig(text: string): ClusterAccess {
  const root: Section = { fields: readYaml(text), path: '' };
  const context = openSection(root, 'context', readRequired(root, 'current-context'));
  const [cluster, user] = [readRequired(context, 'cluster'), readRequired(context, 'user')];
  return {
    ...readCluster(openSection(root, 'cluster', cluster)),
    ...readUser(openSection(root, 'user', user)),
    namespace: readNamespace(context),
  };
}

/**
 * Lists the secrets of a kubeconfig that must be masked: the token, the client key, and the client key in base64 as
 * it is in the file, so that it is also masked where the whole file was encoded again.
 *
 * @throws {C3Error} KUBECONFIG_INVALID
 */
export function listKubeconfigSecrets(text: string): readonly string[] {
  const { token, clientCertificate } = parseKubeconfig(text);
  const key = clientCertificate?.key;
  return [...(token ? [token] : []), ...(key ? [key, Buffer.from(key).toString('base64')] : [])];
}

function readCluster(cluster: Section): Pick<ClusterAccess, 'origin' | 'basePath' | 'ca' | 'serverName'> {
  const ca = readPem(cluster, 'certificate-authority-data', CERTIFICATE);
  const serverName = readText(cluster, 'tls-server-name');
  if (serverName && !/^[a-zA-Z0-9.-]{1,253}$/.test(serverName)) {
    throw invalid(`${cluster.path}tls-server-name is not a host name`);
  }
  return { ...readServer(cluster), ...(ca && { ca: ca.pem }), ...(serverName && { serverName }) };
}

function readServer(cluster: Section): { origin: string; basePath: string } {
  const text = readRequired(cluster, 'server');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const label = `${cluster.path}server`;
  if (url?.protocol === 'http:')
    throw invalid(`${label} is http://, which sends the credentials in clear text; use https://`);
  if (url?.protocol !== 'https:') throw invalid(`${label} is not an https:// address`);
  if (url.username || url.password) throw invalid(`${label} carries a user name or password; use token`);
  if (/[?#]/.test(text)) throw invalid(`${label} carries a query or fragment`);
  return { origin: url.origin, basePath: trimEnd(url.pathname, '/') };
}

function readUser(user: Section): Pick<ClusterAccess, 'token' | 'clientCertificate'> {
  const { path } = user;
  const token = readText(user, 'token')?.trim();
  // It becomes a header. Other characters than visible ASCII could start another header (threat model A5).
  if (token && !/^[\x21-\x7e]+$/.test(token)) throw invalid(`${path}token has characters that no token has`);
  const cert = readPem(user, 'client-certificate-data', CERTIFICATE);
  const key = readPem(user, 'client-key-data', PRIVATE_KEY);
  if (cert && !key) throw invalid(`${path}client-key-data is missing`);
  if (key && !cert) throw invalid(`${path}client-certificate-data is missing`);
  if (!token && !cert) throw invalid(`${trimEnd(path, '.')} has neither token nor client-certificate-data`);
  if (!cert || !key) return { ...(token && { token }) };
  const bits = key.parsed.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits > MAX_RSA_BITS) {
    throw invalid(`${path}client-key-data has ${bits} bits, and c3 accepts at most ${MAX_RSA_BITS}`);
  }
  if (!cert.parsed.checkPrivateKey(key.parsed)) {
    throw invalid(`${path}client-key-data does not belong to client-certificate-data`);
  }
  return { ...(token && { token }), clientCertificate: { cert: cert.pem, key: key.pem } };
}

function readNamespace(context: Section): string {
  const namespace = readText(context, 'namespace') || 'default';
  if (/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) return namespace;
  throw invalid(`${context.path}namespace is not a namespace's name`);
}

/** An object of the kubeconfig. */
interface Section {
  readonly fields: UnknownObject;
  /** What messages write before the name of a field: `users["ci"].user.` */
  readonly path: string;
}

/** Opens the entry with this name. Refuses it when it has a field that c3 does not read. */
function openSection(root: Section, kind: 'context' | 'cluster' | 'user', name: string): Section {
  const entries = root.fields[`${kind}s`];
  if (!Array.isArray(entries)) throw invalid(`${kind}s is missing`);
  const entry: unknown = entries.find((candidate) => readObject(candidate)['name'] === name);
  if (!isJsonObject(entry)) throw invalid(`${kind}s has no entry named "${name}"`);
  const fields = entry[kind];
  const path = `${kind}s["${name}"].${kind}`;
  if (!isJsonObject(fields)) throw invalid(`${path} is missing`);
  for (const [field, value] of Object.entries(fields)) {
    // kubectl also writes an absent value in these forms.
    const isAbsent = value === null || value === '' || value === false;
    if (isAbsent || FIELDS[kind].includes(field) || HARMLESS.has(field)) continue;
    const [reason] = REFUSALS.find(([, ...names]) => names.includes(field)) ?? ['is not a field c3 knows'];
    throw invalid(`${path}.${field.slice(0, 80)} ${reason}`);
  }
  return { fields, path: `${path}.` };
}

function readText({ fields, path }: Section, name: string): string | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(`${path}${name} is not text`);
}

function readRequired(section: Section, name: string): string {
  const text = readText(section, name);
  if (!text) throw invalid(`${section.path}${name} is missing`);
  return text;
}

const CERTIFICATE = { label: 'a certificate', parse: (pem: string): X509Certificate => new X509Certificate(pem) };
const PRIVATE_KEY = { label: 'an unencrypted private key', parse: (pem: string): KeyObject => createPrivateKey(pem) };

/** Reads PEM in base64. */
function readPem<T>(
  section: Section,
  name: string,
  { label, parse }: { label: string; parse: (pem: string) => T },
): { pem: string; parsed: T } | undefined {
  const text = readText(section, name)?.replaceAll(/\s/g, '');
  if (!text) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw invalid(`${section.path}${name} is not base64`);
  const pem = Buffer.from(text, 'base64').toString('utf8');
  try {
    return { pem, parsed: parse(pem) };
  } catch {
    throw invalid(`${section.path}${name} is not ${label} in PEM`);
  }
}

function readYaml(text: string): UnknownObject {
  if (Buffer.byteLength(text) > MAX_KUBECONFIG_BYTES) throw invalid(`it is larger than ${MAX_KUBECONFIG_BYTES} bytes`);
  const lines = new LineCounter();
  // The library's own check for equal keys is quadratic. Its pretty errors would quote the source, which is secret.
  const document = parseDocument(text, {
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    lineCounter: lines,
    stringKeys: true,
  });
  const error = document.errors[0];
  if (error) throw invalid(`line ${lines.linePos(error.pos[0]).line} is not YAML`);
  visit(document, {
    Alias: () => {
      throw invalid('it uses YAML aliases');
    },
    Map: (_key, map) => {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        const name = isScalar(key) ? key.value : key;
        if (seen.has(name)) throw invalid(`it has "${String(name).slice(0, 80)}" twice in one object`);
        seen.add(name);
      }
    },
  });
  if (!isMap(document.contents)) throw invalid('it is not a YAML object');
  return readObject(document.toJS({ maxAliasCount: 0 }));
}

function invalid(sentence: string): C3Error {
  return new C3Error('KUBECONFIG_INVALID', `Kubeconfig refused: ${sentence}`, { hint: HINT });
}
