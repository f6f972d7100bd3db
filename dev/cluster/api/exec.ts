import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable, Writable } from 'node:stream';

import { type WebSocket, WebSocketServer } from 'ws';

import type { ExecBreak, ExecMoment, PlannedExecBreak } from '../faults.ts';
import type { Kubelet } from '../node/kubelet.ts';
import type { RunningProgram } from '../node/running-program.ts';
import type { KubeStatus, Pod } from '../objects.ts';
import { ApiRefusal, badRequest, internalError } from './status.ts';

/**
 * Channels of the subprotocol: the first byte of each message. @see
 * k8s.io/kubelet/pkg/cri/streaming/remotecommand/websocket.go
 */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
/** v5 only: the second byte names the channel that the client closes. */
const CLOSE = 255;

const V5 = 'v5.channel.k8s.io';
const V4 = 'v4.channel.k8s.io';
/** The API server refuses larger messages. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

export interface ExecRequest {
  readonly pod: Pod;
  readonly container: string;
  readonly argv: readonly string[];
  readonly hasStdin: boolean;
  readonly hasStdout: boolean;
  readonly hasStderr: boolean;
}

/** @throws {ApiRefusal} 400, with the text of the API server or the kubelet */
export function parseExec(pod: Pod, query: URLSearchParams): ExecRequest {
  const isOn = (name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');
  const names = pod.spec.containers.map((container) => container.name);
  const [only] = names;
  const container = query.get('container') ?? (names.length === 1 ? only : undefined);
  const { name } = pod.metadata;
  if (container === undefined) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`);
  }
  const all = [...names, ...(pod.spec.initContainers ?? []).map((init) => init.name)];
  if (!all.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`);
  if (pod.spec.nodeName === undefined) throw badRequest(`pod ${name} does not have a host assigned`);
  const streams = { hasStdin: isOn('stdin'), hasStdout: isOn('stdout'), hasStderr: isOn('stderr') };
  if (!streams.hasStdin && !streams.hasStdout && !streams.hasStderr) {
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  }
  const argv = query.getAll('command');
  if (argv.length === 0) throw badRequest('you must specify at least one command for the container');
  if (isOn('tty')) throw badRequest('the embedded cluster has no terminals: exec without tty');
  return { pod, container, argv, ...streams };
}

/** The node's kubelet does not respond. */
const NO_ROUTE = 'error dialing backend: dial tcp 127.0.0.1:10250: connect: no route to host';

export interface ExecSession {
  readonly pod: string;
  readonly container: string;
  break(how: ExecBreak): void;
}

export interface ExecServer {
  /** Takes over the connection. Rejects with an ApiRefusal while an HTTP response is still possible. */
  open(request: ExecRequest, upgrade: Upgrade): Promise<void>;
  sessions(): ExecSession[];
}

export interface Upgrade {
  readonly message: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly planned: PlannedExecBreak | undefined;
}

export function createExecServer(kubelet: Kubelet): ExecServer {
  const sessions = new Set<ExecSession>();
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (offered) => (offered.has(V5) ? V5 : offered.has(V4) ? V4 : false),
  });

  async function open(request: ExecRequest, { message, socket, head, planned }: Upgrade): Promise<void> {
    if (message.headers.upgrade?.toLowerCase() !== 'websocket') {
      throw badRequest(
        `the embedded cluster has exec over WebSocket only, not ${message.headers.upgrade}: use kubectl 1.31 or newer`,
      );
    }
    const offered = (message.headers['sec-websocket-protocol'] ?? '').split(',').map((text) => text.trim());
    if (!offered.includes(V5) && !offered.includes(V4)) {
      throw badRequest(
        `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${V5} ${V4}]`,
      );
    }
    const sandbox = kubelet.isSilent ? undefined : kubelet.runner(request.pod, request.container)?.sandbox();
    const missing = kubelet.isSilent
      ? internalError(NO_ROUTE)
      : internalError(`unable to upgrade connection: container not found ("${request.container}")`);
    // With v4 the kubelet responds to the upgrade; with v5 the API server upgrades before it calls the kubelet.
    if (!sandbox && !offered.includes(V5)) throw missing;
    if (planned?.when === 'before-101' && planned.how === 'loud') {
      socket.destroy();
      return;
    }
    if (planned?.when === 'before-101') return;
    const client = await new Promise<WebSocket>((resolve) => sockets.handleUpgrade(message, socket, head, resolve));
    const session = createSession(client, { request, planned });
    sessions.add(session);
    client.once('close', () => sessions.delete(session));
    if (!sandbox) {
      session.finish(missing.status);
      return;
    }
    const started = await sandbox.exec(request.argv, { hasStdin: request.hasStdin });
    if (started.kind === 'failed') {
      const cause = `error executing command in container: failed to exec in container: ${started.message}`;
      session.finish(internalError(cause).status);
      return;
    }
    session.attach(started.program);
  }

  return { open, sessions: () => [...sessions] };
}

