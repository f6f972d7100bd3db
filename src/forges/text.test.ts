import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutText, toSingleLine } from './text.ts';

test('keeps the first line, trimmed', () => {
  expect(toSingleLine('\n  fix the build \r\nbody', 100)).toBe('fix the build');
});

test('drops controls, and marks that turn the direction of text', () => {
  expect(toSingleLine('a\u001b[31mb\u0000\u009b\u202ec\u2066', 100)).toBe('a[31mbc');
});

test('cuts between characters, and shows that it did', () => {
  expect(cutText('abcdef', 6)).toBe('abcdef');
  expect(cutText('abcdef', 5)).toBe('abcd…');
  expect(cutText('abc😀ef', 5)).toBe('abc…');
});

test('whatever comes in, one well-formed line of at most that length comes out', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (text, maxLength) => {
      const line = toSingleLine(text, maxLength);
      expect(line.length).toBeLessThanOrEqual(maxLength);
      expect(line.isWellFormed()).toBe(true);
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    }),
  );
});
