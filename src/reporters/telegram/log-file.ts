import type { FailedLog } from '../../build/index.ts';
import { clip, toOneLine } from '../../terminal/text.ts';
import { trimEnd } from '../../trim-end.ts';
import type { ChatSession } from './chat-session.ts';
import { oneLine } from './markup.ts';

/**
 * The Bot API of Telegram's cloud accepts 50 MB with the form.
 *
 * @see https://core.telegram.org/bots/api#senddocument
 */
const MAX_FILE_BYTES: number = 45 * 1024 * 1024;
const MAX_STEP_LENGTH = 60;
const TIME_OUT = 'the time ran out';

export interface LogFile {
  readonly log: FailedLog;
  readonly buildId: string;
  /**
   * The id of the build's message, once it shows the ending. Undefined: it was given up, and the reason was logged.
   */
  readonly message: Promise<number | undefined>;
}

/** Sends the log of the failed step as a file, without a sound. Logs why it could not. Never rejects. */
export async function sendLogFile(session: ChatSession, file: LogFile): Promise<void> {
  const { log } = file;
  const aborted = whenAborted(log.signal);
  function giveUp(reason: string): void {
    const step = toOneLine(log.step, MAX_STEP_LENGTH);
    session.log.warn(`The log of step "${step}" was not sent to Telegram: ${reason}`);
  }
  const message = await Promise.race([file.message, aborted]);
  if (message === undefined) return;
  if (message === 'aborted') return giveUp(TIME_OUT);
  let isReply = true;
  while (!log.signal.aborted) {
    const turn = session.ask('log');
    await Promise.race([turn.granted, aborted]);
    if (turn.cancel() || log.signal.aborted) break;
    const response = await upload(session, file, isReply ? message : undefined);
    if (response.kind === 'unread') return giveUp('c3 could not read it to its end');
    session.note(response);
    if (response.kind === 'delivered') return;
    if (response.kind === 'wait' || response.kind === 'transient') continue;
    if (response.kind === 'migrated' || (response.kind === 'reply-gone' && isReply)) isReply = false;
    else
      return giveUp(
        'reason' in response ? response.reason : 'Telegram sent a response that does not match the request',
      );
  }
  giveUp(TIME_OUT);
}

function upload(
  { client, target }: ChatSession,
  { log, buildId }: LogFile,
  replyTo: number | undefined,
): ReturnType<ChatSession['client']['sendDocument']> {
  const document = {
    ...target,
    caption: toCaption(log),
    disable_notification: true,
    disable_content_type_detection: true,
    ...(replyTo === undefined ? {} : { reply_parameters: { message_id: replyTo, allow_sending_without_reply: true } }),
  };
  return client.sendDocument(document, {
    fileName: toFileName(log.step, buildId),
    read: (onBytes, signal) => log.copy(onBytes, { maxBytes: MAX_FILE_BYTES, signal }),
    signal: log.signal,
  });
}

function toCaption({ step, bytes }: FailedLog): string {
  const name = oneLine(step, MAX_STEP_LENGTH).plain;
  if (bytes <= MAX_FILE_BYTES) return `Log of ${name}, ${formatSize(bytes)}`;
  return `Log of ${name}, the last ${formatSize(MAX_FILE_BYTES)} of ${formatSize(bytes)}`;
}

/** Returns `unit-tests-3f2a….log`, without characters that are special in a file system or in a header. */
export function toFileName(step: string, buildId: string): string {
  const name = step
    .toWellFormed()
    .replaceAll(/[^\p{L}\p{N}_.]+/gu, '-')
    .replace(/^[-.]+/, '');
  return `${clip(trimEnd(name, '-.'), MAX_STEP_LENGTH) || 'step'}-${buildId}.log`;
}

function whenAborted(signal: AbortSignal): Promise<'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
}

function formatSize(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024);
  return mebibytes >= 1 ? `${Math.round(mebibytes)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