/** As the kubelet sends it: without kind and code. */
type ExecStatus = Pick<KubeStatus, 'metadata' | 'status'> & Partial<KubeStatus>;

interface RunningSession extends ExecSession {
  attach(program: RunningProgram): void;
  finish(status: ExecStatus): void;
}

interface SessionParts {
  readonly request: ExecRequest;
  readonly planned: PlannedExecBreak | undefined;
}

/**
 * Connects a WebSocket and a process. If the socket closes, the process continues with closed stdin, and its output
 * is dropped.
 */
function createSession(client: WebSocket, { request, planned }: SessionParts): RunningSession {
  let isSilent = false;
  let sent = 0;
  const isAt = (moment: ExecMoment): boolean => planned?.when === moment;

  function breakOff(how: ExecBreak): void {
    if (how === 'false-success') {
      finish(SUCCESS);
      isSilent = true;
      return;
    }
    isSilent = true;
    if (how === 'loud') client.terminate();
    else client.pause();
  }

  function send(channel: number, data: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (client.readyState !== client.OPEN) resolve();
      // Silent: it does not resolve while the socket is open, so the process blocks as on a dead connection.
      else if (isSilent) client.once('close', () => resolve());
      else client.send(Buffer.concat([Buffer.of(channel), data]), () => resolve());
    });
  }

  async function forward(stream: Readable, isWanted: boolean, channel: number): Promise<void> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      // One chunk at a time: a client that does not read blocks the process.
      if (!isWanted) continue;
      await send(channel, chunk);
      sent += chunk.length;
      const when = planned?.when;
      if (planned && typeof when === 'object' && sent >= when.afterBytes && !isSilent) breakOff(planned.how);
    }
  }

  function finish(status: ExecStatus): void {
    if (isSilent) return;
    client.resume();
    const close = (): void => {
      if (planned && isAt('after-status')) breakOff(planned.how);
      else client.close(1000);
    };
    client.send(Buffer.concat([Buffer.of(STATUS), Buffer.from(JSON.stringify(status))]), close);
  }

  function takeInput(stdin: Writable | undefined): void {
    const resume = (): void => {
      if (!isSilent) client.resume();
    };
    stdin?.on('drain', resume).on('close', resume);
    client.on('message', (data: Buffer) => {
      const [channel] = data;
      if (channel === CLOSE && client.protocol === V5 && data[1] === STDIN) stdin?.end();
      if (channel !== STDIN || !stdin?.writable || data.length === 1) return;
      if (stdin.write(data.subarray(1))) return;
      // As on a real server, nothing more is read, not even pings, until the process reads its input.
      client.pause();
    });
    // It may have closed while the program started.
    if (client.readyState === client.CLOSED) stdin?.end();
    else client.once('close', () => stdin?.end());
    resume();
  }

  function attach({ stdin, stdout, stderr, exited }: RunningProgram): void {
    takeInput(stdin);
    const streams = [forward(stdout, request.hasStdout, STDOUT), forward(stderr, request.hasStderr, STDERR)];
    Promise.all([exited, ...streams]).then(
      ([code]) => finish(toStatus(code, request.argv)),
      // If the output cannot be read, the exec ends without a status, which would hide the missing part.
      () => client.terminate(),
    );
    if (planned && isAt('after-101')) breakOff(planned.how);
  }

  client.on('error', () => client.terminate());
  // Input that arrives before the process runs stays in the socket.
  client.pause();
  // An empty message on the lowest output channel confirms the connection to the client.
  const lowest = request.hasStdout ? STDOUT : request.hasStderr ? STDERR : STATUS;
  void send(lowest, new Uint8Array());
  return { pod: request.pod.metadata.name, container: request.container, break: breakOff, attach, finish };
}

const SUCCESS: ExecStatus = { metadata: {}, status: 'Success' };

function toStatus(code: number, argv: readonly string[]): ExecStatus {
  if (code === 0) return SUCCESS;
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: error executing command [${argv.join(' ')}], exit code ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** Sends a refusal as an HTTP response on a connection that was not upgraded. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { status } = error instanceof ApiRefusal ? error : internalError(String(error));
  const body = JSON.stringify(status);
  const head = `HTTP/1.1 ${status.code} ${status.reason ?? ''}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  socket.end(head + body);
}
