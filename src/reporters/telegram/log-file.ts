import type { FailedLog } from '../../build/index.ts';
import { Pauses, type ChatLine } from './chat-session.ts';
import { oneLine } from './markup.ts';
import { toVerdict } from './response.ts';
import { trimEnd } from '../../trim-end.ts';
import { clip, toOneLine } from '../../show/index.ts';

/** The cloud's Bot API takes 50 MB, with what the form around the file needs. @see https://core.telegram.org/bots/api#senddocument */
const MAX_FILE_BYTES: number = 45 * 1024 * 1024;
const MAX_STEP_LENGTH = 60;
const NO_TIME = 'there was no more time';

export interface LogFile {
  readonly log: FailedLog;
  readonly buildId: string;
  /** The id of the build's message, once that shows how it ended; undefined: it never will, and it was told why. */
  readonly message: Promise<number | undefined>;
}

/** Sends the log of the step that failed as a file, without a sound. What comes of it is told in c3's own log alone; never rejects. */
export async function sendLogFile(line: ChatLine, file: LogFile): Promise<void> {
  const { log } = file;
  const aborted = whenAborted(log.signal);
  const pauses = new Pauses(line.clock);
  const message = await Promise.race([file.message, aborted]);
  if (message === undefined) return;
  if (message === 'aborted') return tell(line, file, NO_TIME);
  let isReply = true;
  while (!log.signal.aborted) {
    const turn = line.seat.ask('log', pauses.until);
    await Promise.race([turn.granted, aborted]);
    if (turn.cancel() || log.signal.aborted) break;
    const answer = await upload(line, file, isReply ? message : undefined);
    if (answer.kind === 'unread') return tell(line, file, 'it could not be read');
    const verdict = toVerdict(answer);
    switch (verdict.kind) {
      case 'arrived':
        return line.seat.noteArrival();
      case 'wait':
        line.seat.block(line.clock.now() + verdict.ms);
        break;
      case 'transient':
        pauses.add();
        break;
      case 'migrated':
        line.moveTo(verdict.chat);
        isReply = false;
        break;
      case 'reply-gone':
        if (!isReply) return tell(line, file, 'Telegram misses a message that was not named');
        isReply = false;
        break;
      case 'message-gone':
      case 'buttons-refused':
        return tell(line, file, 'Telegram answered something else');
      case 'unparsable':
      case 'permanent':
        return tell(line, file, verdict.reason);
    }
  }
  tell(line, file, NO_TIME);
}

function upload(
  line: ChatLine,
  { log, buildId }: LogFile,
  replyTo: number | undefined,
): ReturnType<ChatLine['client']['sendDocument']> {
  const document = {
    ...line.toPlace(),
    caption: toCaption(log),
    disable_notification: true,
    disable_content_type_detection: true,
    ...(replyTo === undefined ? {} : { reply_parameters: { message_id: replyTo, allow_sending_without_reply: true } }),
  };
  return line.client.sendDocument(document, {
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

/** `unit-tests-3f2a….log`: nothing in it that a file system, or the header it stands in, minds. */
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

function tell(line: ChatLine, { log }: LogFile, why: string): void {
  line.log.warn(`The log of step "${toOneLine(log.step, MAX_STEP_LENGTH)}" was not sent to Telegram: ${why}`);
}
