import { C3Error, type ErrorCode } from '../errors.ts';
import type { BuildState, Ending, Reporter } from '../engine/build-state.ts';
import type { CommitStatus } from '../forges/forge.ts';
import { formatDuration, toOneLine } from '../show/index.ts';
import { systemClock, type Clock, type ReporterLog } from './reporter.ts';

/** GitHub refuses a longer description; the other forges take at least as much. */
export const MAX_DESCRIPTION_LENGTH = 140;
/** Keeps room for the time and the reason beside a step's name in {@link MAX_DESCRIPTION_LENGTH}. */
const MAX_STEP_LENGTH = 40;

/** One attempt: a status is one small request; a forge that needs longer is tried again. */
const ATTEMPT_TIMEOUT_MS = 15_000;
/** Outlasts a forge's restart or a short secondary rate limit, and still lets a draining process end. */
const GIVE_UP_AFTER_MS = 120_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 20_000;

/** The forge said no; asking again changes nothing. Anything else may be a passing fault. */
const PERMANENT: ReadonlySet<ErrorCode> = new Set(['FORGE_UNAUTHORIZED', 'FORGE_REFUSED', 'SCOPE_REFUSED']);

/** What a forge shows beside the commit: a state, a sentence of at most 140 characters that names step and time, and the page. */
export function toCommitStatus(state: BuildState): CommitStatus {
  const [kind, text] = toStateAndText(state);
  const target = state.links === undefined ? {} : { targetUrl: state.links.look };
  return { state: kind, description: toOneLine(text, MAX_DESCRIPTION_LENGTH), buildId: state.id, ...target };
}

function toStateAndText(state: BuildState): readonly [CommitStatus['state'], string] {
  switch (state.phase.kind) {
    case 'queued':
      return ['pending', 'queued'];
    case 'preparing':
      return ['pending', `preparing: ${state.phase.detail}`];
    case 'running': {
      const names = state.steps
        .filter(({ phase }) => phase.kind === 'running')
        .map(({ name }) => toOneLine(name, MAX_STEP_LENGTH));
      return ['pending', `running ${names.join(', ')}`.trim()];
    }
    case 'ended':
      return toEnded(state, state.phase.ending);
  }
}

function toEnded(state: BuildState, ending: Ending): readonly [CommitStatus['state'], string] {
  const duration = formatDuration((state.endedAt ?? state.startedAt) - state.startedAt);
  switch (ending.kind) {
    case 'passed':
      return ['success', toPassed(ending.allowed, state, duration)];
    case 'skipped':
      return ['success', `skipped: ${ending.message}`];
    case 'failed': {
      const step = toOneLine(ending.step, MAX_STEP_LENGTH);
      return ['failure', `failed at ${step} after ${duration}: ${ending.message}`];
    }
    case 'timed-out':
      return ['failure', `timed out after ${duration}: ${ending.message}`];
    case 'cancelled':
      return ['error', `cancelled after ${duration}: ${ending.message}`];
    case 'superseded':
      return ['error', `superseded after ${duration}: ${ending.message}`];
    case 'config-error':
      return ['error', `config error: ${toFirstLine(ending.message)}`];
    case 'refused':
      return ['error', `refused: ${ending.message}`];
    case 'infrastructure-error':
      return ['error', `infrastructure error after ${duration}: ${ending.message}`];
  }
}

/** A warning has its place here where nothing worse is to be told. */
function toPassed(allowed: readonly string[], { warnings, previous }: BuildState, duration: string): string {
  const failures = allowed.map((name) => toOneLine(name, MAX_STEP_LENGTH)).join(', ');
  const fixed = previous === 'failed' ? ', fixed' : '';
  const passed = `passed in ${duration}${fixed}${failures && `, with allowed failures: ${failures}`}`;
  const [warning] = warnings;
  return warning === undefined ? passed : `${passed}; warning: ${toFirstLine(warning)}`;
}

function toFirstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

export interface CommitStatusReporterOptions {
  /** Sends one status; what {@link Repository.setStatus} does for the build's commit. */
  setStatus(status: CommitStatus, signal: AbortSignal): Promise<void>;
  readonly log: ReporterLog;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Sets the commit status when the build has ended; `pending` is set by the engine before, since a status that never changes from
 * it must be known at the start. Passing faults are tried again for two minutes, a refusal is not.
 */
export function createCommitStatusReporter(options: CommitStatusReporterOptions): Reporter {
  let delivery: Promise<void> | undefined;
  return {
    report(state): void {
      if (state.phase.kind === 'ended') delivery ??= deliver(toCommitStatus(state), options);
    },
    async finish(): Promise<void> {
      await delivery;
    },
  };
}

/** Never rejects. */
async function deliver(status: CommitStatus, options: CommitStatusReporterOptions): Promise<void> {
  const clock = options.clock ?? systemClock;
  const deadline = clock.now() + GIVE_UP_AFTER_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    const failure = await attempt(status, options, clock);
    if (failure === undefined) return;
    if (failure.isPermanent || clock.now() + pauseMs > deadline) {
      options.log.warn(`Gave up setting the commit status to ${status.state}: ${failure.message}`);
      return;
    }
    await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs));
  }
}

interface Failure {
  readonly isPermanent: boolean;
  readonly message: string;
}

/** Ends at the time limit even if `setStatus` does not heed its signal. */
async function attempt(
  status: CommitStatus,
  options: CommitStatusReporterOptions,
  clock: Clock,
): Promise<Failure | undefined> {
  const abort = new AbortController();
  const timedOut = Promise.withResolvers<Failure>();
  const cancelTimer = clock.setTimer(() => {
    abort.abort();
    timedOut.resolve({ isPermanent: false, message: `no answer in ${formatDuration(ATTEMPT_TIMEOUT_MS)}` });
  }, ATTEMPT_TIMEOUT_MS);
  try {
    return await Promise.race([trySetStatus(status, options, abort.signal), timedOut.promise]);
  } finally {
    cancelTimer();
  }
}

async function trySetStatus(
  status: CommitStatus,
  options: CommitStatusReporterOptions,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  try {
    await options.setStatus(status, signal);
    return undefined;
  } catch (error) {
    // Only a C3Error is known to hold no secret.
    if (!(error instanceof C3Error)) return { isPermanent: false, message: 'an unexpected fault' };
    return { isPermanent: PERMANENT.has(error.code), message: error.message };
  }
}
