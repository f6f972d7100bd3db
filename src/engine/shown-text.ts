import type { Masking } from '../sealing/index.ts';
import { PLAIN, styleLine } from '../terminal/index.ts';

/**
 * Masks once more what is left of masked output when the control characters in it are carried out, as they are wherever people see it:
 * `grep --color` writes a colour into the middle of a secret, UTF-16 has a NUL after each letter. A line in which that finds a
 * secret loses its colours.
 */
export function maskShown(text: string, masking: Pick<Masking, 'mask'>): string {
  return text
    .split('\n')
    .map((line) => maskShownLine(line, masking))
    .join('\n');
}

/** @param line as of {@link maskShown}, without a line end */
export function maskShownLine(line: string, masking: Pick<Masking, 'mask'>): string {
  const plain = styleLine(line, PLAIN)
    .spans.map(({ text }) => text)
    .join('');
  if (plain === line) return line;
  const masked = masking.mask(plain);
  return masked === plain ? line : masked;
}
