import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExecEnd, ExecSession, Workspace } from '../engine/cluster.ts';
import { createFrameDecoder, type Frame } from './frames.ts';
import { agentArgv, agentProgram } from './shell.ts';

export type AgentAnswer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** The connection broke or never was; what the command did is unknown. `isFinal`: another try would end the same way. */
  | {
      readonly kind: 'cut';
      readonly message: string;
      readonly isFinal: boolean;
      /** The container has no `sh`: nothing of c3's can run in it. */
      readonly isShellMissing?: boolean;
      /** The cluster would not connect: perhaps since the container has ended, of which it may tell in a moment. */
      readonly isRefused?: boolean;
    };

export interface ConnectionOptions {
  /** What any other build left running in the container is killed when the agent arrives. */
  readonly buildId: string;
  /** `Workspace.epoch`: an agent that comes with a smaller one than was seen in the container is refused. */
  readonly epoch: number;
  /** Opened only to read logs: it takes the workspace from nobody. */
  readonly isReader?: boolean;
  /** Where the agent keeps its files: the first of the two directories that can be written. */
  readonly roots: readonly [string, string];
  /** No byte for so long while a command runs: the connection is dead. The agent speaks every ten seconds. */
  readonly silenceMs: number;
}

/** The end of what a container's shell said on standard error, for the message of an agent that died. */
const MAX_STDERR_BYTES = 512;

/** What may come while nothing is asked: the rest of an answer that was not waited for. */
const MAX_UNASKED_FRAMES = 1000;

/** Then everybody else has a turn of the event loop: four mebibytes, which come at once, may hold two million frames. */
const FRAMES_A_TURN = 64;

/** A line that another build left open, and that does not answer by then, is not worth waiting for: a new one takes less. */
const ANSWER_MS = 2000;

/** One connection into one container, with an agent at its far end. One command at a time. */
export interface AgentConnection {
  /** Whether the connection has ended. */
  readonly isOver: boolean;
  /** Settles when it ends. */
  readonly over: Promise<Cut>;
  /** Gives an open line to another build; tells whether the agent answered. */
  begin(build: { readonly buildId: string; readonly epoch: number }): Promise<boolean>;
  /** When c3 first came here with the build the line serves. */
  readonly ready: Promise<AgentAnswer<{ begunAtMs: number }>>;
  perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>>;
  close(): void;
}

export type Cut = Extract<AgentAnswer<never>, { kind: 'cut' }>;

/** Opens an exec and starts the agent in it. A line that could not be opened is over, and answers every command with why. */
export async function openConnection(
  workspace: Pick<Workspace, 'exec'>,
  container: string,
  options: ConnectionOptions,
): Promise<AgentConnection> {
  const ear = createEar();
  const answer = await workspace.exec(container, agentArgv, {
    signal: ear.signal,
    onStdout: ear.hear,
    onStderr: ear.overhear,
  });
  if (answer.kind === 'refused') {
    return deadConnection({ kind: 'cut', message: answer.message, isFinal: !answer.isTransient, isRefused: true });
  }
  const { session } = answer;
  const over = session.done.then((end) => toCut(end, container, ear));
  let isOver = false;
  /** Those who wait for an answer. `over` itself would keep all who ever did: a line outlives its builds. */
  const waiting = new Set<(cut: Cut) => void>();
  void over.then((cut) => {
    isOver = true;
    for (const tell of waiting) tell(cut);
  });
  function send(text: string): void {
    session.write(text).catch(() => {}); // `done` tells
  }
  function toArrival({ buildId, epoch }: { buildId: string; epoch: number }): string {
    const verb = options.isReader === true ? 'look' : 'root';
    return `${verb} ${options.roots.join(' ')} ${buildId} ${container} ${epoch} ${Date.now()}\n`;
  }

  async function perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>> {
    if (isOver) return await over;
    const silence = watchSilence(session, options.silenceMs, ear);
    const { promise, resolve } = Promise.withResolvers<AgentAnswer<T>>();
    waiting.add(resolve);
    void ear.listen(onFrame).then((value) => resolve({ kind: 'answered', value }));
    send(command);
    const outcome = await promise;
    waiting.delete(resolve);
    ear.ignore();
    clearInterval(silence);
    return outcome;
  }

  send(`${agentProgram}${toArrival(options)}`);
  // One that never says that it is there is not waited for.
  const silence = watchSilence(session, options.silenceMs, ear);
  let ready = Promise.race([ear.ready(), over]);
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
      const late = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => late.resolve(undefined), ANSWER_MS);
      ready = perform(toArrival(build), (frame) => (frame.kind === 'ready' ? frame : undefined));
      const answer = await Promise.race([ready, late.promise]);
      clearTimeout(timer);
      return answer?.kind === 'answered';
    },
    close: () => session.close(),
  };
}

type OnFrame<T> = (frame: Frame) => T | undefined | Promise<T | undefined>;

