import type { RawData, WebSocket } from 'ws';
import type { ExecEnd, ExecOptions, ExecSession } from '../engine/cluster.ts';
import { toBeginning, toStatus } from './api-types.ts';
import { describeFault } from './connection.ts';

export interface SessionLimits {
  readonly pingEveryMs: number;
  /** No frame and no pong for so long: the connection is dead. */
  readonly silenceMs: number;
  /** The same while our input is unsent: a server blocked on a program that does not read answers no ping. */
  readonly stalledInputMs: number;
  /** How long the server may take to close after its status. */
  readonly closeMs: number;
}

const DEFAULT_LIMITS: SessionLimits = {
  pingEveryMs: 15_000,
  silenceMs: 60_000,
  stalledInputMs: 300_000,
  closeMs: 2_000,
};

/** First byte of each frame: https://pkg.go.dev/k8s.io/kubelet/pkg/cri/streaming/remotecommand */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3 } as const;
/** One frame of input: far below what any server takes in one message. */
const MAX_INPUT_FRAME_BYTES = 32 * 1024;
const MAX_STATUS_BYTES = 64 * 1024;

/**
 * Turns an open WebSocket into an {@link ExecSession}. Must be called in the turn of the event loop in which it opened, so that
 * no frame is missed. Its endings, each of which settles `done` once: the status, followed by the close or by `closeMs`
 * of patience; a close without a status; silence; `close()`; the signal; a callback that throws.
 */
export function openSession(
  socket: WebSocket,
  { options, limits: given }: { options: ExecOptions; limits: Partial<SessionLimits> },
): ExecSession {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const ending = Promise.withResolvers<ExecEnd>();
  const inbox = createInbox(socket, options);
  const outbox = createOutbox(socket);
  let isOver = false;
  let cutMessage = 'the connection was cut without a status';
  let closeTimer: NodeJS.Timeout | undefined;

  function finish(end: ExecEnd): void {
    if (isOver) return;
    isOver = true;
    stopHeartbeat();
    clearTimeout(closeTimer);
    options.signal.removeEventListener('abort', abort);
    inbox.discard();
    socket.terminate();
    outbox.end(end);
    ending.resolve(end);
  }
  function cut(message: string): void {
    finish({ kind: 'cut', message });
  }
  function abort(): void {
    cut('aborted');
  }
  function conclude(): void {
    const status = inbox.status();
    if (status === undefined) cut(cutMessage);
    else finish(toEnd(status));
  }

  socket.on('message', (data: RawData) => {
    inbox.take(toBytes(data)).then(
      () => {
        if (isOver || closeTimer || inbox.status() === undefined) return;
        // The server closes next. No ping from here on: it could reset the connection under the last output.
        stopHeartbeat();
        closeTimer = setTimeout(conclude, limits.closeMs);
      },
      (error: unknown) => cut(`its output could not be taken: ${describeFault(error).message}`),
    );
  });
  socket.on('error', (error) => {
    cutMessage = `the connection was cut: ${describeFault(error).message}`;
  });
  socket.on('close', (code, reason) => {
    if (reason.byteLength > 0) cutMessage = `the connection was closed (${code}): ${reason.toString('utf8')}`;
    // An output that could not be taken has cut the session already.
    void inbox.whenEmpty().then(conclude, () => undefined);
  });
  const stopHeartbeat = startHeartbeat(socket, { limits, onSilence: cut });
  options.signal.addEventListener('abort', abort, { once: true });
  if (options.signal.aborted) abort();

  return {
    write: outbox.write,
    done: ending.promise,
    close: () => cut('closed by c3'),
  };
}

