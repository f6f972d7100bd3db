import { createPatternSearch, type PatternSearch } from './pattern-search.ts';
import { MAX_PATTERN_BYTES, toPatterns } from './patterns.ts';

/**
 * Replaces secrets in a stream with `***` (A9). This prevents accidents. It does not stop a step that wants to show a
 * secret, for example reversed or as base64 of base64. Each byte of any spelling is hidden, and each run of hidden
 * bytes becomes one `***`.
 */
export interface Masker {
  /**
   * Masks the next bytes of one stream. Holds back only bytes that may be the start of a secret, so that a live log
   * is not delayed. The result may share the memory of the chunk; the bytes that are held back do not.
   */
  push(chunk: Uint8Array): Uint8Array;
  /** Ends the stream and returns what was held back. The next `push` starts a new stream. */
  flush(): Uint8Array;
}

/** As {@link Masker}, but returns pieces with their offsets in the stream. */
export type PieceMasker = Pick<MaskedStream, 'push' | 'flush'>;

export interface MaskedPiece {
  readonly bytes: Uint8Array;
  /** Where what it shows or hides starts in the stream, in bytes. */
  readonly offset: number;
  /** Whether it replaces a secret. If not, it is bytes of the stream. */
  readonly isMask: boolean;
}

/** Bytes before a byte of a stream, and after it, on which it can depend whether the byte is hidden. */
export const MASK_REACH_BYTES: number = MAX_PATTERN_BYTES - 1;

/** Replaces a secret. */
export const MASK_TEXT: string = '***';
const MASK = Buffer.from(MASK_TEXT);
const NOTHING = Buffer.alloc(0);

/** Hides the same secrets in any number of texts and streams. */
export interface Masking {
  /** Masks a whole text. */
  mask(text: string): string;
  /**
   * Creates the masker of one stream.
   *
   * @param blindBytes how many bytes at its start are left out, since a secret may have started before them: {@link
   *   MASK_REACH_BYTES}
   */
  createMasker(blindBytes?: number): Masker;
  createPieceMasker(): PieceMasker;
  /** Whether the secrets are too many or too long to be hidden. They must not be used then. */
  isTooMuch(): boolean;
  /** Frees the memory of the search, which is created again when it is needed. */
  rest(): void;
}

/** Limit for all spellings of a build's secrets together (A12). The spellings of a key of 3 KiB take 260 KiB. */
export const MAX_SPELLED_BYTES: number = 3 * 1024 * 1024;

/**
 * Creates what hides these secrets. The search is created when it is first needed: it takes some hundred kilobytes
 * and some milliseconds.
 *
 * @param secrets values of any length, in any order; those with less than 8 characters are not masked
 */
export function createMasking(secrets: readonly string[]): Masking {
  let search: PatternSearch | undefined;
  function findSearch(): PatternSearch | undefined {
    const patterns = search ? undefined : toPatterns(secrets, MAX_SPELLED_BYTES);
    return (search ??= patterns && createPatternSearch(patterns));
  }
  function getSearch(): PatternSearch {
    const found = findSearch();
    if (!found) throw new Error('The secrets are too many or too long to be hidden, and were used');
    return found;
  }
  return {
    mask(text) {
      const stream = new MaskedStream(getSearch());
      const pieces = [...stream.push(Buffer.from(text)), ...stream.flush()];
      return pieces.some(({ isMask }) => isMask) ? Buffer.concat(pieces.map(({ bytes }) => bytes)).toString() : text;
    },
    createMasker: (blindBytes = 0) => createMasker(getSearch, blindBytes),
    createPieceMasker: () => new MaskedStream(getSearch()),
    isTooMuch: () => findSearch() === undefined,
    rest(): void {
      search = undefined;
    },
  };
}

function createMasker(getSearch: () => PatternSearch, blindBytes: number): Masker {
  let stream: PieceMasker | undefined;
  let shownFrom = blindBytes;
  function show(pieces: readonly MaskedPiece[]): Uint8Array {
    const shown = pieces.filter(({ isMask, offset }) => !isMask || offset >= shownFrom);
    const parts = shown.map(({ bytes, offset }) => bytes.subarray(Math.max(0, shownFrom - offset)));
    return (parts.length === 1 ? parts[0] : undefined) ?? Buffer.concat(parts);
  }
  return {
    push: (chunk) => show((stream ??= new MaskedStream(getSearch())).push(chunk)),
    flush() {
      const rest = show(stream?.flush() ?? []);
      shownFrom = 0;
      return rest;
    },
  };
}

class MaskedStream {
  readonly #search: PatternSearch;
  /** Bytes of the stream that were returned or hidden. */
  #offset = 0;
  /** Bytes that may be the start of a secret. */
  #held = NOTHING;
  /** How many of them belong to a secret that was found. */
  #hiddenBytes = 0;
  /** Whether a mask was written last. A secret directly after it gets no mask of its own. */
  #isAfterMask = false;

  constructor(search: PatternSearch) {
    this.#search = search;
  }

  push(chunk: Uint8Array): readonly MaskedPiece[] {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const bytes = this.#held.length === 0 ? fresh : Buffer.concat([this.#held, fresh]);
    return this.#maskUpTo(this.#search.findOpenEnd(bytes), bytes);
  }

  flush(): readonly MaskedPiece[] {
    const pieces = this.#maskUpTo(this.#held.length, this.#held);
    [this.#offset, this.#hiddenBytes, this.#isAfterMask] = [0, 0, false];
    return pieces;
  }

  /** Masks `bytes` up to `end`, before which every match is whole, and holds the rest back. */
  #maskUpTo(end: number, bytes: Buffer): MaskedPiece[] {
    const pieces: MaskedPiece[] = [];
    // Everything before `done` is written or hidden.
    let done = this.#hiddenBytes;
    const writeClear = (until: number): void => {
      if (until <= done) return;
      pieces.push({ bytes: bytes.subarray(done, until), offset: this.#offset + done, isMask: false });
      this.#isAfterMask = false;
    };
    this.#search.eachMatch(bytes, (start, matchEnd) => {
      // The whole match is held back, and will be found again.
      if (start >= end) return;
      writeClear(start);
      if (!this.#isAfterMask) pieces.push({ bytes: MASK, offset: this.#offset + start, isMask: true });
      this.#isAfterMask = true;
      done = Math.max(done, matchEnd);
    });
    writeClear(end);
    this.#offset += end;
    this.#held = Buffer.from(bytes.subarray(end));
    this.#hiddenBytes = Math.max(0, done - end);
    return pieces;
  }
}
