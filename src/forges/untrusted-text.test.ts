import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRefName, toPrintableLine } from './untrusted-text.ts';

test('keeps only the first line, trimmed', () => {
  expect(toPrintableLine('\n  fix the build \r\nbody', 100)).toBe('fix the build');
});

test('removes control characters, and marks that change the direction of text', () => {
  expect(toPrintableLine('a\u001b[31mb\u0000\u009b\u202ec\u2066', 100)).toBe('a[31mbc');
});

test('turns any text into one well-formed line of at most that length', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (text, maxLength) => {
      const line = toPrintableLine(text, maxLength);
      expect(line.length).toBeLessThanOrEqual(maxLength);
      expect(line.isWellFormed()).toBe(true);
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
    }),
  );
});

test.each([
  'refs/heads/main',
  'refs/heads/feature/-x',
  'refs/tags/v1.0',
  'refs/heads/größe',
  'refs/heads/a@b',
  'refs/notes/c',
])('accepts the ref %s', (ref) => {
  expect(isRefName(ref)).toBe(true);
});

test.each([
  'main',
  'refs/heads/',
  'refs/heads',
  'refs/heads/-x',
  'refs/heads/--upload-pack=x',
  'refs/heads/a..b',
  'refs/heads/.a',
  'refs/heads/a/.b',
  'refs/heads/a.lock',
  'refs/heads/a.lock/b',
  'refs/heads/a.',
  'refs/heads/a/',
  'refs/heads//a',
  'refs/heads/a@{1}',
  'refs/heads/a b',
  'refs/heads/a\nb',
  'refs/heads/a\u0000b',
  'refs/heads/a\u007f',
  'refs/heads/a\u0085b',
  'refs/heads/a~1',
  'refs/heads/a^',
  'refs/heads/a:b',
  'refs/heads/a?',
  'refs/heads/a*',
  'refs/heads/a[b',
  String.raw`refs/heads/a\b`,
  'refs/heads/\ud800',
  `refs/heads/${'a'.repeat(255)}`,
])('refuses the ref %j', (ref) => {
  expect(isRefName(ref)).toBe(false);
});

test('accepts only refs that git accepts', () => {
  const unit = fc.constantFrom(...'ab-./@{~^:?*[\\ l\u007f'.split(''), '.lock', '..', '@{', '//');
  const refs = fc.array(fc.array(unit, { minLength: 1, maxLength: 6 }), { minLength: 50, maxLength: 50 });
  fc.assert(
    fc.property(refs, (names) => {
      for (const ref of names
        .map((name) => `refs/heads/${name.join('')}`)
        .filter(isRefName)
        .slice(0, 3)) {
        expect(execFileSync('git', ['check-ref-format', ref]).toString()).toBe('');
      }
    }),
    { numRuns: 10 },
  );
});
