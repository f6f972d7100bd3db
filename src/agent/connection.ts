import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { ExecEnd, ExecSession, Workspace } from '../engine/cluster.ts';
import { createFrameDecoder, type Frame } from './frames.ts';
import { agentArgv, agentProgram } from './shell.ts';

export type AgentAnswer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /**
   * The connection broke or could not be opened. What the command did is unknown. `isFinal`: another try would end
   * the same way.
   */
  | {
      readonly kind: 'cut';
      readonly message: string;
      readonly isFinal: boolean;
      /** The container has no `sh`: no agent can run in it. */
      readonly isShellMissing?: boolean;
      /**
       * The cluster refused the connection. The container may have ended, which the cluster reports a moment later.
       */
      readonly isRefused?: boolean;
    };

/**
 * When c3 first came into the container with this build: epoch milliseconds, by the clock of that c3. For a reader 0
 * means that the container has nothing of the build.
 */
export type Ready = AgentAnswer<{ readonly begunAtMs: number }>;

export type Cut = Extract<AgentAnswer<never>, { kind: 'cut' }>;

/** Handles one frame. An answer other than undefined ends the command. A promise is back-pressure. */
export type OnFrame<T> = (frame: Frame) => T | undefined | Promise<T | undefined>;

export interface ConnectionOptions {
  /** When the agent starts, it kills what any other build left running in the container. */
  readonly buildId: string;
  /** `Workspace.epoch`. An agent refuses an epoch that is smaller than one seen in the container. */
  readonly epoch: number;
  /** The connection only reads, so it does not take over the workspace. */
  readonly isReader?: boolean;
  /** Where the agent keeps its files: the first of the two directories that is writable. */
  readonly roots: readonly [string, string];
  /**
   * The connection counts as dead when a command gets no byte for this long. The agent sends something every ten
   * seconds.
   */
  readonly silenceMs: number;
}

/** The limit of kept standard error, for the message about an agent that died. */
const MAX_STDERR_BYTES = 512;

/** The limit of frames that arrive without a command. They are the rest of an answer that was abandoned. */
const MAX_UNASKED_FRAMES = 1000;

/**
 * After so many frames the event loop runs other work: 4 MiB, which come at once, may contain two million frames
 * (A12).
 */
const FRAMES_A_TURN = 64;

/** The time limit for a kept connection to answer. A new connection opens faster. */
const ANSWER_MS = 2000;

/** One connection into one container, with an agent at its far end. Performs one command at a time. */
export interface AgentConnection {
  readonly isOver: boolean;
  /** Settles when the connection ends. */
  readonly over: Promise<Cut>;
  /** Gives an open connection to another build. Resolves with whether the agent answered. */
  begin(build: { readonly buildId: string; readonly epoch: number }): Promise<boolean>;
  /** When c3 first came here with the current build. */
  readonly ready: Promise<Ready>;
  perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>>;
  close(): void;
}

/**
 * Opens an exec and starts an agent in it. Never rejects: a connection that could not be opened answers every command
 * with the reason.
 */
export async function openConnection(
  workspace: Pick<Workspace, 'exec'>,
  container: string,
  options: ConnectionOptions,
): Promise<AgentConnection> {
  const receiver = new Receiver();
  const answer = await workspace.exec(container, agentArgv, {
    signal: receiver.breach.signal,
    onStdout: receiver.receive,
    onStderr: receiver.receiveStderr,
  });
  if (answer.kind === 'refused') {
    const { message, isTransient } = answer;
    return createDeadConnection({ kind: 'cut', message, isFinal: !isTransient, isRefused: true });
  }
  const { session } = answer;
  const over = session.done.then((end) => toCut(end, container, receiver));
  let isOver = false;
  /**
   * The callers that wait for an answer. Waiting for `over` itself would keep all of them: a connection outlives its
   * builds.
   */
  const waiting = new Set<(cut: Cut) => void>();
  void over.then((cut) => {
    isOver = true;
    for (const settle of waiting) settle(cut);
  });
  function send(text: string): void {
    session.write(text).catch(() => {}); // `done` reports it
  }

  async function perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>> {
    if (isOver) return await over;
    const silence = watchSilence(session, options.silenceMs, receiver);
    const { promise, resolve } = Promise.withResolvers<AgentAnswer<T>>();
    waiting.add(resolve);
    void receiver.listen(onFrame).then((value) => resolve({ kind: 'answered', value }));
    send(command);
    const outcome = await promise;
    waiting.delete(resolve);
    receiver.ignore();
    clearInterval(silence);
    return outcome;
  }

  send(`${agentProgram}${formatRoot(container, options)}`);
  const silence = watchSilence(session, options.silenceMs, receiver);
  let ready = Promise.race([receiver.ready.promise, over]);
  void ready.then(() => clearInterval(silence));
  return {
    get isOver() {
      return isOver;
    },
    over,
    get ready() {
      return ready;
    },
    perform,
    async begin(build): Promise<boolean> {
      const settled = new AbortController();
      const late = sleep(ANSWER_MS, undefined, { signal: settled.signal }).catch(() => undefined);
      ready = perform(formatRoot(container, { ...options, ...build }), (frame) =>
        frame.kind === 'ready' ? frame : undefined,
      );
      const answer = await Promise.race([ready, late]);
      settled.abort();
      return answer?.kind === 'answered';
    },
    close: () => session.close(),
  };
}

