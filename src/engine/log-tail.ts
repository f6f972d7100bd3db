import { MASK_REACH_BYTES } from '../sealing/index.ts';
import { readLine } from '../show/plain-text.ts';

/** Keeps the end of a log: at most `maxBytes`, whole lines where there are any; and how much of a huge log never came. */
export interface LogTail {
  push(bytes: Uint8Array): void;
  /** So many bytes were left out here. What came before them is no longer the end of the log: it is dropped. */
  cut(bytes: number): void;
  text(): string;
}

/** What of a step's output a build's state keeps for people to see. */
const MAX_TAIL_BYTES = 8 * 1024;

export function createLogTail(maxBytes: number = MAX_TAIL_BYTES): LogTail {
  let kept: Uint8Array = new Uint8Array(0);
  let isCut = false;
  let leftOut = 0;
  return {
    push(bytes): void {
      const all = bytes.length >= maxBytes ? bytes : Buffer.concat([kept, bytes]);
      isCut ||= all.length > maxBytes || bytes.length > maxBytes || (bytes.length === maxBytes && kept.length > 0);
      kept = Buffer.from(all.subarray(Math.max(0, all.length - maxBytes)));
    },
    cut(bytes): void {
      leftOut += bytes;
      kept = new Uint8Array(0);
      isCut = true;
    },
    text(): string {
      const notice = leftOut === 0 ? '' : `… ${formatSize(leftOut)} left out …\n`;
      const text = Buffer.from(kept).toString('utf8');
      if (!isCut) return text;
      const lineStart = text.indexOf('\n') + 1;
      return notice + (lineStart > 0 && lineStart < text.length ? text.slice(lineStart) : withoutCut(text));
    },
  };
}

/**
 * The end of a line that is longer than the tail, without the character that was cut in two. It may begin within a secret that was
 * written in colours, and not be known by its rest: so much of what people see is left out.
 */
function withoutCut(text: string): string {
  const [line = '', ...rest] = text.split('\n');
  return [readLine(line).slice(MASK_REACH_BYTES), ...rest].join('\n');
}

function formatSize(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024);
  return mebibytes >= 1 ? `${Math.round(mebibytes)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
