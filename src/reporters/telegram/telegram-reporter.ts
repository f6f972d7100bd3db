import type { FailedLog, Reporter } from '../../build/index.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { systemClock, type Clock, type ReporterLog } from '../reporter.ts';
import { ChatLine } from './chat-session.ts';
import type { ChatThrottle } from './chat-throttle.ts';
import { createTelegramClient } from './client.ts';
import { LiveMessage } from './live-message.ts';
import { sendLogFile } from './log-file.ts';
import type { TelegramDestination } from './destination.ts';

export interface TelegramReporterOptions {
  readonly destination: TelegramDestination;
  /** `https://api.telegram.org`, or a Bot API server of one's own. */
  readonly apiBase: string;
  /** One for the process: builds share a chat's limits. */
  readonly throttle: ChatThrottle;
  readonly log: ReporterLog;
  /** When a message rings. Default `failure`. */
  readonly notify?: Notify;
  /** Whether the log of the step that failed the build is sent as a file. Default false. */
  readonly isLogSent?: boolean;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * One message a build, edited as the build goes on, without a sound; at its end perhaps a short reply that rings, and a file. All
 * of it keeps the limits of the chat. The final state is tried while Telegram takes anything in the chat, and ten minutes more. What
 * Telegram refuses for good is logged once and ends the reporting, never the build.
 */
export function createTelegramReporter(options: TelegramReporterOptions): Reporter {
  const { destination, apiBase, throttle, log, clock = systemClock } = options;
  const own = options.fetch === undefined ? {} : { fetch: options.fetch };
  const client = createTelegramClient({ token: destination.token, apiBase, ...own });
  const line = new ChatLine(client, { destination, throttle, clock, log });
  const live = new LiveMessage(line, options.notify ?? 'failure');
  let buildId = '';
  let delivery: Promise<void> | undefined;
  let file: Promise<void> | undefined;

  function sendLog(failed: FailedLog): Promise<void> {
    file = sendLogFile(line, { log: failed, buildId, message: live.told });
    return file;
  }

  return {
    report(state): void {
      // What c3.yaml leaves out is nobody's news.
      if (state.phase.kind === 'ended' && state.phase.ending.kind === 'skipped') return;
      buildId = state.build.id;
      live.update(state);
      delivery ??= live.run();
    },
    async finish(): Promise<void> {
      live.close();
      await Promise.all([delivery, file]);
      line.leave();
    },
    ...(options.isLogSent === true ? { sendLog } : {}),
  };
}
