import {
  formatCommitStatus,
  formatDuration,
  type CommitStatus,
  type FailedLog,
  type Reporter,
} from '../build/index.ts';
import { C3Error, toMessage, type ErrorCode } from '../errors.ts';

/** The time and the timers of a reporter. Tests pass their own, so that they do not wait. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once after `ms`. The returned function cancels it. */
  setTimer(callback: () => void, ms: number): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(callback, ms) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Receives one sentence when a reporter gives up or falls back to another way. */
export interface ReporterLog {
  warn(message: string): void;
}

/**
 * Combines reporters into one. A reporter that throws or rejects, against its contract, is logged and does not stop
 * the others.
 */
export function combineReporters(reporters: readonly Reporter[], log?: ReporterLog): Reporter {
  const logFault = (error: unknown): void => log?.warn(`A reporter failed: ${toMessage(error)}`);
  const logReceivers = reporters.filter((reporter) => reporter.sendLog !== undefined);
  async function sendLog(failed: FailedLog): Promise<void> {
    await Promise.all(logReceivers.map(async (reporter) => await reporter.sendLog?.(failed).catch(logFault)));
  }
  return {
    report(state): void {
      for (const reporter of reporters) {
        try {
          reporter.report(state);
        } catch (error) {
          logFault(error);
        }
      }
    },
    ...(logReceivers.length === 0 ? {} : { sendLog }),
    async finish(): Promise<void> {
      await Promise.all(reporters.map(async (reporter) => await reporter.finish().catch(logFault)));
    },
  };
}

/**
 * The limit of one attempt. The forge's client limits each request, and sends it again for 30 s if the forge suddenly
 * refuses the token.
 */
const ATTEMPT_TIMEOUT_MS = 60_000;
/** Outlasts a restart of the forge and most rate limits. */
const GIVE_UP_AFTER_MS = 600_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 20_000;

/** The forge refused, also when its client asked again: a retry cannot help. Any other fault may be transient. */
const PERMANENT: ReadonlySet<ErrorCode> = new Set([
  'FORGE_UNAUTHORIZED',
  'FORGE_REFUSED',
  'SCOPE_REFUSED',
  'STATUS_LIMIT',
]);

export interface CommitStatusReporterOptions {
  /** Sends one status of the build's commit, unless the commit has one that it must not replace. */
  setStatus(status: CommitStatus, signal: AbortSignal): Promise<void>;
  readonly log: ReporterLog;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Creates a reporter that sets the final commit status. The engine sets `pending` before the build, because it must
 * know that this works. Transient faults are retried for ten minutes.
 */
export function createCommitStatusReporter(options: CommitStatusReporterOptions): Reporter {
  let delivery: Promise<void> | undefined;
  return {
    report(state): void {
      if (state.phase.kind !== 'ended') return;
      const { ending } = state.phase;
      // A required check must not pass because a condition on the event or the branch excludes the build.
      if (ending.kind === 'skipped' && ending.by !== 'paths') return;
      delivery ??= deliver(formatCommitStatus(state), options);
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
    const fault = await attempt((signal) => setStatus(status, signal), clock);
    if (fault === undefined) return;
    const isPermanent = fault instanceof C3Error && PERMANENT.has(fault.code);
    if (isPermanent || clock.now() + pauseMs > deadline) {
      log.warn(`Gave up setting the commit status to ${status.state}: ${fault.message}`);
      return;
    }
    await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs));
  }
}

/** Ends at the time limit, even if `send` ignores its signal. */
async function attempt(send: (signal: AbortSignal) => Promise<void>, clock: Clock): Promise<Error | undefined> {
  const abort = new AbortController();
  const timedOut = Promise.withResolvers<Error>();
  const cancelTimer = clock.setTimer(() => {
    abort.abort();
    timedOut.resolve(new Error(`no response in ${formatDuration(ATTEMPT_TIMEOUT_MS)}`));
  }, ATTEMPT_TIMEOUT_MS);
  // Quotes only a C3Error: any other message may contain a secret.
  const sent = send(abort.signal).then(
    () => undefined,
    (error) => (error instanceof C3Error ? error : new Error('an unexpected fault')),
  );
  return await Promise.race([sent, timedOut.promise]).finally(cancelTimer);
}
