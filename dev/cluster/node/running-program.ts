import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/** A program in a container. Nothing is lost by who comes late: its end is remembered, its output waits to be read. */
export interface RunningProgram {
  /** Undefined: it was started without. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** 128 + signal when it was killed. Never rejects. Output may still be unread then. */
  readonly exited: Promise<number>;
}

/**
 * Must be called in the turn of the event loop that started the child: a short program is over before its report is read. Node
 * then discards the output that nobody reads (`flushStdio` in lib/internal/child_process.js resumes the streams), unless
 * somebody listens for `readable`.
 */
export function holdProgram(child: ChildProcess): RunningProgram {
  const [stdout, stderr] = [child.stdout as Readable, child.stderr as Readable];
  for (const stream of [stdout, stderr]) stream.on('readable', () => undefined);
  child.stdin?.on('error', () => undefined);
  return { stdin: child.stdin ?? undefined, stdout, stderr, exited: waitForExit(child) };
}

/** Never rejects; 128 + signal when it was killed, 128 when it could not be started. */
export function waitForExit(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(128));
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}
