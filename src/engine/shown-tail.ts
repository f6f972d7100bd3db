import type { LogEnd } from '../agent/index.ts';
import { MASK_REACH_BYTES, type Masking } from '../sealing/index.ts';
import { readLine } from '../terminal/text.ts';
import { maskShown } from '../terminal/shown-text.ts';

const NOTHING = new Uint8Array(0);

/** How much of a step's output a build's state keeps for people to see. */
const MAX_TAIL_BYTES = 8 * 1024;

/** Converts the end of a log to the text that people see: masked, at most 8 KiB, and from the start of a line. */
export function toShownTail({ size, bytes }: LogEnd, masking: Masking): string {
  const shown = Math.min(bytes.length, MAX_TAIL_BYTES);
  const isCut = size > shown;
  // The cut may go through a secret. The bytes before the cut are masked too, and not shown: the rest of a secret
  // alone is not found.
  const cut = isCut ? Math.max(bytes.length - shown, MASK_REACH_BYTES) : 0;
  const masker = masking.createPieceMasker();
  const pieces = [...masker.push(bytes), ...masker.flush()].map((piece) => {
    if (piece.offset >= cut) return piece.bytes;
    return piece.isMask ? NOTHING : piece.bytes.subarray(cut - piece.offset);
  });
  const text = Buffer.concat(pieces).toString('utf8');
  return maskShown(isCut ? fromLineStart(text) : text, masking);
}

/**
 * Drops the line in which the cut is. When there is only one line, drops its first characters: the cut may go through
 * a secret that was written in colours, which is not found by its rest.
 */
function fromLineStart(text: string): string {
  const start = text.indexOf('\n') + 1;
  if (start > 0 && start < text.length) return text.slice(start);
  const [line = '', ...rest] = text.split('\n');
  return [readLine(line).slice(MASK_REACH_BYTES), ...rest].join('\n');
}
