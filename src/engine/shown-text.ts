import type { Masking } from '../sealing/index.ts';
import { readLine } from '../terminal/index.ts';

/**
 * Masks once more what is left of masked output when the control characters in it are carried out, as they are wherever people see it:
 * `grep --color` writes a colour into the middle of a secret, UTF-16 has a NUL after each letter. A line in which that finds a
 * secret loses its colours.
 */
export function maskShown(text: string, masking: Pick<Masking, 'mask'>): string {
  return maskShownLines(text.split('\n'), masking).join('\n');
}

/** @param lines as of {@link maskShown}, without their ends */
export function maskShownLines(lines: readonly string[], masking: Pick<Masking, 'mask'>): readonly string[] {
  const shown = lines.map((line) => readLine(line));
  const hasChanged = (plain: string, index: number): boolean => plain !== lines[index];
  // Most have no secret: they are searched as one text.
  const changed = shown.filter(hasChanged).join('\n');
  if (masking.mask(changed) === changed) return lines;
  return lines.map((line, index) => {
    const plain = shown[index] ?? '';
    const masked = hasChanged(plain, index) ? masking.mask(plain) : plain;
    return masked === plain ? line : masked;
  });
}
