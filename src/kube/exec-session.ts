import type { WebSocket } from 'ws';
import type { ExecEnd, ExecOptions, ExecSession } from '../engine/cluster.ts';
import { parseJson } from '../json.ts';
import { TokenBucket } from '../limiter.ts';
import { toStatus } from './api-types.ts';
import { describeFault } from './cluster-connection.ts';

export interface SessionLimits {
  readonly pingEveryMs: number;
  /** The connection counts as dead after this time without a frame or a pong. */
  readonly silenceMs: number;
  /** The same while our input is unsent: a server answers no ping while it waits for a program that does not read. */
  readonly stalledInputMs: number;
  /** How long the server may take to close the connection after its status. */
  readonly closeMs: number;
}

const DEFAULT_LIMITS: SessionLimits = {
  pingEveryMs: 15_000,
  silenceMs: 60_000,
  stalledInputMs: 300_000,
  closeMs: 2_000,
};

/** The first byte of each frame: https://pkg.go.dev/k8s.io/kubelet/pkg/cri/streaming/remotecommand */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3 } as const;
/** One frame of input. All servers accept much larger messages. */
const MAX_INPUT_FRAME_BYTES = 32 * 1024;
const MAX_STATUS_BYTES = 64 * 1024;
/**
 * Pings, pongs and empty frames. Real servers send some empty frames at the start, answer c3's pings, and sometimes
 * send a ping. No reader waits for these frames, so c3 limits their number (threat model A12).
 */
const EMPTY_FRAMES = { capacity: 300, perMinute: 600 };

/**
 * Turns an open WebSocket into an {@link ExecSession}. Call it in the same turn of the event loop in which the socket
 * opened, so that no frame is missed. `done` settles once, on one of these endings: a status and then the close, or
 * `closeMs` after the status; a close without a status; silence; `close()`; the signal; a callback that throws; frames
 * that no real server sends.
 */
export function openSession(
  socket: WebSocket,
  { options, limits: given }: { options: ExecOptions; limits: Partial<SessionLimits> },
): ExecSession {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const ending = Promise.withResolvers<ExecEnd>();
  const emptyFrames = new TokenBucket(EMPTY_FRAMES);
  const inbox = createInbox(socket, { options, onEmpty: countEmpty, onFault: cut });
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
  function countEmpty(): void {
    if (emptyFrames.take() > 0) cut('the cluster sent too many pings, pongs or empty frames');
  }
  const abort = (): void => cut('aborted');
  function conclude(): void {
    const status = inbox.status();
    if (status === undefined) cut(cutMessage);
    else finish(toEnd(status));
  }

  // With ws's default `binaryType`, each message is a Buffer.
  socket.on('message', (data) => {
    inbox.deliver(data as Buffer).then(
      () => {
        if (isOver || closeTimer || inbox.status() === undefined) return;
        // The server closes next. A ping now could reset the connection before the last output has arrived.
        stopHeartbeat();
        closeTimer = setTimeout(conclude, limits.closeMs);
      },
      (error: unknown) => cut(`c3 could not process its output: ${describeFault(error).message}`),
    );
  });
  socket.on('ping', countEmpty).on('pong', countEmpty);
  socket.on('error', (error) => void (cutMessage = `the connection was cut: ${describeFault(error).message}`));
  socket.on('close', (code, reason) => {
    if (reason.byteLength > 0) cutMessage = `the connection was closed (${code}): ${reason.toString('utf8')}`;
    // A failed callback has ended the session already.
    void inbox.whenEmpty().then(conclude, () => undefined);
  });
  const stopHeartbeat = startHeartbeat(socket, { limits, onSilence: cut });
  options.signal.addEventListener('abort', abort, { once: true });
  if (options.signal.aborted) abort();

  return { write: outbox.write, done: ending.promise, close: () => cut('closed by c3') };
}

