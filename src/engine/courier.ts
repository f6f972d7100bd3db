import type { ExecEnd, ExecSession, Workspace } from './cluster.ts';
import { createFrameReader, type Frame } from './frames.ts';
import { courierArgv, courierProgram } from './shell.ts';

/** c3's line into one container: an exec that is opened when needed, kept over the steps of a build, and opened anew after a cut. */
export interface Courier {
  /**
   * Sends one command and hands every frame to `onFrame` until that returns an answer. One command at a time. The promise of
   * `onFrame` is back-pressure. Never rejects.
   */
  perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<CourierAnswer<T>>;
  /** Opens the exec ahead of the first command. */
  warmUp(): void;
  /** Drops the connection; the next command opens another. */
  reset(): void;
  close(): void;
}

export type CourierAnswer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** The connection broke or never was; what the command did is unknown. `isFinal`: another try would end the same way. */
  | { readonly kind: 'cut'; readonly message: string; readonly isFinal: boolean };

export interface CourierOptions {
  /** What any other build left running in the container is killed when the courier arrives. */
  readonly buildId: string;
  /** Where the courier keeps its files: the first of the two directories that can be written. */
  readonly roots: readonly [string, string];
  /** No byte for so long while a command runs: the connection is dead. The courier speaks every ten seconds. */
  readonly silenceMs: number;
}

/** The end of what a container's shell said on standard error, for the message of a courier that died. */
const MAX_STDERR_BYTES = 512;

export function createCourier(workspace: Workspace, container: string, options: CourierOptions): Courier {
  let line: Promise<Line> | undefined;
  let isClosed = false;

  async function perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<CourierAnswer<T>> {
    if (isClosed) return { kind: 'cut', message: 'the connection was closed', isFinal: true };
    line ??= openLine(workspace, container, options);
    const opened = await line;
    const answer = await opened.perform(command, onFrame);
    if (answer.kind === 'cut') reset();
    return answer;
  }

  function reset(): void {
    void line?.then((opened) => opened.close());
    line = undefined;
  }

  return {
    perform,
    warmUp(): void {
      line ??= openLine(workspace, container, options);
    },
    reset,
    close(): void {
      isClosed = true;
      reset();
    },
  };
}

interface Line {
  perform<T>(
    command: string,
    onFrame: (frame: Frame) => T | undefined | Promise<T | undefined>,
  ): Promise<CourierAnswer<T>>;
  close(): void;
}

type Cut = Extract<CourierAnswer<never>, { kind: 'cut' }>;

async function openLine(workspace: Workspace, container: string, options: CourierOptions): Promise<Line> {
  const controller = new AbortController();
  const reader = createFrameReader();
  let stderr = '';
  let onFrame: ((frame: Frame) => Promise<void>) | undefined;
  let fault: string | undefined;
  let lastSignOfLife = Date.now();

  async function onStdout(chunk: Uint8Array): Promise<void> {
    lastSignOfLife = Date.now();
    for (const frame of reader.push(chunk)) {
      if (frame.kind === 'ready') continue;
      if (frame.kind === 'fault') {
        fault = frame.message;
        controller.abort();
        return;
      }
      await onFrame?.(frame);
    }
    lastSignOfLife = Date.now();
  }

  const answer = await workspace.exec(container, courierArgv, {
    signal: controller.signal,
    onStdout,
    onStderr: (chunk) => {
      stderr = (stderr + Buffer.from(chunk).toString('utf8')).slice(-MAX_STDERR_BYTES);
    },
  });
  if (answer.kind === 'refused')
    return deadLine({ kind: 'cut', message: answer.message, isFinal: !answer.isTransient });
  const { session } = answer;
  const over = session.done.then((end) => toCut(end, container, fault, stderr));
  session.write(`${courierProgram}root ${options.roots.join(' ')} ${options.buildId} ${container}\n`).catch(() => {}); // `done` tells

  return {
    async perform<T>(command: string, handle: (frame: Frame) => T | undefined | Promise<T | undefined>) {
      const silence = watchSilence(session, options.silenceMs, () => lastSignOfLife);
      lastSignOfLife = Date.now();
      const answered = new Promise<CourierAnswer<T>>((resolve) => {
        onFrame = async (frame): Promise<void> => {
          const value = await handle(frame);
          if (value !== undefined) resolve({ kind: 'answered', value });
        };
      });
      session.write(command).catch(() => {}); // `done` tells
      const outcome = await Promise.race([answered, over]);
      onFrame = undefined;
      clearInterval(silence);
      return outcome;
    },
    close: () => session.close(),
  };
}

function watchSilence(session: ExecSession, silenceMs: number, lastSignOfLife: () => number): NodeJS.Timeout {
  return setInterval(() => {
    if (Date.now() - lastSignOfLife() > silenceMs) session.close();
  }, silenceMs / 8).unref();
}

function deadLine(cut: Cut): Line {
  return { perform: () => Promise.resolve(cut), close: () => {} };
}

/** Exit codes with which a runtime says that it found no such program. */
const NOT_FOUND_CODES: readonly (number | undefined)[] = [126, 127, 128];

function toCut(end: ExecEnd, container: string, fault: string | undefined, stderr: string): Cut {
  if (fault !== undefined) return { kind: 'cut', message: `container "${container}": ${fault}`, isFinal: true };
  const isMissingShell =
    end.kind === 'status' &&
    (NOT_FOUND_CODES.includes(end.exitCode) ||
      /executable file not found|no such file or directory/i.test(end.message));
  if (isMissingShell) {
    return { kind: 'cut', message: `container "${container}" has no POSIX shell "sh": ${end.message}`, isFinal: true };
  }
  const words = stderr.trim() === '' ? end.message : `${end.message}: ${stderr.trim()}`;
  return { kind: 'cut', message: words, isFinal: false };
}
