import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMasking } from '../sealing/index.ts';
import { toPlainText } from './text.ts';
import { maskShown, maskShownLines, maskShownPartial } from './shown-text.ts';

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

  it('changes only the lines with a secret', () => {
    const coloured = '\u001B[32mok\u001B[m 12 tests';
    expect(maskShown(`${coloured}\n${Array.from(SECRET).join('\0')}\n\n${coloured}\r`, masking)).toBe(
      `${coloured}\n***\n\n${coloured}\r`,
    );
  });

  it('leaves no secret visible, whatever control characters a program writes into it', () => {
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

describe('maskShownLines', () => {
  it('hides a secret of several short coloured lines', () => {
    const lines = ['> ', 'abcdefg', 'hijklmn', ' <'].map((text) => ({ text: `\u001B[32m${text}\u001B[m` }));
    const coloured = lines.map(({ text }) => text);
    expect(maskShownLines(lines, createMasking(['abcdefg\nhijklmn']))).toStrictEqual([
      coloured[0],
      '***',
      '***',
      coloured[3],
    ]);
    expect(maskShownLines(lines, createMasking(['something else']))).toStrictEqual(coloured);
  });

  it('hides a secret across two pieces of a line, but not across two lines', () => {
    const [one, two] = ['so abcd\0efghijk', 'lmnop on'];
    const masking = createMasking([SECRET]);
    expect(
      maskShownLines(
        [
          { text: one, pieces: 0 },
          { text: two, pieces: 1 },
        ],
        masking,
      ),
    ).toStrictEqual(['so ***', '*** on']);
    expect(maskShownLines([{ text: one }, { text: two }], masking)).toStrictEqual([one, two]);
  });

  it('keeps the multi-byte characters between two secrets', () => {
    const masking = createMasking(['ключключ', SECRET]);
    const text = `é ключ\0ключ ü ${SECRET} ö`;
    expect(maskShownLines([{ text: 'ab\0c' }, { text }], masking)).toStrictEqual(['ab\0c', 'é *** ü *** ö']);
  });
});

describe('maskShownPartial', () => {
  const masking = createMasking([SECRET]);

  it.each([
    ['in colours', (letter: string) => `\u001B[31m${letter}\u001B[m`],
    ['in UTF-16', (letter: string) => `${letter}\0`],
    ['as it is', (letter: string) => letter],
  ])('shows no part of a secret while it is written %s', (_, toWritten) => {
    const letters = Array.from(`token: ${SECRET}`);
    for (let written = 0; written <= letters.length; written += 1) {
      const shown = maskShownPartial(letters.slice(0, written).map(toWritten).join(''), masking);
      expect(toPlainText(shown)).toMatch(/^(?:t|to|tok|toke|token|token:|token: \*\*\*)?$/);
    }
  });

  it('keeps the colours of text that cannot begin a secret', () => {
    const text = '\u001B[32mok\u001B[m 12 tests';
    expect(maskShownPartial(text, masking)).toBe(text);
  });
});