/** What comes back over a line: frames for whoever listens, and the words of whatever went wrong. */
interface Ear {
  /** Aborted when the agent speaks no sense. */
  readonly signal: AbortSignal;
  readonly fault: string | undefined;
  readonly stderr: string;
  /** Milliseconds, monotonic. */
  readonly lastSignOfLife: number;
  hear(chunk: Uint8Array): Promise<void>;
  overhear(chunk: Uint8Array): void;
  /** Resolves with the agent's first word. */
  ready(): Promise<AgentAnswer<{ begunAtMs: number }>>;
  /** Resolves with the first answer that is not undefined. */
  listen<T>(onFrame: OnFrame<T>): Promise<T>;
  ignore(): void;
}

function createEar(): Ear {
  const controller = new AbortController();
  const reader = createFrameDecoder();
  const ready = Promise.withResolvers<AgentAnswer<{ begunAtMs: number }>>();
  let onFrame: ((frame: Frame) => Promise<void> | void) | undefined;
  let fault: string | undefined;
  let stderr: Uint8Array = new Uint8Array(0);
  let lastSignOfLife = performance.now();
  const findFault = createJudge();
  let heard = 0;

  return {
    signal: controller.signal,
    get fault() {
      return fault;
    },
    get stderr() {
      // The cut may have gone through a character.
      return Buffer.from(stderr)
        .toString('utf8')
        .replace(/^\uFFFD+/, '');
    },
    get lastSignOfLife() {
      return lastSignOfLife;
    },
    async hear(chunk): Promise<void> {
      lastSignOfLife = performance.now();
      for (const frame of reader.push(chunk)) {
        fault ??= findFault(frame, onFrame !== undefined);
        if (fault !== undefined) {
          controller.abort();
          return;
        }
        if (frame.kind === 'ready') ready.resolve({ kind: 'answered', value: frame });
        const taken = onFrame?.(frame);
        if (taken) await taken;
        heard += 1;
        if (heard % FRAMES_A_TURN === 0) await nextTurn();
      }
      // Whoever took the frames may have taken their time: that is not the agent's silence.
      lastSignOfLife = performance.now();
    },
    overhear(chunk): void {
      // A copy: a part of a chunk would keep all of it.
      stderr = Buffer.concat([stderr, chunk.subarray(-MAX_STDERR_BYTES)]).subarray(-MAX_STDERR_BYTES);
    },
    ready: () => ready.promise,
    listen<T>(handle: OnFrame<T>) {
      lastSignOfLife = performance.now();
      return new Promise((resolve: (value: T) => void) => {
        function take(value: T | undefined): void {
          if (value === undefined) return;
          onFrame = undefined;
          resolve(value);
        }
        onFrame = (frame): Promise<void> | void => {
          const value = handle(frame);
          if (!(value instanceof Promise)) return take(value);
          return value.then(take);
        };
      });
    },
    ignore(): void {
      onFrame = undefined;
    },
  };
}

/** Tells of each frame in turn why the line ends with it, if it does. */
function createJudge(): (frame: Frame, isAsked: boolean) => string | undefined {
  let isThere = false;
  let unasked = 0;
  return (frame, isAsked) => {
    if (frame.kind === 'fault') return frame.message;
    isThere ||= frame.kind === 'ready';
    if (!isThere) return 'the agent spoke before it said that it is there';
    unasked = isAsked ? 0 : unasked + 1;
    return unasked > MAX_UNASKED_FRAMES ? 'the agent goes on though nothing is asked' : undefined;
  };
}

function watchSilence(session: ExecSession, silenceMs: number, ear: Ear): NodeJS.Timeout {
  return setInterval(() => {
    if (performance.now() - ear.lastSignOfLife > silenceMs) session.close();
  }, silenceMs / 8).unref();
}

function deadConnection(cut: Cut): AgentConnection {
  return {
    isOver: true,
    over: Promise.resolve(cut),
    ready: Promise.resolve(cut),
    begin: () => Promise.resolve(false),
    perform: () => Promise.resolve(cut),
    close: () => {},
  };
}

/** Exit codes with which a runtime says that it found no such program. */
const NOT_FOUND_CODES: readonly (number | undefined)[] = [126, 127, 128];

/** A node whose runtime restarts: what is not there is the runtime's socket. gRPC's word for "try again". */
const OUT_OF_REACH = /code = Unavailable/;

function toCut(end: ExecEnd, container: string, { fault, stderr }: Ear): Cut {
  if (fault !== undefined) return { kind: 'cut', message: `container "${container}": ${fault}`, isFinal: true };
  const isMissingShell =
    end.kind === 'status' &&
    (NOT_FOUND_CODES.includes(end.exitCode) ||
      (/executable file not found|no such file or directory/i.test(end.message) && !OUT_OF_REACH.test(end.message)));
  if (isMissingShell) {
    return {
      kind: 'cut',
      message: `container "${container}" has no POSIX shell "sh": ${end.message}`,
      isFinal: true,
      isShellMissing: true,
    };
  }
  const words = stderr.trim() === '' ? end.message : `${end.message}: ${stderr.trim()}`;
  return { kind: 'cut', message: words, isFinal: false };
}
