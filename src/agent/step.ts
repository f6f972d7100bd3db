import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { untilAborted } from '../limiter.ts';
import type { Cut } from './connection.ts';
import { MAX_END_BYTES, type ExitNote, type Frame } from './frames.ts';
import { CHECKOUT, formatExports } from './shell.ts';
import type { StepAgent } from './step-agent.ts';

/**
 * One step. It is launched at most once, whatever happens to the connection: its supervisor in the container claims
 * it, keeps its time limit, and writes the exit code into a file (shell/step.sh). c3 only waits for that file. So a
 * cut costs a reconnect, another c3 can take over at any moment, and an exec that reports "Success" never makes a
 * step pass (decisions/001).
 */
export interface StepLaunch {
  readonly buildId: string;
  /** Unique within the build, `[a-z0-9-]+`. */
  readonly stepId: string;
  /**
   * Where the step starts. The agent makes it if it does not exist. If it cannot, the step fails with exit code 126.
   */
  readonly workdir: string;
  /** Lets the step start in the container's own directory instead. Default: false. */
  readonly mayStartElsewhere?: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Run by `sh -e`. */
  readonly script: string | typeof CHECKOUT;
  readonly timeoutMs: number;
  /**
   * What the supervisor writes when the step has passed. Every c3 that leads the build makes the same one
   * (`createMacs`).
   */
  readonly proof: string;
  /** Commands that are sent before it each time, for the journal. */
  readonly notes?: string;
}

export type StepResult =
  /** `isOutOfMemory`: while it ran, the kernel killed a process of its container for memory. */
  | { readonly kind: 'exited'; readonly exitCode: number; readonly isOutOfMemory?: boolean }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'cancelled' }
  /** It wrote more than the supervisor allows (2 GiB), which ended it. */
  | { readonly kind: 'log-limit' }
  /** Nothing ran: the container has no `sh`. `runPlainStep` can still run a list command. */
  | { readonly kind: 'no-shell'; readonly message: string }
  /** It cannot be known how the step ended. This is never a success. */
  | { readonly kind: 'lost'; readonly message: string };

/** The end of a step's log, raw. */
export interface LogEnd {
  /** The size of the whole log, in bytes. */
  readonly size: number;
  /** The last bytes of it: all of a small log, else at least 8 KiB and {@link MASK_REACH_BYTES} more. */
  readonly bytes: Uint8Array;
}

export interface StepOptions {
  /** Aborted: the step is cancelled, with everything it started. */
  readonly signal: AbortSignal;
  /** Settles when the workspace is lost. */
  readonly lost: Promise<string>;
  /** Called with each newer end of the log: at most once a second while the step runs, and once when it has ended. */
  onLog?(end: LogEnd): void;
  /** Opens another connection into the container, for a cancel. */
  openAgent(): StepAgent;
  readonly limits: StepLimits;
}

export interface StepLimits {
  /** How long the container may be unreachable before the step counts as lost. */
  readonly outOfReachMs: number;
  /** The first pause before a new connection; doubles up to 5 s. */
  readonly reconnectMs: number;
  /** The time between TERM and KILL for a step that must end, in whole seconds. */
  readonly graceSeconds: number;
  /**
   * After its time limit or a cancel, a step must report its end within this time: the grace period and a reconnect.
   */
  readonly answerMs: number;
}

export const DEFAULT_STEP_LIMITS: StepLimits = {
  outOfReachMs: 300_000,
  reconnectMs: 100,
  graceSeconds: 10,
  answerMs: 40_000,
};

const MAX_RECONNECT_MS = 5000;

/** The limit of attempts to send a launch. */
const MAX_LAUNCHES = 5;

/** Runs a step. All ways in which a step can end are in this race. */
export async function runStep(agent: StepAgent, launch: StepLaunch, options: StepOptions): Promise<StepResult> {
  const over = new AbortController();
  let isAnswered = false;
  const ended = awaitEnd(agent, launch, { ...options, over: over.signal }).finally(() => {
    isAnswered = true;
  });
  // The supervisor keeps the time limit. When it does not report, the step is lost.
  const lateMs = launch.timeoutMs + options.limits.answerMs;
  try {
    return await Promise.race([
      ended,
      options.lost.then(lost),
      sleep(lateMs, lost('it did not end at its time limit'), { signal: over.signal, ref: false }),
      cancelled(launch, options, over.signal),
    ]);
  } finally {
    over.abort();
    // When another ending won, the connection still waits for this step.
    if (!isAnswered) agent.reset();
  }
}

export function lost(message: string): StepResult {
  return { kind: 'lost', message };
}

