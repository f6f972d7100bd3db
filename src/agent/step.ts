import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StepAgent } from './step-agent.ts';
import type { ExitReason, Frame } from './frames.ts';
import { formatExports } from './shell.ts';

/**
 * The story of a step. It is launched at most once, whatever happens to the connection: its supervisor in the container claims
 * it, keeps its time limit, and leaves the exit code in a file (shell/step.sh). c3 only follows the log by offset and reads that
 * file; so a cut costs a reconnect, another c3 can take over at any moment, and an exec that says "Success" is never taken for a
 * step that passed (decisions/001).
 */
export interface StepLaunch {
  readonly buildId: string;
  /** Unique within the build, `[a-z0-9-]+`. */
  readonly stepId: string;
  /** Where it starts; made if it is not there. Where that cannot be, it fails with 126. */
  readonly workdir: string;
  /** Then it starts where the container does. Default: false. */
  readonly mayStartElsewhere?: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Run by `sh -e`. */
  readonly script: string;
  readonly timeoutMs: number;
  /** What its supervisor is told, and notes when it has passed; every c3 that leads the build makes the same (`createStepProofs`). */
  readonly proof: string;
  /** Commands for the agent that go before it each time it is sent: the journal's. */
  readonly notes?: string;
}

export type StepResult =
  /** `isOutOfMemory`: while it ran, the kernel killed a process of its container for memory. */
  | { readonly kind: 'exited'; readonly exitCode: number; readonly isOutOfMemory?: boolean }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'cancelled' }
  /** It wrote more than the supervisor allows (2 GiB) and was ended for it. */
  | { readonly kind: 'log-limit' }
  /** Nothing ran: the container has no `sh`. A list command can still run, by `runPlainStep`. */
  | { readonly kind: 'no-shell'; readonly message: string }
  /** How it ended cannot be known: never a success. */
  | { readonly kind: 'lost'; readonly message: string };

export interface StepOptions {
  /** Aborted: the step is cancelled, with everything it started. */
  readonly signal: AbortSignal;
  /** Settles when the workspace is lost. */
  readonly lost: Promise<string>;
  /** The log, exactly once, in order. The promise slows the reading, never the step. */
  onOutput(bytes: Uint8Array): Promise<void> | void;
  /** So many bytes of a huge log are left out here: what came before is its head, what comes next is nearer its end. */
  onCut(bytes: number): void;
  /** A second line into the container, for cancelling. The caller closes it. */
  openAgent(): StepAgent;
  readonly limits: StepLimits;
}

export interface StepLimits {
  /** How long the container may be out of reach before the step counts as lost. */
  readonly outOfReachMs: number;
  /** First pause before a new connection; doubles up to 5 s. */
  readonly reconnectMs: number;
  /** What a step that is ended gets between TERM and KILL, in whole seconds. */
  readonly graceSeconds: number;
  /** How long after its time limit, or a cancel, a step may take to say so: the grace and a reconnect. */
  readonly answerMs: number;
}

export const DEFAULT_STEP_LIMITS: StepLimits = {
  outOfReachMs: 300_000,
  reconnectMs: 100,
  graceSeconds: 10,
  answerMs: 40_000,
};

const MAX_RECONNECT_MS = 5000;

/**
 * So much of a log is taken: what the supervisor allows, 2 GiB, and what may be written until it has ended the step for it. It is for
 * a container in which no supervisor of ours is.
 */
const MAX_TAKEN_BYTES = 2.5 * 1024 * 1024 * 1024;

/** A launch that never arrived is sent again so often. */
const MAX_LAUNCHES = 5;

/** Every way a step can end is in this one race. */
export async function runStep(agent: StepAgent, launch: StepLaunch, options: StepOptions): Promise<StepResult> {
  const over = new AbortController();
  const output = createOutput(options, over.signal);
  let isFollowed = false;
  const followed = follow(agent, launch, { ...options, output, over: over.signal }).finally(() => {
    isFollowed = true;
  });
  try {
    return await Promise.race([
      followed,
      options.lost.then((message): StepResult => ({ kind: 'lost', message })),
      pastDeadline(launch, options, over.signal),
      cancelled(launch, options, { over: over.signal, excess: output.excess }),
    ]);
  } finally {
    over.abort();
    // Where another ending won, the line is still following this step.
    if (!isFollowed) agent.reset();
  }
}

