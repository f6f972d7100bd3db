import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

import type { FaultGate, RequestKind } from '../faults.ts';
import type { Kubelet } from '../node/kubelet.ts';
import type { Store } from '../store.ts';
import { createExecServer, type ExecServer, type ExecSession, parseExec, refuseUpgrade } from './exec.ts';
import { createLeaseApi } from './leases.ts';
import { createPodApi } from './pods.ts';
import { parseTarget, readBody, type Target } from './request.ts';
import { answerCall, type RouteContext } from './routes.ts';
import { ApiRefusal, badRequest, internalError, refusal, unauthorized } from './status.ts';
import type { OpenWatch } from './watch.ts';

export interface ApiServerOptions {
  readonly store: Store;
  readonly kubelet: Kubelet;
  readonly gate: FaultGate;
  readonly token: string;
  readonly key: string;
  readonly certificate: string;
}

export interface ApiServer {
  /** Resolves with the port. 0: any free one. */
  listen(host: string, port: number): Promise<number>;
  /** Cuts every connection and stops listening; `listen` may be called again. */
  stop(): Promise<void>;
  execs(): ExecSession[];
  watches(): OpenWatch[];
  /** The number of requests of each kind. */
  stats(): Record<RequestKind, number>;
}

/** How long Kubernetes' own server keeps an idle connection. Later, a client opens another one for its next request. */
const IDLE_MS = 90_000;

export function createApiServer(options: ApiServerOptions): ApiServer {
  return new HttpsApiServer(options);
}

class HttpsApiServer implements ApiServer {
  readonly #options: ApiServerOptions;
  readonly #routes: RouteContext;
  readonly #exec: ExecServer;
  readonly #sockets = new Set<Duplex>();
  readonly #counts: Record<RequestKind, number> = {
    get: 0,
    list: 0,
    watch: 0,
    create: 0,
    delete: 0,
    patch: 0,
    evict: 0,
    exec: 0,
    log: 0,
    'lease-get': 0,
    'lease-list': 0,
    'lease-create': 0,
    'lease-update': 0,
    'lease-delete': 0,
    'event-list': 0,
    'event-watch': 0,
    discovery: 0,
    other: 0,
  };
  #listener: Server | undefined;

  constructor(options: ApiServerOptions) {
    const { store, kubelet } = options;
    this.#options = options;
    this.#routes = {
      store,
      kubelet,
      pods: createPodApi(store, kubelet),
      leases: createLeaseApi(store),
      watches: new Set(),
    };
    this.#exec = createExecServer(kubelet);
  }

  execs(): ExecSession[] {
    return this.#exec.sessions();
  }

  watches(): OpenWatch[] {
    return [...this.#routes.watches];
  }

  stats(): Record<RequestKind, number> {
    return { ...this.#counts };
  }

  listen(host: string, port: number): Promise<number> {
    const listener = createServer({ key: this.#options.key, cert: this.#options.certificate });
    this.#listener = listener;
    listener.keepAliveTimeout = IDLE_MS;
    listener.on('request', (request, response) => {
      this.#handle(request, response).catch((error: unknown) => answerError(response, error));
    });
    listener.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.#upgrade(message, { socket, head }).catch((error: unknown) => refuseUpgrade(socket, error));
    });
    listener.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return new Promise((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, host, () => resolve((listener.address() as AddressInfo).port));
    });
  }

  async stop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    if (!listener) return;
    const closed = new Promise((resolve) => {
      listener.close(resolve);
    });
    for (const socket of this.#sockets) socket.destroy();
    listener.closeAllConnections();
    await closed;
  }

  /** Counts, applies faults and checks the token. */
  async #admit(request: IncomingMessage, target: Target): Promise<'go' | 'lose-answer' | 'cut'> {
    this.#counts[target.kind] += 1;
    const taken = this.#options.gate.takeRequest(target.kind, target.name);
    if (taken?.fault.kind === 'cut') return 'cut';
    if (taken?.fault.kind === 'hold') await taken.removed;
    if (taken?.fault.kind === 'refuse') {
      throw refusal(taken.fault.code, taken.fault.reason, { message: taken.fault.message });
    }
    const isOpen = /^\/(?:healthz|livez|readyz|version)$/.test(request.url ?? '');
    if (!isOpen && request.headers.authorization !== `Bearer ${this.#options.token}`) throw unauthorized();
    return taken?.fault.kind === 'lose-answer' ? 'lose-answer' : 'go';
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://cluster');
    const target = parseTarget(request.method ?? 'GET', url);
    const body = await readBody(request);
    const admission = await this.#admit(request, target);
    if (admission === 'cut') {
      response.destroy();
      return;
    }
    const answer = answerCall({ request, response, url, target, body }, this.#routes);
    if (admission === 'lose-answer') response.destroy();
    else if (answer !== 'streaming') {
      response.writeHead(answer.code, { 'content-type': answer.type });
      response.end(answer.body);
    }
  }

  async #upgrade(message: IncomingMessage, { socket, head }: { socket: Duplex; head: Buffer }): Promise<void> {
    const url = new URL(message.url ?? '/', 'https://cluster');
    const target = parseTarget(message.method ?? 'GET', url);
    const admission = await this.#admit(message, target);
    if (admission === 'cut') {
      socket.destroy();
      return;
    }
    if (target.kind !== 'exec') throw badRequest('this resource cannot be upgraded');
    const request = parseExec(this.#routes.pods.get(target.namespace ?? '', target.name), url.searchParams);
    const planned = this.#options.gate.takeExec(target.name, request.container);
    await this.#exec.open(request, { message, socket, head, planned });
    if (admission === 'lose-answer') socket.destroy();
  }
}

function answerError(response: ServerResponse, error: unknown): void {
  const { status } = error instanceof ApiRefusal ? error : internalError(String(error));
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const retry = status.details?.retryAfterSeconds;
  response.writeHead(status.code, {
    'content-type': 'application/json',
    ...(retry === undefined ? {} : { 'retry-after': String(retry) }),
  });
  response.end(JSON.stringify(status));
}