/** Launches the step and waits for its end. Opens another connection whenever one breaks. */
async function awaitEnd(agent: StepAgent, launch: StepLaunch, options: AwaitOptions): Promise<StepResult> {
  const { limits, over } = options;
  const progress: Progress = { isStarted: false, lastContact: performance.now(), end: NOTHING };
  let launches = 0;
  let pauseMs = limits.reconnectMs;

  while (!over.aborted) {
    // A step that is cancelled before its launch is not launched, only waited for. If it never started, the cancel
    // claims it. The cancel is sent each time: a c3 that has lost the Pod may have held the claim at the first one,
    // and withdrawn it since.
    const isCancelled = options.signal.aborted;
    let command = `${isCancelled ? formatCancel(launch) : ''}wait ${launch.buildId} ${launch.stepId}\n`;
    if (!progress.isStarted && !isCancelled) {
      launches += 1;
      command = formatLaunch(launch, limits.graceSeconds);
    }
    const begunAt = performance.now();
    progress.end = NOTHING;
    const answer = await agent.perform(command, (frame) => {
      progress.lastContact = performance.now();
      return handleFrame(frame, progress, launch.proof, options);
    });
    if (answer.kind === 'answered' && answer.value !== 'never-started') return answer.value;
    const { message, isFinal, isShellMissing }: Omit<Cut, 'kind'> =
      answer.kind === 'cut' ? answer : { message: 'it did not start', isFinal: launches >= MAX_LAUNCHES };
    if (isShellMissing === true) return { kind: 'no-shell', message };
    if (isFinal) return lost(message);
    if (performance.now() - progress.lastContact > limits.outOfReachMs) {
      return lost(`its container was out of reach for ${Math.round(limits.outOfReachMs / 1000)} s: ${message}`);
    }
    // A connection that breaks early is not opened again and again without a longer pause.
    if (performance.now() - begunAt > MAX_RECONNECT_MS) pauseMs = limits.reconnectMs;
    await sleep(pauseMs, undefined, { signal: over, ref: false }).catch(() => {}); // the loop checks `over`
    pauseMs = Math.min(pauseMs * 2, MAX_RECONNECT_MS);
  }
  return lost('c3 has stopped waiting for it');
}

type AwaitOptions = StepOptions & { readonly over: AbortSignal };

/** The state of the wait for a step. */
interface Progress {
  /** The step runs or has run, so it is not launched any more. */
  isStarted: boolean;
  /** Milliseconds, monotonic. */
  lastContact: number;
  /** The bytes of the log that came since the last heartbeat. */
  end: Buffer;
}

const NOTHING = Buffer.alloc(0);

function handleFrame(
  frame: Frame,
  progress: Progress,
  proof: string,
  { onLog, over }: AwaitOptions,
): StepResult | 'never-started' | undefined {
  function reportLog(size: number): void {
    if (!over.aborted && (size === 0 || progress.end.length > 0)) onLog?.({ size, bytes: progress.end });
    progress.end = NOTHING;
  }
  switch (frame.kind) {
    case 'data':
      progress.isStarted = true;
      // The image's own `sh` may answer instead of the agent (A12).
      if (progress.end.length + frame.bytes.length > MAX_END_BYTES)
        return lost('its container sends a log that c3 did not request');
      progress.end = Buffer.concat([progress.end, frame.bytes]);
      return undefined;
    case 'heartbeat':
      progress.isStarted = true;
      reportLog(frame.size);
      return undefined;
    case 'exit':
      reportLog(frame.offset);
      return toProvenResult(frame, proof);
    case 'lost':
      return frame;
    case 'never-started':
      // A step that ran and left no trace must not run again.
      return progress.isStarted ? lost('its files in the container were removed') : 'never-started';
    default:
      return undefined;
  }
}

/**
 * Converts what a step's exit file says. Checks the proof of a success: every container that shares the directory can
 * write the file, but only the supervisor has the proof.
 */
export function toProvenResult(exit: ExitNote, proof: string): StepResult {
  const { exitCode, why } = exit;
  if (why === 'exited' && exitCode === 0 && exit.proof !== proof)
    return lost('its exit file says that it passed, but its supervisor did not write that');
  if (why === 'exited') return { kind: 'exited', exitCode };
  return why === 'out-of-memory' ? { kind: 'exited', exitCode, isOutOfMemory: true } : { kind: why };
}

/** Makes the supervisor end the step once it is cancelled. `awaitEnd` reports how it ended. */
async function cancelled(launch: StepLaunch, options: StepOptions, over: AbortSignal): Promise<StepResult> {
  const { limits, signal, openAgent } = options;
  await whenAborted(signal, over);
  over.throwIfAborted();
  const agent = openAgent();
  over.addEventListener('abort', () => agent.close(), { once: true });
  void sendCancel(agent, launch, limits.reconnectMs, over);
  return await sleep(limits.answerMs, lost('it was cancelled and did not report that it ended'), {
    signal: over,
    ref: false,
  });
}

/** Sends a cancel until it is noted. */
async function sendCancel(agent: StepAgent, launch: StepLaunch, pauseMs: number, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    const answer = await agent.perform(formatCancel(launch), ({ kind }) =>
      kind === 'cancel-noted' ? true : undefined,
    );
    if (answer.kind === 'answered') return;
    await sleep(pauseMs, undefined, { ref: false });
  }
}

/** Resolves when one of the signals is aborted. */
export async function whenAborted(...signals: AbortSignal[]): Promise<void> {
  await untilAborted(new Promise(() => {}), AbortSignal.any(signals));
}

function formatCancel({ buildId, stepId }: StepLaunch): string {
  return `cancel ${buildId} ${stepId}\n`;
}

function formatLaunch(launch: StepLaunch, graceSeconds: number): string {
  const mark = `#c3-${randomBytes(12).toString('hex')}`;
  const seconds = Math.max(1, Math.ceil(launch.timeoutMs / 1000));
  const place = launch.mayStartElsewhere === true ? 'may' : 'must';
  const [kind, script] = launch.script === CHECKOUT ? ['checkout', ''] : ['script', launch.script];
  return [
    launch.notes ?? '',
    `run ${launch.buildId} ${launch.stepId} ${seconds} ${graceSeconds} ${launch.proof} ${mark} ${place} ${kind}\n`,
    `${launch.workdir}\n`,
    formatExports(launch.env),
    `${mark}\n`,
    script.endsWith('\n') ? script : `${script}\n`,
    `${mark}\n`,
  ].join('');
}
