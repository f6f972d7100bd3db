import { randomUUID } from 'node:crypto';
import type { ExecEnd, ExecSession, Workspace } from '../engine/cluster.ts';
import { untilAborted, yieldToEventLoop } from '../limiter.ts';
import { FrameDecoder, type Frame, type ReadyFrame } from './frames.ts';
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

/** For a reader, `begunAtMs` is 0 when the container has nothing of the build. */
export type Ready = AgentAnswer<ReadyFrame>;

export type Cut = Extract<AgentAnswer<never>, { kind: 'cut' }>;

/** Handles one frame. An answer other than undefined ends the command. A promise is back-pressure. */
export type OnFrame<T> = (frame: Frame) => T | undefined | Promise<T | undefined>;

export interface ConnectionOptions {
  /** When the agent starts, it kills what any other build left running in the container. */
  readonly buildId: string;
  /** `Workspace.epoch`. An agent refuses an epoch that is smaller than one seen in the container. */
  readonly epoch: number;
  /**
   * Default: `use`. `clear`: kills what any other build left, also where the files in the container say that nothing is
   * left. `read`: only reads, so it does not take over the workspace.
   */
  readonly mode?: 'use' | 'clear' | 'read';
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

/**
 * Opens an exec and starts an agent in it. Never rejects: a connection that could not be opened answers every command
 * with the reason.
 */
export async function openConnection(
  workspace: Pick<Workspace, 'exec'>,
  container: string,
  options: ConnectionOptions,
): Promise<AgentConnection> {
  const connection = new Connection(container, options);
  await connection.open(workspace);
  return connection;
}

/** A command whose answer is not complete. */
interface Command {
  handle(frame: Frame): Promise<void>;
  cut(cut: Cut): void;
}

export type AgentConnection = Pick<Connection, 'begin' | 'close' | 'isOver' | 'over' | 'perform' | 'ready'>;

/** One connection into one container, with an agent at its far end. Performs one command at a time. */
class Connection {
  readonly #container: string;
  readonly #options: ConnectionOptions;
  readonly #over: PromiseWithResolvers<Cut> = Promise.withResolvers();
  /** In order. At most two: the first command follows right behind the one that waits until the agent is ready. */
  readonly #commands = new Set<Command>();
  readonly #decoder = new FrameDecoder();
  /** Aborted when the agent breaks the protocol. */
  readonly #breach = new AbortController();
  #fault: string | undefined;
  #session: ExecSession | undefined;
  #silence: NodeJS.Timeout | undefined;
  /** Milliseconds, monotonic. */
  #lastSignOfLife = 0;
  #stderr: Uint8Array = new Uint8Array(0);
  #isReady = false;
  /** Sent with the newest greeting. */
  #nonce = '';
  #received = 0;
  #unasked = 0;
  isOver = false;
  /** When c3 first came here with the current build. */
  ready: Promise<Ready> = this.#over.promise;

  constructor(container: string, options: ConnectionOptions) {
    this.#container = container;
    this.#options = options;
  }

  /** Settles when the connection ends. */
  get over(): Promise<Cut> {
    return this.#over.promise;
  }

  async open(workspace: Pick<Workspace, 'exec'>): Promise<void> {
    this.ready = this.#awaitReady();
    const answer = await workspace.exec(this.#container, agentArgv, {
      signal: this.#breach.signal,
      onStdout: async (chunk) => await this.#receive(chunk),
      onStderr: (chunk) => this.#receiveStderr(chunk),
    });
    if (answer.kind === 'refused') {
      this.#end({ kind: 'cut', message: answer.message, isFinal: !answer.isTransient, isRefused: true });
      return;
    }
    const { silenceMs } = this.#options;
    this.#session = answer.session;
    this.#send(`${agentProgram}${this.#formatRoot(this.#options)}`);
    this.#silence = setInterval(() => {
      if (this.#commands.size > 0 && performance.now() - this.#lastSignOfLife > silenceMs) this.close();
    }, silenceMs / 8).unref();
    void answer.session.done.then((end) => this.#end(this.#toCut(end)));
  }

  /** Gives an open connection to another build. Resolves with whether the agent answered. */
  async begin(build: Pick<ConnectionOptions, 'buildId' | 'epoch' | 'mode'>): Promise<boolean> {
    const greeting = this.#formatRoot({ ...this.#options, mode: 'use', ...build });
    this.ready = this.#awaitReady(greeting, this.#nonce);
    const answer = await untilAborted(this.ready, AbortSignal.timeout(ANSWER_MS));
    return answer?.kind === 'answered';
  }