/** What has arrived of a step's log, on its way to whoever wants it. */
interface Output {
  take(bytes: Uint8Array): Promise<void> | void;
  leaveOut(bytes: number): void;
  /** Aborted: it was too much. No more of it goes on, and the step is to end. */
  readonly excess: AbortSignal;
}

function createOutput({ onOutput, onCut }: StepOptions, over: AbortSignal): Output {
  const excess = new AbortController();
  let taken = 0;
  return {
    excess: excess.signal,
    take(bytes) {
      taken += bytes.length;
      if (taken > MAX_TAKEN_BYTES) excess.abort();
      return over.aborted || excess.signal.aborted ? undefined : onOutput(bytes);
    },
    leaveOut(bytes): void {
      if (!over.aborted && !excess.signal.aborted) onCut(bytes);
    },
  };
}

/** How far the following of a step has come. */
interface Following {
  /** What of the log has arrived, or was left out. */
  offset: number;
  /** Known to run, or to have run: it is not launched any more. */
  isStarted: boolean;
  launches: number;
  /** Before the next connection. */
  pauseMs: number;
  /** Milliseconds, monotonic. */
  lastContact: number;
}

/** Follows the log to its end over as many connections as it takes. */
async function follow(
  agent: StepAgent,
  launch: StepLaunch,
  options: StepOptions & { readonly output: Output; readonly over: AbortSignal },
): Promise<StepResult> {
  const { limits, output, over } = options;
  const now = { offset: 0, isStarted: false, launches: 0, pauseMs: limits.reconnectMs, lastContact: performance.now() };

  while (!over.aborted) {
    // A step that is cancelled before it was sent is only asked for. Where it never started the cancel claims it: each time, since one
    // that came while a c3 that has lost the Pod still had the claim left it to that, which then withdrew.
    const isCancelledEarly = !now.isStarted && options.signal.aborted;
    const isSent = !now.isStarted && !isCancelledEarly;
    if (isSent) now.launches += 1;
    const command = isSent
      ? formatLaunch(launch, limits.graceSeconds)
      : `${isCancelledEarly ? formatCancel(launch) : ''}follow ${launch.buildId} ${launch.stepId} ${now.offset}\n`;
    const before = { offset: now.offset, at: performance.now() };
    const answer = await agent.perform(command, (frame) => {
      now.lastContact = performance.now();
      const heard = hear(frame, now, { output, proof: launch.proof });
      // What else comes over this line is not wanted.
      if (heard !== undefined && 'kind' in heard && heard.kind === 'misplaced') agent.reset();
      return heard;
    });
    if (answer.kind === 'answered' && answer.value.kind === 'ended') return answer.value.result;
    const message = answer.kind === 'cut' ? answer.message : 'it did not start';
    if (answer.kind === 'cut' && answer.isShellMissing) return { kind: 'no-shell', message };
    if (answer.kind === 'cut' && answer.isFinal) return { kind: 'lost', message };
    if (answer.kind === 'answered' && now.launches >= MAX_LAUNCHES) return { kind: 'lost', message };
    if (performance.now() - now.lastContact > limits.outOfReachMs) {
      const seconds = Math.round(limits.outOfReachMs / 1000);
      return { kind: 'lost', message: `its container was out of reach for ${seconds} s: ${message}` };
    }
    // One that tells nothing new before it breaks is not to be had again and again.
    const isWorthIt = now.offset > before.offset || performance.now() - before.at > MAX_RECONNECT_MS;
    if (isWorthIt) now.pauseMs = limits.reconnectMs;
    await sleep(now.pauseMs, undefined, { signal: over, ref: false }).catch(() => {}); // the loop looks at `over`
    now.pauseMs = Math.min(now.pauseMs * 2, MAX_RECONNECT_MS);
  }
  return { kind: 'lost', message: 'nobody waits for it any more' };
}

type Heard =
  | { readonly kind: 'ended'; readonly result: StepResult }
  /** It was never started. */
  | { readonly kind: 'not-there' }
  /** It does not go on from where the log is. */
  | { readonly kind: 'misplaced' };

