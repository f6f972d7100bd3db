import { toMessage } from '../errors.ts';
import type { FailedLog, Reporter } from '../engine/build-state.ts';
import type { ReporterLog } from './clock.ts';

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
