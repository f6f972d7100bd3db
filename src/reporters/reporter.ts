import type { FailedLog, Reporter } from '../build/index.ts';
import { toMessage } from '../errors.ts';

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
