import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMasking } from '../sealing/index.ts';
import { toPlainText } from '../terminal/index.ts';
import { maskShown } from './shown-text.ts';

const SECRET = 'abcdefghijklmnop';

describe('maskShown', () => {
  const masking = createMasking([SECRET]);

  it.each([
    ['a colour in the middle', 'token=\u001B[01;31m\u001B[Kabcdefgh\u001B[m\u001B[Kijklmnop', 'token=***'],
    ['a NUL after each letter, as UTF-16 has it', Array.from(`${SECRET}.`).join('\0'), '***.'],
    ['a letter struck out', 'abcdefghX\bijklmnop', '***'],
    ['a part written over by the rest', 'abcdefghxxxx\u001B[9Gijklmnop', '***'],
    ['a link around a half', '\u001B]8;;https://x/\u0007abcdefgh\u001B]8;;\u0007ijklmnop', '***'],
    ['a mark that turns the direction', 'abcdefgh\u202Dijklmnop', '***'],
  ])('hides a secret with %s', (_, text, shown) => {
    expect(maskShown(text, masking)).toBe(shown);
  });

  it('changes no line without a secret, and no other than its own', () => {
    const coloured = '\u001B[32mok\u001B[m 12 tests';
    expect(maskShown(`${coloured}\n${Array.from(SECRET).join('\0')}\n\n${coloured}\r`, masking)).toBe(
      `${coloured}\n***\n\n${coloured}\r`,
    );
  });

  it('leaves no secret in what people see, whatever control characters a program writes into it', () => {
    const control = fc.constantFrom(
      '',
      '\0',
      '\b',
      '\r',
      '\u001B[1m',
      '\u001B[m',
      '\u001B[K',
      '\u202E',
      '\u009D0;x\u0007',
      'x\b',
    );
    fc.assert(
      fc.property(
        fc.array(control, { minLength: SECRET.length, maxLength: SECRET.length }),
        fc.string(),
        (marks, end) => {
          const written = `${Array.from(SECRET, (letter, at) => letter + (marks[at] ?? '')).join('')}${end}`;
          expect(toPlainText(maskShown(masking.mask(written), masking))).not.toContain(SECRET);
        },
      ),
      { numRuns: 500 },
    );
  });
});
