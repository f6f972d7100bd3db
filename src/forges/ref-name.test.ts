import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRefName } from './ref-name.ts';

test.each([
  'refs/heads/main',
  'refs/heads/feature/-x',
  'refs/tags/v1.0',
  'refs/heads/größe',
  'refs/heads/a@b',
  'refs/notes/c',
])('takes %s', (ref) => {
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
])('refuses %j', (ref) => {
  expect(isRefName(ref)).toBe(false);
});

test('what it takes, git takes', () => {
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
