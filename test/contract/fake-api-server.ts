import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { generate } from 'selfsigned';
import { WebSocketServer, type WebSocket } from 'ws';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import type { ClusterAccess } from '../../src/kube/kubeconfig.ts';

/** An HTTPS server whose answers each test defines, for faults that no real API server causes on demand. */
export interface FakeApiServer {
  readonly access: ClusterAccess;
  readonly certificate: string;
  readonly privateKey: string;
  /** Accepted TCP connections so far, and how many of them resumed a TLS session. */
  readonly connections: { opened: number; resumed: number };
  onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Answers an upgrade with 101. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket>;
  close(): Promise<void>;
}

export async function createFakeApiServer(): Promise<FakeApiServer> {
  const pems = await generate([{ name: 'commonName', value: 'fake' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const server = createServer({ key: pems.private, cert: pems.cert });
  const webSockets = new WebSocketServer({
    noServer: true,
    autoPong: false,
    handleProtocols: (offered) => (offered.has('v5.channel.k8s.io') ? 'v5.channel.k8s.io' : false),
  });
  const sockets = new Set<Duplex>();
  const connections = { opened: 0, resumed: 0 };
  server.on('secureConnection', (socket) => {
    connections.opened += 1;
    if (socket.isSessionReused()) connections.resumed += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => fake.onRequest(request, response));
  server.on('upgrade', (request, socket, head) => fake.onUpgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const fake: FakeApiServer = {
    access: {
      origin: `https://127.0.0.1:${port}`,
      basePath: '',
      ca: pems.cert,
      token: 'fake-token-0123456789',
      namespace: 'default',
    },
    certificate: pems.cert,
    privateKey: pems.private,
    connections,
    onRequest: (_request, response) => response.writeHead(404).end(),
    onUpgrade: (_request, socket) => socket.destroy(),
    accept: async (request, socket, head) =>
      await new Promise((resolve) => {
        webSockets.handleUpgrade(request, socket, head, (webSocket) => resolve(webSocket.on('error', () => undefined)));
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

/** Sends a JSON response. */
export function answerJson(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Starts the server and a client of it; `close` ends both. */
export async function startFakeApi(): Promise<{ server: FakeApiServer; client: KubeClient; close(): Promise<void> }> {
  const server = await createFakeApiServer();
  const client = createClient(server.access);
  return {
    server,
    client,
    async close(): Promise<void> {
      await client.close();
      await server.close();
    },
  };
}
