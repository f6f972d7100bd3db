import { formatCommitStatus, formatDuration, type CommitStatus, type Reporter } from '../build/index.ts';
import { C3Error, type ErrorCode } from '../errors.ts';
import { systemClock, type Clock, type ReporterLog } from './reporter.ts';

/** The limit of one attempt. A status is one small request. */
const ATTEMPT_TIMEOUT_MS = 15_000;
/** Outlasts a restart of the forge and a short secondary rate limit. A draining process can still end. */
const GIVE_UP_AFTER_MS = 120_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 20_000;

/** The forge refused: a retry cannot help. Any other fault may be transient. */
const PERMANENT: ReadonlySet<ErrorCode> = new Set(['FORGE_UNAUTHORIZED', 'FORGE_REFUSED', 'SCOPE_REFUSED']);

export interface CommitStatusReporterOptions {
  /** Sends one status, as {@link Repository.setStatus} does for the build's commit. */
  setStatus(status: CommitStatus, signal: AbortSignal): Promise<void>;
  readonly log: ReporterLog;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Creates a reporter that sets the final commit status. The engine sets `pending` before the build, because it must
 * know that this works. Transient faults are retried for two minutes.
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
async function deliver(
  status: CommitStatus,
  { setStatus, log, clock = systemClock }: CommitStatusReporterOptions,
): Promise<void> {
  const deadline = clock.now() + GIVE_UP_AFTER_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    const failure = await attempt((signal) => setStatus(status, signal), clock);
    if (failure === undefined) return;
    if (failure.isPermanent || clock.now() + pauseMs > deadline) {
      log.warn(`Gave up setting the commit status to ${status.state}: ${failure.message}`);
      return;
    }
    await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs));
  }
}

interface Failure {
  readonly isPermanent: boolean;
  readonly message: string;
}

/** Ends at the time limit, even if `send` ignores its signal. */
async function attempt(send: (signal: AbortSignal) => Promise<void>, clock: Clock): Promise<Failure | undefined> {
  const abort = new AbortController();
  const timedOut = Promise.withResolvers<Failure>();
  const cancelTimer = clock.setTimer(() => {
    abort.abort();
    timedOut.resolve({ isPermanent: false, message: `no response in ${formatDuration(ATTEMPT_TIMEOUT_MS)}` });
  }, ATTEMPT_TIMEOUT_MS);
  const sent = send(abort.signal).then(() => undefined, toFailure);
  try {
    return await Promise.race([sent, timedOut.promise]);
  } finally {
    cancelTimer();
  }
}

/** Quotes only a C3Error: any other message may contain a secret. */
function toFailure(error: unknown): Failure {
  if (!(error instanceof C3Error)) return { isPermanent: false, message: 'an unexpected fault' };
  return { isPermanent: PERMANENT.has(error.code), message: error.message };
}