/** Delivers frames in order. The socket is paused while the promise of a callback is pending. */
function createInbox(
  socket: WebSocket,
  { options, onEmpty, onFault }: { options: ExecOptions; onEmpty(): void; onFault(message: string): void },
) {
  /**
   * Settles when all received frames are delivered. They are at most one read of the socket, which is paused
   * meanwhile.
   */
  let delivered: Promise<void> | undefined;
  let status: string | undefined;
  let isDiscarded = false;

  function handle(frame: Uint8Array): Promise<void> | void {
    const data = frame.subarray(1);
    if (isDiscarded) return undefined;
    // The kubelet starts with an empty frame on every channel.
    if (data.byteLength === 0) return onEmpty();
    if (frame[0] === CHANNEL.stdout) return options.onStdout(data);
    if (frame[0] === CHANNEL.stderr) return options.onStderr(data);
    if (frame[0] !== CHANNEL.status) return onFault(`the cluster sent a frame on the unknown channel ${frame[0]}`);
    status = (status ?? '') + Buffer.from(data).toString();
    if (status.length > MAX_STATUS_BYTES) onFault(`the cluster sent a status of more than ${MAX_STATUS_BYTES} bytes`);
    return undefined;
  }
  async function handleAfter(earlier: Promise<void> | undefined, frame: Uint8Array): Promise<void> {
    await earlier;
    const handled = handle(frame);
    if (!handled) return;
    socket.pause();
    await handled;
  }

  return {
    async deliver(frame: Uint8Array): Promise<void> {
      const mine = handleAfter(delivered, frame);
      delivered = mine;
      await mine;
      if (delivered !== mine) return;
      delivered = undefined;
      socket.resume();
    },
    whenEmpty: async (): Promise<void> => await delivered,
    status: (): string | undefined => status,
    discard: (): void => void (isDiscarded = true),
  };
}

/** Sends pings, and calls `onSilence` when nothing was received for too long. Returns the function that stops it. */
function startHeartbeat(
  socket: WebSocket,
  { limits, onSilence }: { limits: SessionLimits; onSilence: (message: string) => void },
): () => void {
  let lastReceivedAt = performance.now();
  function recordReceipt(): void {
    lastReceivedAt = performance.now();
  }
  socket.on('message', recordReceipt).on('pong', recordReceipt);
  const timer = setInterval(() => {
    // While c3 does not read, it cannot receive a pong.
    if (socket.isPaused) return recordReceipt();
    const limitMs = socket.bufferedAmount > 0 ? limits.stalledInputMs : limits.silenceMs;
    if (performance.now() - lastReceivedAt <= limitMs) return socket.ping();
    return onSilence(`the cluster was silent for ${Math.round(limitMs / 1000)} s`);
  }, limits.pingEveryMs);
  return () => clearInterval(timer);
}

/** Sends input as frames, one after the other. */
function createOutbox(socket: WebSocket) {
  let ended: Error | undefined;
  /**
   * Rejects the pending writes. A shared promise would keep each write and its data in memory until the session ends.
   */
  const fails = new Set<(error: Error) => void>();

  async function send(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.byteLength; at += MAX_INPUT_FRAME_BYTES) {
      const frame = Buffer.concat([Buffer.of(CHANNEL.stdin), data.subarray(at, at + MAX_INPUT_FRAME_BYTES)]);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      socket.send(frame, (error) => (error ? reject(toWriteError(describeFault(error).message)) : resolve()));
      await promise;
    }
  }

  return {
    async write(data: string | Uint8Array): Promise<void> {
      if (ended) throw ended;
      // `send` does not always call back when the session ends first.
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      fails.add(reject);
      send(typeof data === 'string' ? Buffer.from(data) : data).then(resolve, reject);
      await promise.finally(() => fails.delete(reject));
    },
    /** Makes pending and later writes fail. */
    end({ message }: ExecEnd): void {
      ended = toWriteError(message);
      for (const fail of fails) fail(ended);
    },
  };
}

function toWriteError(message: string): Error {
  return new Error(`Cannot write to the program: ${message}`);
}

function toEnd(statusText: string): ExecEnd {
  const body = parseJson(statusText);
  if (body === undefined) return { kind: 'cut', message: 'the connection was closed in the middle of its status' };
  const { status, message, exitCode } = toStatus(body);
  if (status === 'Success') return { kind: 'status', exitCode: 0, message };
  if (status !== 'Failure') return { kind: 'cut', message: 'the connection ended with an unknown status' };
  // A failure with exit code 0 contradicts itself, so the code counts as unknown.
  return { kind: 'status', exitCode: exitCode === 0 ? undefined : exitCode, message };
}
