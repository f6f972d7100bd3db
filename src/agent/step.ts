import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_END_BYTES, type ExitNote, type Frame } from './frames.ts';
import { formatExports } from './shell.ts';
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
  readonly script: string;
  readonly timeoutMs: number;
  /**
   * What the supervisor writes when the step has passed. Every c3 that leads the build makes the same one
   * (`createStepProofs`).
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
  /** Opens another connection into the container, for a cancel. The caller closes it. */
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
  try {
    return await Promise.race([
      ended,
      options.lost.then(lost),
      pastDeadline(launch, options, over.signal),
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
    const isCancelledEarly = !progress.isStarted && options.signal.aborted;
    const isLaunch = !progress.isStarted && !isCancelledEarly;
    if (isLaunch) launches += 1;
    const command = isLaunch
      ? formatLaunch(launch, limits.graceSeconds)
      : `${isCancelledEarly ? formatCancel(launch) : ''}wait ${launch.buildId} ${launch.stepId}\n`;
    const begunAt = performance.now();
    progress.end = NOTHING;
    const answer = await agent.perform(command, (frame) => {
      progress.lastContact = performance.now();
      return handleFrame(frame, progress, launch.proof, options);
    });
    if (answer.kind === 'answered' && answer.value !== 'never-started') return answer.value;
    const message = answer.kind === 'cut' ? answer.message : 'it did not start';
    if (answer.kind === 'cut' && answer.isShellMissing) return { kind: 'no-shell', message };
    if (answer.kind === 'cut' ? answer.isFinal : launches >= MAX_LAUNCHES) return lost(message);
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
 * Checks the proof of a success: every container that shares the directory can write the file, but only the
 * supervisor has the proof.
 */
function toProvenResult(exit: ExitNote, proof: string): StepResult {
  if (exit.why !== 'exited' || exit.exitCode !== 0 || exit.proof === proof) return toResult(exit);
  return lost('its exit file says that it passed, but its supervisor did not write that');
}

/** Converts what a step's exit file says. */
export function toResult({ exitCode, why }: Omit<ExitNote, 'proof'>): StepResult {
  if (why === 'exited') return { kind: 'exited', exitCode };
  return why === 'out-of-memory' ? { kind: 'exited', exitCode, isOutOfMemory: true } : { kind: why };
}

/** The supervisor keeps the time limit. When it does not report, the step is lost. */
async function pastDeadline(launch: StepLaunch, options: StepOptions, over: AbortSignal): Promise<StepResult> {
  await delay(launch.timeoutMs + options.limits.answerMs, over);
  return lost('it did not end at its time limit');
}

/** Sends a cancel to the supervisor, which then ends the step. `awaitEnd` reports how. */
async function cancelled(launch: StepLaunch, options: StepOptions, over: AbortSignal): Promise<StepResult> {
  await whenAborted(options.signal, over);
  const agent = options.openAgent();
  over.addEventListener('abort', () => agent.close(), { once: true });
  void sendCancel(agent, launch, options.limits.reconnectMs, over);
  await delay(options.limits.answerMs, over);
  return lost('it was cancelled and did not report that it ended');
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

/** Resolves when `signal` is aborted; never once `over` is. */
export async function whenAborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<unknown>();
  signal.addEventListener('abort', aborted.resolve, { once: true });
  // Not by the option `signal`: Node keeps the last such listener, and may forget to remove the others.
  over.addEventListener('abort', () => signal.removeEventListener('abort', aborted.resolve), { once: true });
  await aborted.promise;
}

/** Resolves after `ms`; never once `over` is aborted. Splits a long delay into pieces that a timer can hold. */
export async function delay(ms: number, over: AbortSignal): Promise<void> {
  const MAX_TIMER_MS = 2 ** 31 - 1;
  for (let left = ms; left > 0; left -= MAX_TIMER_MS) {
    try {
      await sleep(Math.min(left, MAX_TIMER_MS), undefined, { signal: over, ref: false });
    } catch {
      await new Promise(() => {});
    }
  }
}

function formatCancel({ buildId, stepId }: StepLaunch): string {
  return `cancel ${buildId} ${stepId}\n`;
}

function formatLaunch(launch: StepLaunch, graceSeconds: number): string {
  const mark = `#c3-${randomBytes(12).toString('hex')}`;
  const seconds = Math.max(1, Math.ceil(launch.timeoutMs / 1000));
  const place = launch.mayStartElsewhere === true ? 'may' : 'must';
  return [
    launch.notes ?? '',
    `run ${launch.buildId} ${launch.stepId} ${seconds} ${graceSeconds} ${launch.proof} ${mark} ${place}\n`,
    `${launch.workdir}\n`,
    formatExports(launch.env),
    `${mark}\n`,
    launch.script.endsWith('\n') ? launch.script : `${launch.script}\n`,
    `${mark}\n`,
  ].join('');
}
