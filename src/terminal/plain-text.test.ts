import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { clip, toOneLine, toPlainText } from './text.ts';

const ESC = '\u001B';

test.each([
  ['colours are removed', `${ESC}[1;31mred${ESC}[0m and ${ESC}[38:2::1:2:3mtrue${ESC}[m`, 'red and true'],
  [
    'titles and links are removed, and their text is kept',
    `${ESC}]0;title\u0007a${ESC}]8;;https://x.example${ESC}\\b${ESC}]8;;${ESC}\\`,
    'ab',
  ],
  ['an unfinished title removes only its own line', `a${ESC}]0;title\nb`, 'a\nb'],
  ['device strings and 8-bit sequences are removed', `a${ESC}Pq#0${ESC}\\b\u009B31mc`, 'abc'],
  ['charset and other escapes are removed', `${ESC}(Ba${ESC}7b${ESC}=`, 'ab'],
  ['a carriage return overwrites', 'loading 10%\rloading 100%', 'loading 100%'],
  ['a shorter text leaves the end of a longer one', 'abcdef\rxy', 'xycdef'],
  ['erasing to the right removes the old text', `abcdef\r${ESC}[Kxy`, 'xy'],
  ['erasing the line removes the old text', `abcdef${ESC}[2K\rxy`, 'xy'],
  ['a backspace moves the cursor back', 'spin |\b/\b-', 'spin -'],
  ['Windows line ends are line ends', 'a\r\nb\r\n', 'a\nb'],
  ['tabs become spaces', 'a\tb', 'a    b'],
  ['other control and bidi characters are removed', 'a\u0000\u0007b\u202Ec\u2066d\uFEFF', 'abcd'],
  ['several blank lines become one, and none remain at the ends', '\n\na\n\n  \n\nb\n\n', 'a\n\nb'],
  ['half a surrogate pair becomes a replacement character', 'a\uD83D', 'a\uFFFD'],
])('%s', (_, input, output) => {
  expect(toPlainText(input)).toBe(output);
});

test('any output becomes well-formed text without control characters', () => {
  const alphabet = fc.constantFrom(
    ESC,
    '[',
    ']',
    '\u0007',
    '\r',
    '\b',
    '\n',
    '\t',
    'K',
    '2',
    'm',
    ';',
    'P',
    '\\',
    'a',
    '\u0000',
    '\uD83D',
    '\u009B',
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: alphabet }), fc.string({ unit: 'binary' })), (input) => {
      const text = toPlainText(input);
      expect(text.isWellFormed()).toBe(true);
      expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
      expect(text).not.toMatch(/\n\n\n|^\n|\n$/);
    }),
  );
});

test('a million characters of hostile sequences are read in linear time: quadratic work would take hours', () => {
  for (const unit of [`${ESC}[`, `${ESC}]8;;`, `${ESC}P`, `${ESC}[0`, '\r', 'a\b', `${ESC}[K`]) {
    const input = unit.repeat(1_000_000 / unit.length);
    expect(toPlainText(input).length).toBeLessThanOrEqual(input.length);
  }
});

test('one line has single spaces and no line break', () => {
  expect(toOneLine(' a\n\tb \u2028c ', 10)).toBe('a b c');
});

test('clipped text keeps the maximum length and no half character', () => {
  expect(clip('abc', 3)).toBe('abc');
  expect(clip('abcd', 3)).toBe('ab…');
  expect(clip('a😀😀', 3)).toBe('a…');
});
