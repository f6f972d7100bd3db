import type { Ending, StepPhase } from '../build/index.ts';
import type { StepResult } from '../agent/index.ts';
import { COMMIT_FAULT, NEEDS_FETCH } from './checkout.ts';
import type { Task } from './tasks.ts';

/** What the result of a step means for the build. */
export type Verdict =
  | { readonly kind: 'passed' }
  /**
   * The step itself failed: it may be tried again, its failure may be allowed, and steps for that case may follow.
   */
  | { readonly kind: 'failed'; readonly ending: Ending }
  /** Nothing else of this part of the build runs. */
  | { readonly kind: 'stopped'; readonly ending: Ending };

/** A part of a build: its steps, or its `finally`. */
export interface Part {
  /** Milliseconds, monotonic. */
  readonly deadline: number;
  /** The name of the limit that is reached then: "the time limit of the build". */
  readonly limit: string;
  /** Aborting cancels the tasks of this part that run. */
  readonly signal: AbortSignal;
}

/** The shortest time limit that a supervisor keeps. */
const MIN_TIMEOUT_MS = 1000;

/** The time limit of an attempt. */
export interface AttemptLimit {
  readonly timeoutMs: number;
  /** It is the time that the part of the build has left. The clocks may differ, so the attempt can end a moment earlier. */
  readonly isOfPart: boolean;
}

/** @param isResumed the attempt may have begun earlier, so that its own limit is reached before that of the part */
export function toAttemptLimit(
  { timeoutMs }: Pick<Task, 'timeoutMs'>,
  partMs: number,
  isResumed: boolean,
): AttemptLimit {
  const leftMs = Math.max(MIN_TIMEOUT_MS, partMs);
  if (timeoutMs === undefined) return { timeoutMs: leftMs, isOfPart: true };
  return { timeoutMs: Math.min(leftMs, timeoutMs), isOfPart: !isResumed && leftMs <= timeoutMs };
}

export interface Circumstances extends Pick<Part, 'limit' | 'signal'>, Pick<AttemptLimit, 'isOfPart'> {
  /** The end of its output. */
  readonly tail: string;
  /** Whether its part of the build has no time left. */
  readonly isPastLimit: boolean;
}

export function toVerdict(task: Task, result: StepResult, circumstances: Circumstances): Verdict {
  const { name } = task;
  const { isPastLimit, isOfPart, limit, signal } = circumstances;
  switch (result.kind) {
    case 'exited':
      if (result.exitCode === 0) return { kind: 'passed' };
      if (task.kind !== 'checkout') return fail(name, formatExit(result));
      if (result.exitCode === COMMIT_FAULT) {
        const message = findReason(circumstances.tail).replace(/^c3: /, '');
        return { kind: 'stopped', ending: { kind: 'failed', step: name, message } };
      }
      return {
        kind: result.exitCode === NEEDS_FETCH ? 'failed' : 'stopped',
        ending: toCheckoutEnding(task, result.exitCode, circumstances.tail),
      };
    case 'log-limit':
      return fail(name, 'ended because it wrote more than 2 GiB of output');
    case 'no-shell':
      return fail(name, `${result.message}; a command given as a list, ["program", "argument"], needs none`);
    case 'timed-out': {
      const isPart = isOfPart || isPastLimit;
      const message = `Step "${name}" was ended at ${isPart ? limit : 'its time limit'}`;
      return { kind: isPart ? 'stopped' : 'failed', ending: { kind: 'timed-out', message } };
    }
    case 'cancelled':
      if (isPastLimit && !signal.aborted) return { kind: 'stopped', ending: toLimitEnding(name, limit) };
      return { kind: 'stopped', ending: toCancelEnding(signal, `during step "${name}"`) };
    case 'lost': {
      const message = `Step "${name}" could not be followed to its end: ${result.message}`;
      return { kind: 'stopped', ending: { kind: 'infrastructure-error', message } };
    }
  }
}

/** Makes the ending of a build that has no time left for a step. */
export function toLimitEnding(name: string, limit: string): Ending {
  return { kind: 'timed-out', message: `Step "${name}" was not begun: ${limit} was reached` };
}

function fail(step: string, message: string): Verdict {
  return { kind: 'failed', ending: { kind: 'failed', step, message } };
}

function toCheckoutEnding({ container, env }: Task, exitCode: number, tail: string): Ending {
  const what = `Checking out ${env['C3_SHA']?.slice(0, 7)} in container "${container}" failed`;
  return { kind: 'infrastructure-error', message: `${what}: ${findReason(tail) || `exit code ${exitCode}`}` };
}

/** Git's first complaint is the reason; what follows is advice. */
function findReason(tail: string): string {
  const lines = tail.trim().split('\n');
  return lines.find((line) => /^(?:fatal|error|c3): /.test(line)) ?? lines.at(-1) ?? '';
}

function formatExit({ exitCode, isOutOfMemory }: Extract<StepResult, { kind: 'exited' }>): string {
  if (isOutOfMemory) {
    return `exit code ${exitCode} (its container was out of memory, and the kernel killed a process there)`;
  }
  if (exitCode === 127) return 'exit code 127 (a command was not found)';
  if (exitCode === 126) return 'exit code 126 (a command cannot be run)';
  if (exitCode === 137) return 'exit code 137 (killed, often for memory)';
  return exitCode > 128 && exitCode < 160
    ? `exit code ${exitCode} (signal ${exitCode - 128})`
    : `exit code ${exitCode}`;
}

/** Converts a result to what people see. */
export function toPhase(result: StepResult): StepPhase {
  switch (result.kind) {
    case 'exited':
      return result.exitCode === 0 ? { kind: 'passed' } : { kind: 'failed', exitCode: result.exitCode };
    case 'log-limit':
      return { kind: 'failed', exitCode: 137 };
    case 'no-shell':
      return { kind: 'failed', exitCode: undefined };
    case 'timed-out':
    case 'cancelled':
    case 'lost':
      return result;
  }
}

/** The abort reason of a build that a newer build of its ref replaces. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  /** @param sha of the newer commit */
  constructor(sha: string) {
    super(`superseded by ${sha.slice(0, 7)}`);
  }
}

/** The abort reason of a build that somebody cancels. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';

  /** @param by "somebody with the control link" */
  constructor(by: string) {
    super(`cancelled by ${by}`);
  }
}

/** @param when `during step "test"`, `before its first step` */
export function toCancelEnding(signal: AbortSignal, when: string): Ending {
  const reason: unknown = signal.reason;
  if (reason instanceof Superseded) return { kind: 'superseded', message: `The build was ${reason.message} ${when}` };
  const words = reason instanceof Cancelled ? reason.message : 'cancelled';
  return { kind: 'cancelled', message: `The build was ${words} ${when}` };
}
