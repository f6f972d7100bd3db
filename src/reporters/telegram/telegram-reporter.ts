import type { FailedLog, Reporter } from '../../build/index.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { systemClock, type Clock, type ReporterLog } from '../reporter.ts';
import { ChatSession } from './chat-session.ts';
import type { ChatThrottle } from './chat-throttle.ts';
import { createTelegramClient } from './client.ts';
import type { TelegramDestination } from './destination.ts';
import { LiveMessage } from './live-message.ts';
import { sendLogFile } from './log-file.ts';

export interface TelegramReporterOptions {
  readonly destination: TelegramDestination;
  /** `https://api.telegram.org`, or the address of your own Bot API server. */
  readonly apiBase: string;
  /** The one of the process: builds share the limits of a chat. */
  readonly throttle: ChatThrottle;
  readonly log: ReporterLog;
  /** Which endings send a notification. Default: `failure`. */
  readonly notify?: Notify;
  /** Whether to send the log of the step that failed the build. Default: false. */
  readonly isLogSent?: boolean;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Creates a reporter that sends one silent message for each build and edits it while the build runs. At the end, it
 * may send a short notification and a log file. The final state is retried for ten minutes, and longer while the chat
 * accepts other messages. If Telegram refuses permanently, the reporter logs it once and stops. This never affects
 * the build.
 */
export function createTelegramReporter(options: TelegramReporterOptions): Reporter {
  const { destination, apiBase, throttle, log, clock = systemClock } = options;
  const client = createTelegramClient({ token: destination.token, apiBase, fetch: options.fetch });
  const session = new ChatSession({ client, destination, throttle, clock, log });
  const message = new LiveMessage(session, options.notify ?? 'failure');
  let buildId = '';
  let delivery: Promise<void> | undefined;
  let file: Promise<void> | undefined;

  async function sendLog(log: FailedLog): Promise<void> {
    await (file = sendLogFile(session, { log, buildId, message: message.final.promise }));
  }

  return {
    report(state): void {
      // Nobody needs a message about a build that c3.yaml excludes.
      if (state.phase.kind === 'ended' && state.phase.ending.kind === 'skipped') return;
      buildId = state.build.id;
      message.update(state);
      delivery ??= message.run();
    },
    async finish(): Promise<void> {
      message.close();
      await Promise.all([delivery, file]);
      session.leave();
    },
    ...(options.isLogSent === true ? { sendLog } : {}),
  };
}