function formatRoot(container: string, { buildId, epoch, isReader, roots }: ConnectionOptions): string {
  const mode = isReader === true ? 'read' : 'use';
  // The directories have lines of their own, since they may contain spaces.
  return `root ${mode} ${buildId} ${container} ${epoch} ${Date.now()}\n${roots.join('\n')}\n`;
}

/** Receives the output of an agent, and passes its frames to the current command. */
class Receiver {
  /** Aborted when the agent breaks the protocol. */
  readonly breach: AbortController = new AbortController();
  /** Resolves with the agent's first frame. */
  readonly ready: PromiseWithResolvers<Ready> = Promise.withResolvers();
  /** Milliseconds, monotonic. */
  lastSignOfLife: number = performance.now();
  fault: string | undefined;
  #stderr: Uint8Array = new Uint8Array(0);
  #onFrame: ((frame: Frame) => Promise<void> | void) | undefined;
  readonly #decoder = createFrameDecoder();
  #isReady = false;
  #received = 0;
  #unasked = 0;

  readonly receive = async (chunk: Uint8Array): Promise<void> => {
    this.lastSignOfLife = performance.now();
    for (const frame of this.#decoder.push(chunk)) {
      this.fault ??= this.#findFault(frame);
      if (this.fault !== undefined) {
        this.breach.abort();
        return;
      }
      if (frame.kind === 'ready') this.ready.resolve({ kind: 'answered', value: frame });
      const handled = this.#onFrame?.(frame);
      if (handled) await handled;
      this.#received += 1;
      if (this.#received % FRAMES_A_TURN === 0) await nextTurn();
    }
    // A slow handler of frames is not a silent agent.
    this.lastSignOfLife = performance.now();
  };

  readonly receiveStderr = (chunk: Uint8Array): void => {
    // A copy: a part of a chunk would keep all of it in memory.
    this.#stderr = Buffer.concat([this.#stderr, chunk.subarray(-MAX_STDERR_BYTES)]).subarray(-MAX_STDERR_BYTES);
  };

  get stderr(): string {
    // It may begin within a character.
    return Buffer.from(this.#stderr)
      .toString('utf8')
      .replace(/^\uFFFD+/, '')
      .trim();
  }

  /** Resolves with the first answer that is not undefined. */
  listen<T>(handle: OnFrame<T>): Promise<T> {
    this.lastSignOfLife = performance.now();
    const { promise, resolve } = Promise.withResolvers<T>();
    const settle = (value: T | undefined): void => {
      if (value === undefined) return;
      this.ignore();
      resolve(value);
    };
    this.#onFrame = (frame): Promise<void> | void => {
      const value = handle(frame);
      return value instanceof Promise ? value.then(settle) : settle(value);
    };
    return promise;
  }

  ignore(): void {
    this.#onFrame = undefined;
  }

  /** Returns why this frame must end the connection; undefined if it is valid. */
  #findFault(frame: Frame): string | undefined {
    if (frame.kind === 'fault') return frame.message;
    this.#isReady ||= frame.kind === 'ready';
    if (!this.#isReady) return 'the agent sent a frame before it was ready';
    this.#unasked = this.#onFrame ? 0 : this.#unasked + 1;
    return this.#unasked > MAX_UNASKED_FRAMES ? 'the agent goes on sending without a command' : undefined;
  }
}

function watchSilence(session: ExecSession, silenceMs: number, receiver: Receiver): NodeJS.Timeout {
  return setInterval(() => {
    if (performance.now() - receiver.lastSignOfLife > silenceMs) session.close();
  }, silenceMs / 8).unref();
}

function createDeadConnection(cut: Cut): AgentConnection {
  return {
    isOver: true,
    over: Promise.resolve(cut),
    ready: Promise.resolve(cut),
    begin: () => Promise.resolve(false),
    perform: () => Promise.resolve(cut),
    close: () => {},
  };
}

/** Exit codes by which a runtime reports that it found no such program. */
const NOT_FOUND_CODES: readonly (number | undefined)[] = [126, 127, 128];

/**
 * The runtime of the node restarts: what does not exist is the runtime's socket. It is gRPC's code for "try again".
 */
const OUT_OF_REACH = /code = Unavailable/;

function toCut(end: ExecEnd, container: string, { fault, stderr }: Receiver): Cut {
  if (fault !== undefined) return { kind: 'cut', message: `container "${container}": ${fault}`, isFinal: true };
  const isMissingShell =
    end.kind === 'status' &&
    (NOT_FOUND_CODES.includes(end.exitCode) ||
      (/executable file not found|no such file or directory/i.test(end.message) && !OUT_OF_REACH.test(end.message)));
  if (isMissingShell) {
    const message = `container "${container}" has no POSIX shell "sh": ${end.message}`;
    return { kind: 'cut', message, isFinal: true, isShellMissing: true };
  }
  return { kind: 'cut', message: stderr === '' ? end.message : `${end.message}: ${stderr}`, isFinal: false };
}
