import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/**
 * A program in a container. Late callers lose nothing: the exit code is stored, and the output waits for a reader.
 */
export interface RunningProgram {
  /** Undefined if the program was started without stdin. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Resolves with the exit code, or 128 + signal if it was killed. Never rejects. Some output may still be unread
   * then.
   */
  readonly exited: Promise<number>;
}

/**
 * Keeps the output of a started child until it is read. Call it in the turn of the event loop that started the child:
 * a short program ends before its report is read, and Node then discards unread output (`flushStdio` in
 * lib/internal/child_process.js resumes the streams) unless there is a listener for `readable`.
 */
export function holdProgram(child: ChildProcess): RunningProgram {
  const [stdout, stderr] = [child.stdout as Readable, child.stderr as Readable];
  for (const stream of [stdout, stderr]) stream.on('readable', () => undefined);
  child.stdin?.on('error', () => undefined);
  return { stdin: child.stdin ?? undefined, stdout, stderr, exited: waitForExit(child) };
}

/** Resolves with the exit code: 128 + signal if it was killed, 128 if it could not be started. Never rejects. */
export function waitForExit(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(128));
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}
