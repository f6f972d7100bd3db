import { MASK_TEXT, type Masking } from '../sealing/index.ts';
import { readLine } from './text.ts';

/**
 * Masks output a second time, as a terminal shows it. Masking searches raw bytes, but a program can write control
 * characters into a secret: `grep --color` adds colours, and UTF-16 has a NUL after each letter. A line in which this
 * finds a secret, or a part of one, loses its colours.
 */
export function maskShown(text: string, masking: Pick<Masking, 'createPieceMasker'>): string {
  return maskShownLines(
    text.split('\n').map((line) => ({ text: line })),
    masking,
  ).join('\n');
}

export interface ShownLine {
  /** Without its line end. */
  readonly text: string;
  /** How many pieces of the same line precede it. Default: 0, a new line. */
  readonly pieces?: number;
}

/** Masks consecutive lines, as {@link maskShown} does. */
export function maskShownLines(
  lines: readonly ShownLine[],
  masking: Pick<Masking, 'createPieceMasker'>,
): readonly string[] {
  const texts = lines.map(({ text }) => text);
  const shown = texts.map((text) => readLine(text));
  // Most lines contain no control characters, so the first search was complete.
  if (shown.every((plain, index) => plain === texts[index])) return texts;
  const ends = lines.map((_, index) => ((lines[index + 1]?.pieces ?? 0) > 0 ? '' : '\n'));
  const bytes = Buffer.from(shown.map((plain, index) => plain + ends[index]).join(''));
  const masks = findMasks(bytes, masking);
  if (masks.length === 0) return texts;
  let [start, first] = [0, 0];
  return texts.map((text, index) => {
    const line = { start, end: start + Buffer.byteLength(shown[index] ?? '') };
    start = line.end + (ends[index]?.length ?? 0);
    // Lines and masks are both in order, so a mask that ends before this line touches no later one.
    while ((masks[first]?.end ?? Infinity) <= line.start) first += 1;
    let behind = first;
    while ((masks[behind]?.start ?? Infinity) < line.end) behind += 1;
    return first === behind ? text : hide(bytes, line, masks.slice(first, behind));
  });
}

/** Masks a line that is still being written. Omits an end that may be the beginning of a secret. */
export function maskShownPartial(text: string, masking: Pick<Masking, 'createPieceMasker' | 'createMasker'>): string {
  const plain = readLine(text);
  const known = Buffer.from(masking.createMasker().push(Buffer.from(plain))).toString();
  return known === plain ? maskShown(text, masking) : known;
}

/** A range of bytes. `end` is exclusive. */
interface Range {
  readonly start: number;
  readonly end: number;
}

function findMasks(bytes: Buffer, masking: Pick<Masking, 'createPieceMasker'>): readonly Range[] {
  const masker = masking.createPieceMasker();
  const pieces = [...masker.push(bytes), ...masker.flush()];
  return pieces.flatMap(({ isMask, offset }, index) =>
    isMask ? [{ start: offset, end: pieces[index + 1]?.offset ?? bytes.length }] : [],
  );
}

/** Returns a line in which `***` replaces the masks. */
function hide(bytes: Buffer, line: Range, masks: readonly Range[]): string {
  let text = '';
  let from = line.start;
  for (const { start, end } of masks) {
    text += `${bytes.toString('utf8', from, Math.max(from, start))}${MASK_TEXT}`;
    from = end;
  }
  return from < line.end ? text + bytes.toString('utf8', from, line.end) : text;
}
