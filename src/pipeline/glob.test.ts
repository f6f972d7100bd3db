import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { MAX_GLOB_LENGTH, parseGlob } from './glob.ts';

const table: readonly (readonly [glob: string, matches: readonly string[], others: readonly string[]])[] = [
  ['main', ['main'], ['mai', 'mains', 'Main', 'a/main', '']],
  ['*', ['a', '.git', 'a-b', ''], ['a/b', '/']],
  ['release/*', ['release/1', 'release/'], ['release', 'release/1/2', 'a/release/1']],
  ['*.ts', ['a.ts', '.ts'], ['a.tsx', 'src/a.ts']],
  ['**', ['a', 'a/b', '.github/x', ''], []],
  ['src/**', ['src/a', 'src/a/b', 'src/'], ['src', 'lib/src/a']],
  ['**/a.ts', ['a.ts', 'x/a.ts', 'x/y/a.ts'], ['xa.ts', 'x/ba.ts']],
  ['src/**/a.ts', ['src/a.ts', 'src/x/a.ts', 'src/x/y/a.ts'], ['src/xa.ts', 'a.ts']],
  ['**.ts', ['a.ts', 'x/a.ts'], ['a.tsx']],
  ['v**/1', ['v/1', 'vx/1', 'vx/y/1'], ['v1', 'v']],
  ['{a,b}**/c', ['a/c', 'ax/y/c', 'b/c'], ['c', 'ac', 'bc']],
  ['**/', ['', 'a/', 'a/b/'], ['a']],
  ['***', ['a/b'], []],
  ['a?c', ['abc', 'a.c', 'a😀c'], ['ac', 'a/c', 'abbc']],
  ['[a-c]x', ['ax', 'bx', 'cx'], ['dx', 'x', 'abx']],
  ['[!a-c]x', ['dx', '-x'], ['ax', '/x', 'x']],
  ['[^a]', ['b', '^'], ['a', '/']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a-]', ['a', '-'], ['b']],
  ['[\\]]', [']'], ['\\']],
  ['v[0-9]*', ['v1', 'v1.2.3'], ['v', 'va']],
  ['{a,b}', ['a', 'b'], ['', 'ab', '{a,b}']],
  ['{a,b{c,d}}e', ['ae', 'bce', 'bde'], ['be', 'ace']],
  ['{,a}b', ['b', 'ab'], ['a']],
  ['{a*,b/**}', ['ax', 'b/c/d'], ['a/b', 'b']],
  ['{}', [''], ['{}']],
  ['a,b}', ['a,b}'], ['a']],
  ['\\*', ['*'], ['a', '\\*']],
  ['\\{a}', ['{a}'], ['a']],
  ['!a', ['!a'], ['b']],
  ['a.b', ['a.b'], ['axb']],
  ['feature/ü/[à-ü]', ['feature/ü/ö'], ['feature/ü/a']],
];

test.each(table.flatMap(([glob, matches]) => matches.map((text) => [glob, text] as const)))(
  '%s matches %j',
  (glob, text) => {
    expect(match(glob, text)).toBe(true);
  },
);

test.each(table.flatMap(([glob, _matches, others]) => others.map((text) => [glob, text] as const)))(
  '%s does not match %j',
  (glob, text) => {
    expect(match(glob, text)).toBe(false);
  },
);

test.each([
  ['', 'it is empty'],
  ['[a', 'its "[" is not closed'],
  ['[', 'its "[" is not closed'],
  ['[]', 'its "[" is not closed'],
  ['[z-a]', 'a range in its "[" runs backwards'],
  ['{a,b', 'its "{" is not closed'],
  ['{a,{b}', 'its "{" is not closed'],
  ['a\\', 'nothing follows its "\\"'],
  ['{'.repeat(9), 'its braces are nested deeper than 8'],
  ['a'.repeat(MAX_GLOB_LENGTH + 1), `it is longer than ${MAX_GLOB_LENGTH} characters`],
])('%j is refused: %s', (pattern, message) => {
  expect(parseGlob(pattern)).toEqual({ kind: 'invalid', message });
});

const piece = fc.constantFrom('*', '**', '**/', '?', '[a-b]', '[!a]', '{a,b}', '{a*,**}', 'a', 'b', '/', '\\*');

test('a glob agrees with an equivalent regular expression', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), text, (pieces, candidate) => {
      const pattern = pieces.join('');
      expect(match(pattern, candidate)).toBe(toExpression(pattern).test(candidate));
    }),
    { numRuns: 2_000 },
  );
});

test('any pattern is a glob or is refused, and any glob returns a result', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 40 }),
      (pattern, text) => {
        const glob = parseGlob(pattern);
        expect(glob.kind === 'glob' ? typeof glob.matches(text) : glob.message).toMatch(/^boolean$|^\w/);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('a comparison costs at most the length of the glob times the length of the text', () => {
  const costly = fc.array(fc.constantFrom('*', '**', '**/', '{,*a}', '{*,', '{,,', '}', '[!b]', '?', 'a', '/'), {
    minLength: 1,
    maxLength: 60,
  });
  const text = fc.string({ unit: fc.constantFrom('a', 'a', 'a', '/'), maxLength: 100 });
  fc.assert(
    fc.property(costly, text, (pieces, candidate) => {
      const pattern = pieces.join('');
      const glob = parseGlob(pattern);
      const work = { left: 0 };
      if (glob.kind === 'glob') glob.matches(candidate, Object.assign(work, { left: 1_000_000 }));
      expect(1_000_000 - work.left).toBeLessThanOrEqual(
        glob.kind === 'glob' ? 16 + (pattern.length + 1) * (candidate.length + 1) : 1_000_000,
      );
    }),
    { numRuns: 2_000 },
  );
});

test('a comparison that runs out of work soon returns false', () => {
  const glob = parseGlob('**');
  const work = { left: 100 };
  expect(glob.kind === 'glob' && glob.matches('a'.repeat(1_000_000), work)).toBe(false);
  expect(work.left).toBeGreaterThan(-5);
});

/** A backtracking matcher would not finish before the time limit of the test. */
test.each(['*a*a*a*a*a*a*a*a*a*a*b', '**a**a**a**a**a**a**b', '{a,aa}{a,aa}{a,aa}{a,aa}*b', '**/**/**/**/**/**/b'])(
  '%s returns for a text that nearly matches',
  (pattern) => {
    expect(match(pattern, 'a'.repeat(4_000))).toBe(false);
    expect(match(pattern, 'a/'.repeat(2_000))).toBe(false);
  },
);

function match(pattern: string, text: string): boolean {
  const glob = parseGlob(pattern);
  if (glob.kind === 'invalid') throw new Error(glob.message);
  return glob.matches(text);
}

/** Builds an equivalent regular expression, for short texts. */
function toExpression(pattern: string): RegExp {
  let isStart = true;
  const source = pattern.replaceAll(/\\.|\*{2,}\/?|\*|\?|\[!a\]|\[a-b\]|\{a,b\}|\{a\*,\*\*\}|./g, (token) => {
    const wasStart = isStart;
    isStart = token.endsWith('/');
    if (/^\*{2,}\/$/.test(token)) return wasStart ? '(?:.*/)?' : '.*/';
    if (/^\*{2,}$/.test(token)) return '.*';
    const known: Record<string, string> = {
      '*': '[^/]*',
      '?': '[^/]',
      '[!a]': '[^/a]',
      '[a-b]': '[a-b]',
      '{a,b}': '(?:a|b)',
      '{a*,**}': '(?:a[^/]*|.*)',
    };
    return known[token] ?? token;
  });
  return new RegExp(`^(?:${source})$`, 's');
}