  /** `nonce`: that of the greeting, if earlier builds used the connection. What they left in it is not the answer. */
  async #awaitReady(command = '', nonce?: string): Promise<Ready> {
    const isAnswer = (frame: ReadyFrame): boolean => nonce === undefined || frame.nonce === nonce;
    return await this.perform(command, (frame) => (frame.kind === 'ready' && isAnswer(frame) ? frame : undefined));
  }

  #formatRoot({ buildId, epoch, mode = 'use', roots }: ConnectionOptions): string {
    this.#nonce = randomUUID();
    // The directories have lines of their own, since they may contain spaces.
    return `root ${mode} ${buildId} ${this.#container} ${epoch} ${Date.now()} ${this.#nonce}\n${roots.join('\n')}\n`;
  }

  /** Rejects only with what `onFrame` throws. */
  async perform<T>(text: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>> {
    if (this.isOver) return await this.over;
    const { promise, resolve, reject } = Promise.withResolvers<AgentAnswer<T>>();
    let handled = Promise.resolve();
    const handle = async (frame: Frame): Promise<void> => {
      try {
        const value = await onFrame(frame);
        if (value === undefined) return;
        resolve({ kind: 'answered', value });
      } catch (error) {
        reject(error);
      }
      this.#commands.delete(command);
    };
    const command: Command = { handle: (frame) => (handled = handle(frame)), cut: resolve };
    this.#commands.add(command);
    this.#send(text);
    try {
      return await promise;
    } finally {
      // The connection may end while a frame is handled.
      await handled;
    }
  }

  #send(text: string): void {
    this.#lastSignOfLife = performance.now();
    this.#session?.write(text).catch(() => {}); // `done` reports it
  }

  close(): void {
    this.#session?.close();
  }

  #end(cut: Cut): void {
    this.isOver = true;
    clearInterval(this.#silence);
    this.#over.resolve(cut);
    // Not by `over`, which would keep each command: a connection outlives its builds.
    for (const command of this.#commands) command.cut(cut);
    this.#commands.clear();
  }

  async #receive(chunk: Uint8Array): Promise<void> {
    this.#lastSignOfLife = performance.now();
    for (const frame of this.#decoder.push(chunk)) {
      this.#fault ??= this.#findFault(frame);
      if (this.#fault !== undefined) {
        this.#breach.abort();
        return;
      }
      // A frame before the agent is ready for the build does not answer the build's first command.
      const [command] = this.#commands;
      const isForged = frame.kind === 'swept' && frame.nonce !== this.#nonce;
      await command?.handle(isForged ? { ...frame, isClean: false } : frame);
      this.#received += 1;
      if (this.#received % FRAMES_A_TURN === 0) await yieldToEventLoop();
    }
    // A slow handler of frames is not a silent agent.
    this.#lastSignOfLife = performance.now();
  }

  #receiveStderr(chunk: Uint8Array): void {
    // A copy: a part of a chunk would keep all of it in memory.
    this.#stderr = Buffer.concat([this.#stderr, chunk.subarray(-MAX_STDERR_BYTES)]).subarray(-MAX_STDERR_BYTES);
  }

  /** Returns why this frame must end the connection; undefined if it is valid. */
  #findFault(frame: Frame): string | undefined {
    if (frame.kind === 'fault') return frame.message;
    this.#isReady ||= frame.kind === 'ready';
    if (!this.#isReady) return 'the agent sent a frame before it was ready';
    this.#unasked = this.#commands.size > 0 ? 0 : this.#unasked + 1;
    return this.#unasked >= MAX_UNASKED_FRAMES ? 'the agent goes on sending without a command' : undefined;
  }

  #toCut(end: ExecEnd): Cut {
    const container = `container "${this.#container}"`;
    if (this.#fault !== undefined) return { kind: 'cut', message: `${container}: ${this.#fault}`, isFinal: true };
    if (isShellMissing(end)) {
      const message = `${container} has no POSIX shell "sh": ${end.message}`;
      return { kind: 'cut', message, isFinal: true, isShellMissing: true };
    }
    // It may begin within a character.
    const stderr = Buffer.from(this.#stderr)
      .toString()
      .replace(/^\uFFFD+/, '')
      .trim();
    return { kind: 'cut', message: stderr === '' ? end.message : `${end.message}: ${stderr}`, isFinal: false };
  }
}

/** Exit codes by which a runtime reports that it found no such program. */
const NOT_FOUND_CODES: readonly (number | undefined)[] = [126, 127, 128];

/**
 * The runtime of the node restarts: what does not exist is the runtime's socket. It is gRPC's code for "try again".
 */
const OUT_OF_REACH = /code = Unavailable/;

function isShellMissing(end: ExecEnd): boolean {
  if (end.kind !== 'status') return false;
  if (NOT_FOUND_CODES.includes(end.exitCode)) return true;
  return /executable file not found|no such file or directory/i.test(end.message) && !OUT_OF_REACH.test(end.message);
}
