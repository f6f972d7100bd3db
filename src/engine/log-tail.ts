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
      // One line that is longer than the tail: keep its end, without the character that was cut in two.
      const end = lineStart > 0 && lineStart < text.length ? text.slice(lineStart) : text.replace(/^\uFFFD+/, '');
      return notice + end;
    },
  };
}

function formatSize(bytes: number): string {
  const mebibytes = bytes / (1024 * 1024);
  return mebibytes >= 1 ? `${Math.round(mebibytes)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
