import type { FailedLog, Reporter } from '../build/index.ts';
import { toMessage } from '../errors.ts';

/** The time and timers of a reporter; handed in, so that tests spend no real seconds. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once after `ms`; the answer cancels it. */
  setTimer(callback: () => void, ms: number): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(callback, ms) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Where a reporter tells, once and in one sentence, that it gave up or had to change its way. pino's logger is one. */
export interface ReporterLog {
  warn(message: string): void;
}

/** Several reporters as one; one that throws or rejects, against its contract, is logged and never stops another. */
export function combineReporters(reporters: readonly Reporter[], log?: ReporterLog): Reporter {
  const complain = (error: unknown): void => log?.warn(`A reporter broke its contract: ${toMessage(error)}`);
  const senders = reporters.filter((reporter) => reporter.sendLog !== undefined);
  async function sendLog(failed: FailedLog): Promise<void> {
    await Promise.all(senders.map(async (sender) => await sender.sendLog?.(failed).catch(complain)));
  }
  return {
    report(state): void {
      for (const reporter of reporters) {
        try {
          reporter.report(state);
        } catch (error) {
          complain(error);
        }
      }
    },
    ...(senders.length === 0 ? {} : { sendLog }),
    async finish(): Promise<void> {
      await Promise.all(
        reporters.map(async (reporter) => {
          try {
            await reporter.finish();
          } catch (error) {
            complain(error);
          }
        }),
      );
    },
  };
}