function hear(
  frame: Frame,
  now: Following,
  { output, proof }: { output: Output; proof: string },
): Heard | Promise<undefined> | undefined {
  switch (frame.kind) {
    case 'data':
      if (frame.offset !== now.offset) return { kind: 'misplaced' };
      now.isStarted = true;
      now.offset += frame.bytes.length;
      return output.take(frame.bytes)?.then(() => {
        // Whoever took it may have taken their time: that is not the container's silence.
        now.lastContact = performance.now();
        return undefined;
      });
    case 'skipped':
      if (frame.from !== now.offset) return { kind: 'misplaced' };
      now.offset = frame.to;
      output.leaveOut(frame.to - frame.from);
      return undefined;
    case 'exit':
      if (frame.offset !== now.offset) return { kind: 'misplaced' };
      if (output.excess.aborted) return { kind: 'ended', result: { kind: 'log-limit' } };
      return { kind: 'ended', result: toProvenResult(frame, proof) };
    case 'lost':
      return { kind: 'ended', result: frame };
    case 'never-started':
      // What ran and left no trace must not run again.
      if (!now.isStarted) return { kind: 'not-there' };
      return { kind: 'ended', result: { kind: 'lost', message: 'its files in the container were removed' } };
    case 'heartbeat':
      now.isStarted = true;
      return undefined;
    case 'part-sent':
    case 'text':
    case 'told':
    case 'ready':
    case 'cancel-noted':
    case 'swept':
    case 'fault':
      return undefined;
  }
}

/** Whoever shares the directory with the container can write the file; only the step's supervisor can say there that it passed. */
function toProvenResult(exit: Extract<Frame, { kind: 'exit' }>, proof: string): StepResult {
  if (exit.why !== 'exited' || exit.exitCode !== 0 || exit.proof === proof) return toResult(exit);
  return { kind: 'lost', message: 'its exit file says that it passed, which its supervisor did not write there' };
}

/** What a step's exit file says. */
export function toResult({ exitCode, why }: { readonly exitCode: number; readonly why: ExitReason }): StepResult {
  if (why === 'exited') return { kind: 'exited', exitCode };
  return why === 'out-of-memory' ? { kind: 'exited', exitCode, isOutOfMemory: true } : { kind: why };
}

/** The supervisor keeps the limit; when not even its word arrives, the step is lost. */
async function pastDeadline(launch: StepLaunch, options: StepOptions, over: AbortSignal): Promise<StepResult> {
  await delay(launch.timeoutMs + options.limits.answerMs, over);
  return { kind: 'lost', message: 'it did not end at its time limit' };
}

/** Tells the supervisor of a cancel, or of a log that is too long. It ends the step then, and that is how the step ends. */
async function cancelled(
  launch: StepLaunch,
  options: StepOptions,
  { over, excess }: { over: AbortSignal; excess: AbortSignal },
): Promise<StepResult> {
  await Promise.race([untilAborted(options.signal, over), untilAborted(excess, over)]);
  const agent = options.openAgent();
  over.addEventListener('abort', () => agent.close(), { once: true });
  void tellOfCancel(agent, launch, { over, pauseMs: options.limits.reconnectMs });
  await delay(options.limits.answerMs, over);
  const what = excess.aborted ? 'wrote more than 2 GiB' : 'was cancelled';
  return { kind: 'lost', message: `it ${what} and did not say that it ended` };
}

/** Until it is noted. */
async function tellOfCancel(
  agent: StepAgent,
  launch: StepLaunch,
  { over, pauseMs }: { over: AbortSignal; pauseMs: number },
): Promise<void> {
  const command = formatCancel(launch);
  while (!over.aborted) {
    const answer = await agent.perform(command, (frame) => (frame.kind === 'cancel-noted' ? true : undefined));
    if (answer.kind === 'answered') return;
    await sleep(pauseMs, undefined, { ref: false });
  }
}

/** Resolves when it is; never once `over` is aborted. */
export async function untilAborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<unknown>();
  signal.addEventListener('abort', aborted.resolve, { once: true });
  // Not by the option `signal`: Node keeps the last such listener, and may forget to take off the others.
  over.addEventListener('abort', () => signal.removeEventListener('abort', aborted.resolve), { once: true });
  await aborted.promise;
}

/** Resolves after `ms`; never once `over` is aborted. Long delays are cut into pieces a timer can hold. */
async function delay(ms: number, over: AbortSignal): Promise<void> {
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
    `run ${launch.buildId} ${launch.stepId} ${seconds} ${graceSeconds} ${launch.proof} ${mark} ${place} ${launch.workdir}\n`,
    formatExports(launch.env),
    `${mark}\n`,
    launch.script.endsWith('\n') ? launch.script : `${launch.script}\n`,
    `${mark}\n`,
  ].join('');
}
