import { createNeedleIndex, type NeedleIndex } from './needle-index.ts';
import { toNeedles } from './needles.ts';

/**
 * Replaces secrets by `***`. A seat-belt against accidents, not a wall: a step that wants to show a secret can (reversed, or
 * base64 of base64). Every byte that any spelling covers is hidden, each run of them by one `***`.
 */
export interface Masker {
  /** Masks a whole text, apart from the stream. */
  mask(text: string): string;
  /**
   * Masks the next bytes of one stream. Holds back the end only as far as it may be the beginning of a secret, so that a live
   * log is not late. What it returns may share the chunk's memory; what it keeps does not.
   */
  push(chunk: Uint8Array): Uint8Array;
  /** Ends the stream, and only that: returns what was held back. The next `push` begins a new stream. */
  flush(): Uint8Array;
}

const MASK = Buffer.from('***');
const NOTHING = Buffer.alloc(0);

/** What is known of a stream between two chunks. */
interface StreamState {
  /** Bytes that may be the beginning of a secret. */
  readonly held: Buffer;
  /** How many of them are within a secret already found. */
  readonly coveredBytes: number;
  /** Whether the last thing written was a mask, which a secret that touches it joins. */
  readonly isAfterMask: boolean;
}

const START: StreamState = { held: NOTHING, coveredBytes: 0, isAfterMask: false };

/** @param secrets values of any length, in any order; those under 8 characters are not masked */
export function createMasker(secrets: readonly string[]): Masker {
  const needles = toNeedles(secrets);
  const index = createNeedleIndex(needles);
  let state = START;
  return {
    mask(text) {
      if (needles.length === 0) return text;
      const bytes = Buffer.from(text);
      return maskUpTo(index, bytes, { end: bytes.length, state: START }).output.toString();
    },
    push(chunk) {
      if (needles.length === 0) return chunk;
      const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const bytes = state.held.length === 0 ? fresh : Buffer.concat([state.held, fresh]);
      const answer = maskUpTo(index, bytes, { end: index.findOpenEnd(bytes), state });
      state = answer.state;
      return answer.output;
    },
    flush() {
      const { output } = maskUpTo(index, state.held, { end: state.held.length, state });
      state = START;
      return output;
    },
  };
}

/** Masks `bytes` up to `end`, before which no occurrence begins that is not whole, and holds the rest. */
function maskUpTo(
  index: NeedleIndex,
  bytes: Buffer,
  { end, state }: { end: number; state: StreamState },
): { output: Buffer; state: StreamState } {
  const output: Buffer[] = [];
  let isAfterMask = state.isAfterMask;
  // Everything before `done` is written or covered.
  let done = state.coveredBytes;
  const writeClear = (until: number): void => {
    if (until <= done) return;
    output.push(bytes.subarray(done, until));
    isAfterMask = false;
  };
  index.eachOccurrence(bytes, (start, occurrenceEnd) => {
    // It is in the part that is held whole, and will be found again.
    if (start >= end) return;
    writeClear(start);
    if (!isAfterMask) output.push(MASK);
    isAfterMask = true;
    done = Math.max(done, occurrenceEnd);
  });
  writeClear(end);
  const [only = NOTHING] = output;
  return {
    output: output.length <= 1 ? only : Buffer.concat(output),
    state: { held: Buffer.from(bytes.subarray(end)), coveredBytes: Math.max(0, done - end), isAfterMask },
  };
}