/** What has arrived, delivered in order; the socket is paused while a callback's promise is pending. */
function createInbox(socket: WebSocket, options: ExecOptions) {
  /** Settles when all that has arrived is delivered. Bounded by one read of the socket, since it is paused meanwhile. */
  let delivered: Promise<void> | undefined;
  let status: string | undefined;
  let isDiscarded = false;

  function deliver(frame: Uint8Array): Promise<void> | void {
    const data = frame.subarray(1);
    // The kubelet opens with an empty frame on every channel.
    if (isDiscarded || data.byteLength === 0) return undefined;
    if (frame[0] === CHANNEL.stdout) return options.onStdout(data);
    if (frame[0] === CHANNEL.stderr) return options.onStderr(data);
    if (frame[0] === CHANNEL.status)
      status = toBeginning(
        (status ?? '') + Buffer.from(data.subarray(0, MAX_STATUS_BYTES)).toString(),
        MAX_STATUS_BYTES,
      );
    return undefined;
  }
  async function deliverAfter(earlier: Promise<void> | undefined, frame: Uint8Array): Promise<void> {
    await earlier;
    const taken = deliver(frame);
    if (!taken) return;
    socket.pause();
    await taken;
  }

  return {
    async take(frame: Uint8Array): Promise<void> {
      const mine = deliverAfter(delivered, frame);
      delivered = mine;
      await mine;
      if (delivered !== mine) return;
      delivered = undefined;
      socket.resume();
    },
    whenEmpty: async (): Promise<void> => await delivered,
    status: (): string | undefined => status,
    discard: (): void => {
      isDiscarded = true;
    },
  };
}

/** Pings, and tells when nothing has been heard for too long. Returns the function that ends it. */
function startHeartbeat(
  socket: WebSocket,
  { limits, onSilence }: { limits: SessionLimits; onSilence: (message: string) => void },
): () => void {
  let lastHeardAt = performance.now();
  function hear(): void {
    lastHeardAt = performance.now();
  }
  socket.on('message', hear).on('pong', hear);
  const timer = setInterval(() => {
    // While we ourselves do not read, silence says nothing.
    if (socket.isPaused) return hear();
    const limitMs = socket.bufferedAmount > 0 ? limits.stalledInputMs : limits.silenceMs;
    if (performance.now() - lastHeardAt <= limitMs) return socket.ping();
    return onSilence(`the cluster was silent for ${Math.round(limitMs / 1000)} s`);
  }, limits.pingEveryMs);
  return () => clearInterval(timer);
}

/** What is written, in frames, each sent when the one before it is. */
function createOutbox(socket: WebSocket) {
  let ended: ExecEnd | undefined;
  /** Of those who write, to be told of an ending. A promise of it would keep each of them, with what it wrote, until it settles. */
  const fails = new Set<(end: ExecEnd) => void>();

  async function send(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.byteLength; at += MAX_INPUT_FRAME_BYTES) {
      const part = data.subarray(at, at + MAX_INPUT_FRAME_BYTES);
      const frame = new Uint8Array(part.byteLength + 1);
      frame[0] = CHANNEL.stdin;
      frame.set(part, 1);
      await new Promise<void>((resolve, reject) => {
        socket.send(frame, (error) => {
          if (error) reject(new Error(`Cannot write to the program: ${describeFault(error).message}`));
          else resolve();
        });
      });
    }
  }

  return {
    async write(data: string | Uint8Array): Promise<void> {
      // A send that the ending overtakes has no callback of its own in every case.
      const overtaken = Promise.withResolvers<never>();
      const fail = ({ message }: ExecEnd): void =>
        overtaken.reject(new Error(`Cannot write to the program: ${message}`));
      fails.add(fail);
      if (ended) fail(ended);
      try {
        await Promise.race([overtaken.promise, send(toBytes(data))]);
      } finally {
        fails.delete(fail);
      }
    },
    /** Whoever writes, then or later, fails with this. */
    end(end: ExecEnd): void {
      ended = end;
      for (const fail of fails) fail(end);
    },
  };
}

function toEnd(statusText: string): ExecEnd {
  let body: unknown;
  try {
    body = JSON.parse(statusText) as unknown;
  } catch {
    return { kind: 'cut', message: 'the connection was closed in the middle of its status' };
  }
  const { status, message, exitCode } = toStatus(body);
  if (status === 'Success') return { kind: 'status', exitCode: 0, message };
  if (status !== 'Failure') return { kind: 'cut', message: 'the connection ended with a status that is none' };
  // A failure that claims exit code 0 contradicts itself: the code counts as unknown.
  return { kind: 'status', exitCode: exitCode === 0 ? undefined : exitCode, message };
}

function toBytes(data: RawData | string | Uint8Array): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof Uint8Array ? data : new Uint8Array(data);
}
