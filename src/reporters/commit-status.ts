import { type CommitStatus, formatCommitStatus, type Reporter } from '../build/index.ts';
import { C3Error, type ErrorCode } from '../errors.ts';
import { formatDuration } from '../show/index.ts';
import { systemClock, type Clock, type ReporterLog } from './reporter.ts';

/** One attempt: a status is one small request; a forge that needs longer is tried again. */
const ATTEMPT_TIMEOUT_MS = 15_000;
/** Outlasts a forge's restart or a short secondary rate limit, and still lets a draining process end. */
const GIVE_UP_AFTER_MS = 120_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 20_000;

/** The forge said no; asking again changes nothing. Anything else may be a passing fault. */
const PERMANENT: ReadonlySet<ErrorCode> = new Set(['FORGE_UNAUTHORIZED', 'FORGE_REFUSED', 'SCOPE_REFUSED']);

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
      if (state.phase.kind === 'ended') delivery ??= deliver(formatCommitStatus(state), options);
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
