import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { isAlias, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { C3Error } from '../errors.ts';
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

type Fields = Readonly<Record<string, unknown>>;

const HINT =
  'c3 reads server, certificate-authority-data, tls-server-name, token, client-certificate-data, client-key-data and namespace';

/** Fields of kubectl that c3 can ignore. */
const HARMLESS = new Set(['extensions', 'disable-compression']);

/**
 * Why c3 refuses fields that kubectl accepts. In a stranger's file, each of them acts on c3's own machine or network.
 */
const REFUSALS: Readonly<Record<string, string>> = {
  exec: 'would run a program on the machine of c3',
  'auth-provider': 'would run a program on the machine of c3',
  tokenFile: 'names a file on the machine of c3; put the token itself in token',
  'certificate-authority': 'names a file on the machine of c3; put its content in certificate-authority-data',
  'client-certificate': 'names a file on the machine of c3; put its content in client-certificate-data',
  'client-key': 'names a file on the machine of c3; put its content in client-key-data',
  'proxy-url': 'would send the connection through another host',
  'insecure-skip-tls-verify': 'would let anybody pose as the cluster; give certificate-authority-data',
  username: 'is basic authentication, which Kubernetes removed in 1.19',
  password: 'is basic authentication, which Kubernetes removed in 1.19',
  as: 'is impersonation; use an account that has the rights itself',
  'as-uid': 'is impersonation; use an account that has the rights itself',
  'as-groups': 'is impersonation; use an account that has the rights itself',
  'as-user-extra': 'is impersonation; use an account that has the rights itself',
};

/**
 * Reads the current context of a kubeconfig, which a stranger may have written (threat model A5). Accepts the fields
 * of a short list and refuses every other field of the objects in use. Runs no program, reads no file and opens no
 * connection.
 *
 * @throws {C3Error} KUBECONFIG_INVALID with the name of the field, never with a secret
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
export function parseKubeconfig(text: string): ClusterAccess {
  const root = readYaml(text);
  const currentContext = readText(root, 'current-context', 'current-context');
  if (!currentContext) throw invalid('current-context is missing');
  const context = findNamed(root, 'contexts', 'context', currentContext);
  const contextPath = `contexts["${currentContext}"].context`;
  allowOnly(context, ['cluster', 'user', 'namespace'], contextPath);
  const clusterName = readText(context, 'cluster', `${contextPath}.cluster`);
  const userName = readText(context, 'user', `${contextPath}.user`);
  if (!clusterName) throw invalid(`${contextPath}.cluster is missing`);
  if (!userName) throw invalid(`${contextPath}.user is missing`);
  return {
    ...readCluster(findNamed(root, 'clusters', 'cluster', clusterName), `clusters["${clusterName}"].cluster`),
    ...readUser(findNamed(root, 'users', 'user', userName), `users["${userName}"].user`),
    namespace: readNamespace(context, `${contextPath}.namespace`),
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

function readCluster(cluster: Fields, path: string): Pick<ClusterAccess, 'origin' | 'basePath' | 'ca' | 'serverName'> {
  allowOnly(cluster, ['server', 'certificate-authority-data', 'tls-server-name'], path);
  const ca = readBase64(cluster, 'certificate-authority-data', path);
  if (ca !== undefined) checkCertificate(ca, `${path}.certificate-authority-data`);
  const serverName = readText(cluster, 'tls-server-name', `${path}.tls-server-name`);
  if (serverName && !/^[a-zA-Z0-9.-]{1,253}$/.test(serverName)) {
    throw invalid(`${path}.tls-server-name is not a host name`);
  }
  return {
    ...readServer(cluster, `${path}.server`),
    ...(ca === undefined ? {} : { ca }),
    ...(serverName ? { serverName } : {}),
  };
}

function readServer(cluster: Fields, path: string): { origin: string; basePath: string } {
  const text = readText(cluster, 'server', path);
  if (!text) throw invalid(`${path} is missing`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:')
    throw invalid(`${path} is http://, where anybody on the way reads the credentials; use https://`);
  if (url?.protocol !== 'https:') throw invalid(`${path} is not an https:// address`);
  if (url.username || url.password) throw invalid(`${path} carries a user name or password; use token`);
  if (text.includes('?') || text.includes('#')) throw invalid(`${path} carries a query or fragment`);
  return { origin: url.origin, basePath: trimEnd(url.pathname, '/') };
}

function readUser(user: Fields, path: string): Pick<ClusterAccess, 'token' | 'clientCertificate'> {
  allowOnly(user, ['token', 'client-certificate-data', 'client-key-data'], path);
  const token = readText(user, 'token', `${path}.token`)?.trim();
  // It becomes a header. Other characters than visible ASCII could start another header (threat model A5).
  if (token && !/^[\x21-\x7e]+$/.test(token)) throw invalid(`${path}.token has characters that no token has`);
  const cert = readBase64(user, 'client-certificate-data', path);
  const key = readBase64(user, 'client-key-data', path);
  if (cert !== undefined && key === undefined) throw invalid(`${path}.client-key-data is missing`);
  if (key !== undefined && cert === undefined) throw invalid(`${path}.client-certificate-data is missing`);
  if (!token && cert === undefined) throw invalid(`${path} has neither token nor client-certificate-data`);
  return {
    ...(token ? { token } : {}),
    ...(cert === undefined || key === undefined ? {} : { clientCertificate: checkPair(cert, key, path) }),
  };
}

function readNamespace(context: Fields, path: string): string {
  const namespace = readText(context, 'namespace', path) || 'default';
  if (!/^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) throw invalid(`${path} is not a namespace's name`);
  return namespace;
}

function checkCertificate(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw invalid(`${path} is not a certificate in PEM`);
  }
}

function checkPair(cert: string, key: string, path: string): { cert: string; key: string } {
  const certificate = checkCertificate(cert, `${path}.client-certificate-data`);
  const privateKey = readPrivateKey(key, `${path}.client-key-data`);
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits > MAX_RSA_BITS) {
    throw invalid(`${path}.client-key-data has ${bits} bits, and c3 accepts at most ${MAX_RSA_BITS}`);
  }
  if (certificate.checkPrivateKey(privateKey)) return { cert, key };
  throw invalid(`${path}.client-key-data does not belong to client-certificate-data`);
}

function readPrivateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw invalid(`${path} is not an unencrypted private key in PEM`);
  }
}

function allowOnly(fields: Fields, allowed: readonly string[], path: string): void {
  for (const [name, value] of Object.entries(fields)) {
    // kubectl also writes an absent value in these forms.
    const isAbsent = value === null || value === '' || value === false;
    if (isAbsent || allowed.includes(name) || HARMLESS.has(name)) continue;
    const reason = Object.hasOwn(REFUSALS, name) ? REFUSALS[name] : 'is not a field c3 knows';
    throw invalid(`${path}.${name.slice(0, 80)} ${reason}`);
  }
}

function findNamed(root: Fields, list: string, member: string, name: string): Fields {
  const entries = root[list];
  if (!Array.isArray(entries)) throw invalid(`${list} is missing`);
  const entry: unknown = entries.find((candidate) => isFields(candidate) && candidate['name'] === name);
  if (!isFields(entry)) throw invalid(`${list} has no entry named "${name}"`);
  const fields = entry[member];
  if (!isFields(fields)) throw invalid(`${list}["${name}"].${member} is missing`);
  return fields;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readText(fields: Fields, name: string, path: string): string | undefined {
  const value = fields[name] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(`${path} is not text`);
}

function readBase64(fields: Fields, name: string, path: string): string | undefined {
  const text = readText(fields, name, `${path}.${name}`)?.replaceAll(/\s/g, '');
  if (!text) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw invalid(`${path}.${name} is not base64`);
  return Buffer.from(text, 'base64').toString('utf8');
}

function readYaml(text: string): Fields {
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
  if (isAlias(document.contents) || !isMap(document.contents)) throw invalid('it is not a YAML object');
  const root: unknown = document.toJS({ maxAliasCount: 0 });
  if (!isFields(root)) throw invalid('it is not a YAML object');
  return root;
}

function invalid(sentence: string): C3Error {
  return new C3Error('KUBECONFIG_INVALID', `Kubeconfig refused: ${sentence}`, { hint: HINT });
}
