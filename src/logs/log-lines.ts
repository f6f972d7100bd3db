import { TextDecoder } from 'node:util';
import { MASK_REACH_BYTES, type MaskedPiece, type Masking } from '../sealing/index.ts';
import { MAX_LINE_CHARACTERS, type LogPosition } from './build-view.ts';

/** A raw log to masked lines. Pure, and linear in what it is given. */
export interface LogLines {
  /** The next bytes of the raw log, from {@link toLeadIn} on. */
  push(bytes: Uint8Array): void;
  /** The log is over: what there is of a line is its last. */
  end(): void;
  /** The log is not known from here to another place: what there is of a line is all of it. */
  breakOff(): void;
  /** It is known again. */
  goOn(at: number): void;
  /** The first of the whole lines that were not taken yet, {@link SLICE_CHARACTERS} of them at most, and the place after them; none: all are taken. */
  take(maxLines?: number): { readonly lines: readonly PlacedLine[]; readonly end: LogPosition };
  /** What there is of the next line, but for an end that may be the beginning of a secret. */
  partial(): string;
}

export interface PlacedLine {
  readonly text: string;
  /** Bytes of the raw log before it; of all pieces of a line, before the line. */
  readonly offset: number;
  /** How many pieces of the line came before it. */
  readonly pieces: number;
}

/** So many lines, and so much of their text in UTF-16 units, is taken at once: what is made of a slice is in memory as a whole. */
export const SLICE_LINES = 1_000;
export const SLICE_CHARACTERS = 65_536;

/**
 * Where the raw log must be read from for what comes after a place. A place comes back from a browser, which may say any: whether
 * a byte there is hidden is decided by those before it as well.
 */
export function toLeadIn({ offset }: LogPosition): number {
  return Math.max(0, offset - MASK_REACH_BYTES);
}

const LINE_END = 0x0a;

/** @param masking of what is hidden wherever they stand, over line ends too */
export function createLogLines(from: LogPosition, masking: Pick<Masking, 'createPieceMasker'>): LogLines {
  const lines = createLineBuilder(from);
  let masker = masking.createPieceMasker();
  /** Places in the raw log: where the masker began, from where on anything is shown, how far it was pushed. */
  let [begin, shownFrom, pushed] = [toLeadIn(from), from.offset, toLeadIn(from)];

  function addPiece({ bytes, offset, isMask }: MaskedPiece): void {
    const at = begin + offset;
    if (isMask) {
      if (at >= shownFrom) lines.add(bytes);
      return;
    }
    let start = Math.min(bytes.length, Math.max(0, shownFrom - at));
    for (let end = bytes.indexOf(LINE_END, start); end !== -1; end = bytes.indexOf(LINE_END, start)) {
      lines.end(bytes.subarray(start, end), at + end + 1);
      start = end + 1;
    }
    if (start < bytes.length) lines.add(bytes.subarray(start));
  }

  return {
    push(bytes): void {
      pushed += bytes.length;
      for (const piece of masker.push(bytes)) addPiece(piece);
    },
    end(): void {
      for (const piece of masker.flush()) addPiece(piece);
      lines.breakOff(pushed);
    },
    breakOff: () => lines.breakOff(pushed),
    goOn(at): void {
      masker = masking.createPieceMasker();
      // A secret may have begun in what is not known.
      [begin, pushed, shownFrom] = [at, at, at + MASK_REACH_BYTES];
      lines.breakOff(shownFrom);
    },
    take: lines.take,
    partial: lines.partial,
  };
}

/** Bytes to lines, and lines that are too long to pieces. */
interface LineBuilder extends Pick<LogLines, 'take' | 'partial'> {
  /** More of the line. */
  add(bytes: Uint8Array): void;
  /** The rest of the line; the next begins at a place of the raw log. */
  end(bytes: Uint8Array, next: number): void;
  /** Ends the line, if there is anything of one. */
  breakOff(next: number): void;
}

function createLineBuilder(from: LogPosition): LineBuilder {
  const lines: PlacedLine[] = [];
  /** Of the line at hand: its place, what no piece has of it yet, how many pieces there are, how many of them are not wanted. */
  let [start, text, pieces, unwanted] = [from.offset, '', 0, from.pieces];
  /** While a line goes over several pieces of the log, which may end within a character. */
  let decoder: TextDecoder | undefined;

  function cutPieces(): void {
    while (text.length > MAX_LINE_CHARACTERS) {
      const isInTwo = isHighSurrogate(text.charCodeAt(MAX_LINE_CHARACTERS - 1));
      const end = isInTwo ? MAX_LINE_CHARACTERS - 1 : MAX_LINE_CHARACTERS;
      keep(text.slice(0, end));
      text = text.slice(end);
    }
  }
  function keep(piece: string): void {
    if (pieces >= unwanted) lines.push({ text: piece, offset: start, pieces });
    pieces += 1;
  }
  function end(bytes: Uint8Array, next: number): void {
    text += (decoder ?? createDecoder()).decode(bytes);
    cutPieces();
    keep(text);
    [start, text, pieces, unwanted, decoder] = [next, '', 0, 0, undefined];
  }

  return {
    add(bytes): void {
      decoder ??= createDecoder();
      text += decoder.decode(bytes, { stream: true });
      cutPieces();
    },
    end,
    breakOff(next): void {
      if (decoder) end(NOTHING, next);
      else [start, pieces, unwanted] = [next, 0, 0];
    },
    take(maxLines = SLICE_LINES) {
      const taken = lines.splice(0, countSlice(lines, maxLines));
      const next = lines[0] ?? { offset: start, pieces };
      return { lines: taken, end: { offset: next.offset, pieces: next.pieces } };
    },
    partial: () => text,
  };
}

function countSlice(lines: readonly PlacedLine[], maxLines: number): number {
  let [count, characters] = [0, 0];
  for (const { text } of lines) {
    characters += text.length;
    if (count === maxLines || characters > SLICE_CHARACTERS) break;
    count += 1;
  }
  return count;
}

const NOTHING = new Uint8Array(0);

/** A mark of byte order is kept as any other character. */
function createDecoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
