import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import { parse } from 'yaml';

import type { KubeStatus, Pod } from './objects.ts';

/** A plain client for the tests of the embedded cluster, without retries. */
export interface Client {
  call(method: string, path: string, options?: CallOptions): Promise<{ readonly code: number; readonly body: unknown }>;
  /** Creates a Pod in the namespace default. */
  create(pod: object): Promise<Pod>;
  /** Resolves with the next state of the Pod that matches; undefined if the Pod is removed first. */
  waitForPod(name: string, fits: (pod: Pod) => boolean): Promise<Pod | undefined>;
  /** Yields the parsed lines of a watch; ends with the stream, throws if it is cut. */
  watch(path: string): AsyncIterable<WatchLine>;
  openExec(path: string, protocols?: readonly string[]): ExecClient;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface WatchLine {
  readonly type: string;
  readonly object: Pod & KubeStatus;
}

export interface ExecClient {
  readonly socket: WebSocket;
  /** Resolves with the end of the connection and all output before it. */
  readonly ended: Promise<ExecResult>;
  /** Resolves with the stdout so far as soon as it contains the text. */
  waitForStdout(text: string): Promise<string>;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: KubeStatus | undefined;
  readonly closeCode: number;
  /** The HTTP response if it was not 101. */
  readonly refused: { readonly code: number; readonly body: KubeStatus } | undefined;
}

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { token: string } }[];
}

/** Reads the address, the authority and the token from a kubeconfig's text. */
export function createClient(kubeconfig: string): Client {
  const config = parse(kubeconfig) as Kubeconfig;
  const server = config.clusters[0]?.cluster.server ?? '';
  const ca = Buffer.from(config.clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64');
  const headers = { authorization: `Bearer ${config.users[0]?.user.token ?? ''}` };
  const dispatcher = new Agent({ connect: { ca } });
  const pods = '/api/v1/namespaces/default/pods';

  async function call(
    method: string,
    path: string,
    options: CallOptions = {},
  ): Promise<{ code: number; body: unknown }> {
    const answer = await request(server + path, {
      method: method as 'GET',
      dispatcher,
      headers: { ...headers, 'content-type': 'application/json', ...options.headers },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    const text = await answer.body.text();
    const isJson = String(answer.headers['content-type']).startsWith('application/json');
    return { code: answer.statusCode, body: isJson ? (JSON.parse(text) as unknown) : text };
  }

  async function* watch(path: string): AsyncGenerator<WatchLine> {
    const answer = await request(server + path, { dispatcher, headers });
    let rest = '';
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as WatchLine;
    }
  }

  return {
    call,
    watch,
    create: async (pod) => {
      const answer = await call('POST', pods, { body: pod });
      if (answer.code !== 201) throw new Error((answer.body as KubeStatus).message);
      return answer.body as Pod;
    },
    waitForPod: async (name, fits) => {
      for await (const { type, object } of watch(`${pods}?watch=1&fieldSelector=metadata.name%3D${name}`)) {
        if (type === 'DELETED') return undefined;
        if (fits(object)) return object;
      }
      throw new Error(`the watch of Pod "${name}" ended`);
    },
    openExec: (path, protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io']) =>
      openExec(new WebSocket(server.replace('https:', 'wss:') + path, [...protocols], { ca, headers })),
    close: () => dispatcher.destroy(),
  };
}

function openExec(socket: WebSocket): ExecClient {
  const channels: [string, string, string, string] = ['', '', '', ''];
  const listeners = new Set<() => void>();
  let refused: ExecResult['refused'];
  socket.on('message', (data: Buffer) => {
    const channel = data[0] as 0 | 1 | 2 | 3;
    channels[channel] += data.subarray(1).toString();
    for (const listener of listeners) listener();
  });
  const ended = new Promise<ExecResult>((resolve) => {
    const settle = (closeCode: number): void => {
      const status = channels[3] === '' ? undefined : (JSON.parse(channels[3]) as KubeStatus);
      resolve({ stdout: channels[1], stderr: channels[2], status, closeCode, refused });
    };
    socket.on('unexpected-response', (sent, answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on('end', () => {
        refused = { code: answer.statusCode ?? 0, body: JSON.parse(text) as KubeStatus };
        settle(0);
        sent.destroy();
      });
    });
    socket.on('error', () => settle(1006));
    socket.on('close', settle);
  });
  const waitForStdout = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!channels[1].includes(text)) return;
        listeners.delete(look);
        resolve(channels[1]);
      };
      listeners.add(look);
      socket.once('close', () => reject(new Error(`the exec ended before it printed "${text}"`)));
      look();
    });
  return { socket, ended, waitForStdout };
}

/** The path of an exec in the namespace default, with all streams. */
export function toExecPath(pod: string, argv: readonly string[], container = 'main'): string {
  const query = new URLSearchParams({ container, stdin: 'true', stdout: 'true', stderr: 'true' });
  for (const word of argv) query.append('command', word);
  return `/api/v1/namespaces/default/pods/${pod}/exec?${query.toString()}`;
}

/** A Pod with one container, `main`, that sleeps, and the volume `c3` at /c3. */
export function toTestPod(name: string, spec: object = {}): object {
  const container = {
    name: 'main',
    image: 'ubuntu',
    command: ['sleep', '1000'],
    volumeMounts: [{ name: 'c3', mountPath: '/c3' }],
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      volumes: [{ name: 'c3', emptyDir: {} }],
      containers: [container],
      ...spec,
    },
  };
}

export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some((entry) => entry.type === 'Ready' && entry.status === 'True') === true;
}
