import { createNeedleIndex, type NeedleIndex } from './needle-index.ts';
import { MAX_NEEDLE_BYTES, toNeedles } from './needles.ts';

/**
 * Replaces secrets in a stream by `***`. A seat-belt against accidents, not a wall: a step that wants to show a secret can
 * (reversed, or base64 of base64). Every byte that any spelling covers is hidden, each run of them by one `***`.
 */
export interface Masker {
  /**
   * Masks the next bytes of one stream. Holds back the end only as far as it may be the beginning of a secret, so that a live
   * log is not late. What it returns may share the chunk's memory; what it keeps does not.
   */
  push(chunk: Uint8Array): Uint8Array;
  /** Ends the stream, and only that: returns what was held back. The next `push` begins a new stream. */
  flush(): Uint8Array;
}

/** The same of a stream, told in pieces, so that each byte's place in the stream is known. */
export interface PieceMasker {
  push(chunk: Uint8Array): readonly MaskedPiece[];
  flush(): readonly MaskedPiece[];
}

export interface MaskedPiece {
  readonly bytes: Uint8Array;
  /** Bytes of the stream before what it shows or hides. */
  readonly offset: number;
  /** Whether it stands for a secret; else it is the stream's own bytes. */
  readonly isMask: boolean;
}

/** Whether a byte of a stream is hidden is decided by so many bytes before it, and after it, at most. */
export const MASK_REACH_BYTES: number = MAX_NEEDLE_BYTES - 1;

const MASK = Buffer.from('***');
const NOTHING = Buffer.alloc(0);

/** What is known of a stream between two chunks. */
interface StreamState {
  /** Bytes of it that were dealt with. */
  readonly offset: number;
  /** Bytes that may be the beginning of a secret. */
  readonly held: Buffer;
  /** How many of them are within a secret already found. */
  readonly coveredBytes: number;
  /** Whether the last thing written was a mask, which a secret that touches it joins. */
  readonly isAfterMask: boolean;
}

const START: StreamState = { offset: 0, held: NOTHING, coveredBytes: 0, isAfterMask: false };

/** Hides the same secrets in any number of texts and streams. */
export interface Masking {
  /** Masks a whole text. */
  mask(text: string): string;
  /**
   * For a stream of its own.
   *
   * @param blindBytes of its first bytes nothing is shown, since a secret may have begun before them: {@link MASK_REACH_BYTES}
   */
  createMasker(blindBytes?: number): Masker;
  createPieceMasker(): PieceMasker;
  /** Whether there are too many secrets, or too long ones: nothing of them may be used then, as they cannot be hidden. */
  isTooMuch(): boolean;
  /** Lets go of what it searched with, which is made anew when it is needed. */
  rest(): void;
}

/** What all spellings of a build's secrets may take. Those of a key of 3 KiB take 200 KiB, of which it is one in twenty. */
export const MAX_SPELLED_BYTES: number = 2 * 1024 * 1024;

/**
 * What is searched with is made once, when it is first needed: it takes some hundred kilobytes, and some milliseconds.
 *
 * @param secrets values of any length, in any order; those under 8 characters are not masked
 */
export function createMasking(secrets: readonly string[]): Masking {
  let needles: readonly string[] | undefined;
  let made: { readonly index: NeedleIndex | undefined } | undefined;
  const spell = (): readonly string[] | undefined => (needles ??= toNeedles(secrets, MAX_SPELLED_BYTES));
  function getIndex(): NeedleIndex | undefined {
    if (!made) {
      const spelled = spell();
      if (!spelled) throw new Error('secrets that are too much to be hidden were used');
      made = { index: spelled.length === 0 ? undefined : createNeedleIndex(spelled) };
      needles = undefined;
    }
    return made.index;
  }
  return {
    mask(text) {
      const index = getIndex();
      if (!index) return text;
      const bytes = Buffer.from(text);
      return join(maskUpTo(index, bytes, { end: bytes.length, state: START }).pieces).toString();
    },
    createMasker: (blindBytes = 0) => createMasker(getIndex, blindBytes),
    createPieceMasker: () => createStream(getIndex()),
    isTooMuch: () => made === undefined && spell() === undefined,
    rest(): void {
      made = undefined;
    },
  };
}

function createMasker(getIndex: () => NeedleIndex | undefined, blindBytes: number): Masker {
  let stream: PieceMasker | undefined;
  let shownFrom = blindBytes;
  const show = (pieces: readonly MaskedPiece[]): Buffer => join(pieces.flatMap((piece) => cutPiece(piece, shownFrom)));
  return {
    push(chunk) {
      const index = getIndex();
      return index ? show((stream ??= createStream(index)).push(chunk)) : chunk;
    },
    flush() {
      const rest = show(stream?.flush() ?? []);
      shownFrom = 0;
      return rest;
    },
  };
}

/** @param index of the secrets; undefined: there is none */
function createStream(index: NeedleIndex | undefined): PieceMasker {
  let state = START;
  return {
    push(chunk) {
      const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const bytes = state.held.length === 0 ? fresh : Buffer.concat([state.held, fresh]);
      if (!index) {
        const { offset } = state;
        state = { ...state, offset: offset + bytes.length };
        return bytes.length === 0 ? [] : [{ bytes, offset, isMask: false }];
      }
      const answer = maskUpTo(index, bytes, { end: index.findOpenEnd(bytes), state });
      ({ state } = answer);
      return answer.pieces;
    },
    flush() {
      const pieces = index ? maskUpTo(index, state.held, { end: state.held.length, state }).pieces : [];
      state = START;
      return pieces;
    },
  };
}

/** Masks `bytes` up to `end`, before which no occurrence begins that is not whole, and holds the rest. */
function maskUpTo(
  index: NeedleIndex,
  bytes: Buffer,
  { end, state }: { end: number; state: StreamState },
): { pieces: MaskedPiece[]; state: StreamState } {
  const pieces: MaskedPiece[] = [];
  let isAfterMask = state.isAfterMask;
  // Everything before `done` is written or covered.
  let done = state.coveredBytes;
  const writeClear = (until: number): void => {
    if (until <= done) return;
    pieces.push({ bytes: bytes.subarray(done, until), offset: state.offset + done, isMask: false });
    isAfterMask = false;
  };
  index.eachOccurrence(bytes, (start, occurrenceEnd) => {
    // It is in the part that is held whole, and will be found again.
    if (start >= end) return;
    writeClear(start);
    if (!isAfterMask) pieces.push({ bytes: MASK, offset: state.offset + start, isMask: true });
    isAfterMask = true;
    done = Math.max(done, occurrenceEnd);
  });
  writeClear(end);
  const held = Buffer.from(bytes.subarray(end));
  return {
    pieces,
    state: { offset: state.offset + end, held, coveredBytes: Math.max(0, done - end), isAfterMask },
  };
}

/** What of a piece is shown, from a place of the stream on. */
function cutPiece(piece: MaskedPiece, shownFrom: number): readonly MaskedPiece[] {
  if (piece.offset >= shownFrom) return [piece];
  if (piece.isMask) return [];
  return [{ ...piece, bytes: piece.bytes.subarray(shownFrom - piece.offset) }];
}

function join(pieces: readonly MaskedPiece[]): Buffer {
  const [first] = pieces;
  if (pieces.length === 1 && first) return Buffer.from(first.bytes.buffer, first.bytes.byteOffset, first.bytes.length);
  return Buffer.concat(pieces.map(({ bytes }) => bytes));
}
