import { randomBytes } from 'node:crypto';
import { createServer, request, type RequestOptions, type Server } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { stringify } from 'yaml';
import { createCertificate } from '../dev/cluster/certificate.ts';
import { toTlsOptions } from '../src/kube/cluster-connection.ts';
import { parseKubeconfig, type ClusterAccess } from '../src/kube/kubeconfig.ts';

/** A proxy for the API server that counts only its own requests: the server's metrics count those of all clients. */
export interface CountingProxy {
  /** Uses the same namespace through the proxy. */
  readonly kubeconfig: string;
  /** Returns the number of requests of each kind (`list pods`, `exec`) since the last call. */
  take(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export async function createCountingProxy(kubeconfig: string): Promise<CountingProxy> {
  const access = parseKubeconfig(kubeconfig);
  const token = randomBytes(16).toString('hex');
  const { key, certificate, authority } = createCertificate('127.0.0.1');
  let counts: Record<string, number> = {};
  const streams = new Set<Duplex>();

  function accept(incoming: IncomingMessage): RequestOptions | undefined {
    if (incoming.headers.authorization !== `Bearer ${token}`) return undefined;
    const kind = toKind(incoming);
    counts[kind] = (counts[kind] ?? 0) + 1;
    return toForward(access, incoming);
  }
  const server: Server = createServer({ key, cert: certificate }, (incoming, answer) => {
    const options = accept(incoming);
    if (options === undefined) return void answer.writeHead(401).end();
    const forward = request(options, (theirs) => {
      answer.writeHead(theirs.statusCode ?? 502, theirs.headers);
      theirs.pipe(answer);
    });
    forward.on('error', () => answer.destroy());
    answer.on('close', () => forward.destroy());
    incoming.pipe(forward);
  });
  server.on('upgrade', (incoming: IncomingMessage, near: Duplex, head: Buffer) => {
    const options = accept(incoming);
    if (options === undefined) return void near.destroy();
    streams.add(near);
    near.on('close', () => streams.delete(near)).on('error', () => near.destroy());
    const forward = request(options).on('error', () => near.destroy());
    forward.on('upgrade', (theirs, far, first) => {
      near.write(formatHead(theirs));
      far.on('error', () => near.destroy()).on('close', () => near.destroy());
      near.on('close', () => far.destroy());
      far.unshift(first);
      near.unshift(head);
      far.pipe(near);
      near.pipe(far);
    });
    forward.on('response', () => near.destroy());
    forward.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    kubeconfig: formatKubeconfig({ port, token, authority, namespace: access.namespace }),
    take() {
      const taken = counts;
      counts = {};
      return taken;
    },
    async close(): Promise<void> {
      for (const stream of streams) stream.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function toForward(access: ClusterAccess, { method = 'GET', url = '/', headers }: IncomingMessage): RequestOptions {
  const { authorization: _authorization, host: _host, ...rest } = headers;
  const { hostname, port } = new URL(access.origin);
  const credentials = access.token === undefined ? {} : { authorization: `Bearer ${access.token}` };
  return {
    ...toTlsOptions(access),
    host: hostname,
    port: port || 443,
    method,
    path: `${access.basePath}${url}`,
    headers: { ...rest, ...credentials },
  };
}

/**
 * Names a request: `GET …/pods?watch=true` is `watch pods`.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#api-verbs
 */
function toKind({ method = 'GET', url = '/' }: IncomingMessage): string {
  const { pathname, searchParams } = new URL(url, 'https://api');
  const [resource = '', name, subresource] = pathname.replace(/^.*\/namespaces\/[^/]+\//, '').split('/');
  if (subresource === 'exec') return 'exec';
  if (method === 'GET') {
    if (searchParams.get('watch') === 'true') return `watch ${resource}`;
    return `${name === undefined ? 'list' : 'get'} ${resource}`;
  }
  const verbs: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };
  return `${verbs[method] ?? method} ${resource}`;
}

function formatHead({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let index = 0; index < rawHeaders.length; index += 2)
    lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function formatKubeconfig(way: { port: number; token: string; authority: string; namespace: string }): string {
  const authority = Buffer.from(way.authority).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'bench', cluster: { server: `https://127.0.0.1:${way.port}`, 'certificate-authority-data': authority } },
    ],
    users: [{ name: 'bench', user: { token: way.token } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench', namespace: way.namespace } }],
    'current-context': 'bench',
  });
}
