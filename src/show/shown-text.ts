import type { Masking } from '../sealing/index.ts';
import { readLine } from './plain-text.ts';

/**
 * Masks once more what is left of masked output when the control characters in it are carried out, as they are wherever people see it:
 * `grep --color` writes a colour into the middle of a secret, UTF-16 has a NUL after each letter. A line in which that finds a
 * secret, or a part of one, loses its colours.
 */
export function maskShown(text: string, masking: Pick<Masking, 'createPieceMasker'>): string {
  return maskShownLines(
    text.split('\n').map((line) => ({ text: line })),
    masking,
  ).join('\n');
}

export interface ShownLine {
  /** Without its end. */
  readonly text: string;
  /** How many pieces of the same line came before it: only the first begins a line. Default 0. */
  readonly pieces?: number;
}

/** @param lines that follow each other, as of {@link maskShown} */
export function maskShownLines(
  lines: readonly ShownLine[],
  masking: Pick<Masking, 'createPieceMasker'>,
): readonly string[] {
  const texts = lines.map(({ text }) => text);
  const shown = texts.map((text) => readLine(text));
  // Most have nothing to be carried out, and have been searched.
  if (shown.every((plain, index) => plain === texts[index])) return texts;
  const ends = lines.map((_, index) => ((lines[index + 1]?.pieces ?? 0) > 0 ? '' : '\n'));
  const bytes = Buffer.from(shown.map((plain, index) => plain + ends[index]).join(''));
  const masks = findMasks(bytes, masking);
  if (masks.length === 0) return texts;
  let [start, first] = [0, 0];
  return texts.map((text, index) => {
    const line = { start, end: start + Buffer.byteLength(shown[index] ?? '') };
    start = line.end + (ends[index]?.length ?? 0);
    // Both are in order: what ends before this line touches none that comes.
    while ((masks[first]?.end ?? Infinity) <= line.start) first += 1;
    let behind = first;
    while ((masks[behind]?.start ?? Infinity) < line.end) behind += 1;
    return first === behind ? text : hide(bytes, line, masks.slice(first, behind));
  });
}

/** As {@link maskShown}, of the line that is being written: without its end as far as that may be the beginning of a secret. */
export function maskShownPartial(text: string, masking: Pick<Masking, 'createPieceMasker' | 'createMasker'>): string {
  const plain = readLine(text);
  const known = Buffer.from(masking.createMasker().push(Buffer.from(plain))).toString();
  return known === plain ? maskShown(text, masking) : known;
}

/** A stretch of bytes; `end` is exclusive. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

function findMasks(bytes: Buffer, masking: Pick<Masking, 'createPieceMasker'>): readonly Stretch[] {
  const masker = masking.createPieceMasker();
  const pieces = [...masker.push(bytes), ...masker.flush()];
  return pieces.flatMap(({ isMask, offset }, index) =>
    isMask ? [{ start: offset, end: pieces[index + 1]?.offset ?? bytes.length }] : [],
  );
}

/** A line with the masks that touch it. */
function hide(bytes: Buffer, line: Stretch, masks: readonly Stretch[]): string {
  let text = '';
  let from = line.start;
  for (const { start, end } of masks) {
    text += `${bytes.toString('utf8', from, Math.max(from, start))}***`;
    from = end;
  }
  return from < line.end ? text + bytes.toString('utf8', from, line.end) : text;
}
