import { TextDecoder } from 'node:util';
import { MASK_REACH_BYTES, type MaskedPiece, type Masking } from '../sealing/index.ts';

/** A position between two lines of a log. */
export interface LogPosition {
  /** Bytes of the raw log before the line. */
  readonly offset: number;
  /** For a line that comes in pieces: how many of them came before. */
  readonly pieces: number;
}

/** UTF-16 units. */
export const MAX_LINE_CHARACTERS = 16_384;

/** Converts a raw log to masked lines. Pure, and linear in its input. */
export interface LogLines {
  /** Adds the next bytes of the raw log, from {@link toLeadIn} on. */
  push(bytes: Uint8Array): void;
  /** Ends the log: the current line is the last one. */
  end(): void;
  /** Begins a gap: the log is unknown from here on, and the current line ends. */
  breakOff(): void;
  /** Ends the gap. */
  goOn(at: number): void;
  /**
   * Removes and returns the first complete lines, at most {@link SLICE_CHARACTERS} of text, and the position after
   * them.
   */
  drain(maxLines?: number): { readonly lines: readonly PlacedLine[]; readonly end: LogPosition };
  /** Returns the start of the next line, without an end that may be the start of a secret. */
  partial(): string;
}

export interface PlacedLine {
  readonly text: string;
  /** Bytes of the raw log before the line. Equal for all pieces of a line. */
  readonly offset: number;
  /** The number of pieces of the line before this one. */
  readonly pieces: number;
}

/**
 * The limits of one slice, in lines and in UTF-16 units. Everything that is made from a slice is in memory at the
 * same time.
 */
export const SLICE_LINES = 1_000;
export const SLICE_CHARACTERS = 65_536;

/**
 * Computes where the raw log must be read from to show it from a position on. A browser may send any position (A6),
 * and the bytes before a position decide too whether a byte is part of a secret.
 */
export function toLeadIn({ offset }: LogPosition): number {
  return Math.max(0, offset - MASK_REACH_BYTES);
}

const LINE_END = 0x0a;

/** @param masking of secrets, which are hidden across line ends too */
export function createLogLines(from: LogPosition, masking: Pick<Masking, 'createPieceMasker'>): LogLines {
  const lines = createLineBuilder(from);
  let masker = masking.createPieceMasker();
  /** Offsets in the raw log: where the masker began, from where bytes are shown, where the next bytes come. */
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
      // A secret may have begun in the gap.
      [begin, pushed, shownFrom] = [at, at, at + MASK_REACH_BYTES];
      lines.breakOff(shownFrom);
    },
    drain: lines.drain,
    partial: lines.partial,
  };
}

/** Divides bytes into lines, and long lines into pieces. */
interface LineBuilder extends Pick<LogLines, 'drain' | 'partial'> {
  /** Adds bytes to the line. */
  add(bytes: Uint8Array): void;
  /** Adds the rest of the line. The next line begins at an offset of the raw log. */
  end(bytes: Uint8Array, next: number): void;
  /** Ends the line, if it has begun. */
  breakOff(next: number): void;
}

function createLineBuilder(from: LogPosition): LineBuilder {
  const lines: PlacedLine[] = [];
  /**
   * The current line: its offset, the text that is in no piece yet, the number of its pieces, and how many of them to
   * omit.
   */
  let [start, text, pieces, unwanted] = [from.offset, '', 0, from.pieces];
  /** For a line that comes in several chunks, which may end within a character. */
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
    drain(maxLines = SLICE_LINES) {
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

/** Keeps a byte order mark like any other character. */
function createDecoder(): TextDecoder {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/**
 * Reads when each part of a step's log was written, as the watch in its container noted it (agent/shell/step.sh). A
 * note has the form `SECONDS BYTES`: the log's size after so many seconds of the step. Every program in the container
 * can write them, so notes that make no sense are ignored (A12).
 *
 * @returns a function that finds how many whole seconds after the step's start the byte at an offset of the raw log
 *   was written. It returns undefined for a byte that was written in the last second that is noted, or later.
 */
export function readLogTimes(lines: readonly string[]): (offset: number) => number | undefined {
  const notes: { readonly seconds: number; readonly size: number }[] = [];
  for (const line of lines) {
    const [, seconds, size] = /^(\d{1,9}) (\d{1,15})$/.exec(line) ?? [];
    const last = notes.at(-1);
    const note = { seconds: Number(seconds), size: Number(size) };
    // A log that was emptied starts again; its offsets go on.
    if (size !== undefined && (!last || (note.seconds > last.seconds && note.size > last.size))) notes.push(note);
  }
  return (offset) => {
    let [low, high] = [0, notes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((notes[middle]?.size ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    // The watch notes a second when it is over.
    const found = notes[low];
    return found && Math.max(0, found.seconds - 1);
  };
}
