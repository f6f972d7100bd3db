/** Keeps the end of a log: at most `maxBytes`, whole lines where there are any. */
export interface LogTail {
  push(bytes: Uint8Array): void;
  text(): string;
}

/** What of a step's output a build's state keeps for people to see. */
const MAX_TAIL_BYTES = 8 * 1024;

export function createLogTail(maxBytes: number = MAX_TAIL_BYTES): LogTail {
  let kept: Uint8Array = new Uint8Array(0);
  let isCut = false;
  return {
    push(bytes): void {
      const all = bytes.length >= maxBytes ? bytes : Buffer.concat([kept, bytes]);
      isCut ||= all.length > maxBytes || bytes.length > maxBytes || (bytes.length === maxBytes && kept.length > 0);
      kept = Buffer.from(all.subarray(Math.max(0, all.length - maxBytes)));
    },
    text(): string {
      const text = Buffer.from(kept).toString('utf8');
      if (!isCut) return text;
      const lineStart = text.indexOf('\n') + 1;
      // One line that is longer than the tail: keep its end, without the character that was cut in two.
      return lineStart > 0 && lineStart < text.length ? text.slice(lineStart) : text.replace(/^\uFFFD+/, '');
    },
  };
}
