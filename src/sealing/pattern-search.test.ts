import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPatternSearch } from './pattern-search.ts';

type Match = readonly [start: number, end: number];

function matchesOf(patterns: readonly string[], text: string): Match[] {
  const found: Match[] = [];
  const index = createPatternSearch(patterns);
  index.eachMatch(Buffer.from(text, 'latin1'), (start, end) => found.push([start, end]));
  return found;
}

function openEndOf(patterns: readonly string[], text: string): number {
  return createPatternSearch(patterns).findOpenEnd(Buffer.from(text, 'latin1'));
}

/** Returns a text, and the places that were read in it, one for each read. */
function createCounted(text: string): { bytes: Buffer; reads: number[] } {
  const reads: number[] = [];
  const bytes = new Proxy(Buffer.from(text, 'latin1'), {
    get(target, key): unknown {
      if (typeof key === 'string' && /^[0-9]+$/.test(key)) reads.push(Number(key));
      return Reflect.get(target, key, target);
    },
  });
  return { bytes, reads };
}

/** The definition, slowly. */
function findNaively(patterns: readonly string[], text: string): Match[] {
  return Array.from(text).flatMap((_, start): Match[] => {
    const lengths = patterns.filter((pattern) => text.startsWith(pattern, start)).map((pattern) => pattern.length);
    return lengths.length === 0 ? [] : [[start, start + Math.max(...lengths)]];
  });
}

function openEndNaively(patterns: readonly string[], text: string): number {
  const isOpen = (rest: string): boolean =>
    patterns.some((pattern) => pattern.length > rest.length && pattern.startsWith(rest));
  const starts = Array.from(text, (_, start) => start).filter((start) => isOpen(text.slice(start)));
  return starts[0] ?? text.length;
}

describe('eachMatch', () => {
  it.each<[string, string[], string, Match[]]>([
    ['nothing, without patterns', [], 'abcabc', []],
    ['nothing in nothing', ['abc'], '', []],
    ['nothing in a text shorter than the pattern', ['abcd'], 'abc', []],
    ['a pattern that is the whole text', ['abc'], 'abc', [[0, 3]]],
    [
      'a pattern at the beginning and one at the end',
      ['abc'],
      'abc-abc',
      [
        [0, 3],
        [4, 7],
      ],
    ],
    [
      'patterns that overlap',
      ['aba'],
      'ababa',
      [
        [0, 3],
        [2, 5],
      ],
    ],
    ['the longest of those that start in one place', ['abc', 'abcd', 'abcde'], 'abcdX', [[0, 4]]],
    ['a short one, where a longer one only begins', ['abc', 'abczz', 'abczzzz'], 'abczzzX', [[0, 5]]],
    ['a short one, where one that sorts between does not match', ['abc', 'abcb', 'abcbb'], 'abcc', [[0, 3]]],
    [
      'one within another',
      ['bcd', 'abcde'],
      'abcde',
      [
        [0, 5],
        [1, 4],
      ],
    ],
    ['bytes above 127', ['\u00ff\u00fe\u00fd'], '\u00ff\u00ff\u00fe\u00fd\u00fd', [[1, 4]]],
    ['NUL bytes only where they are', ['\0\0\0\0'], '\0\0\0a\0\0\0\0', [[4, 8]]],
  ])('finds %s', (_, patterns, text, expected) => {
    expect(matchesOf(patterns, text)).toEqual(expected);
  });

  it('distinguishes blocks with the same hash', () => {
    // The third byte undoes in the hash what the second one changes.
    const [pattern, lookalike] = ['xa!', 'xbA'];
    expect(matchesOf([pattern], `${lookalike}${pattern}`)).toEqual([[3, 6]]);
  });

  it('reads only the end of each window if the text contains no part of a pattern', () => {
    const index = createPatternSearch(['a'.repeat(64), 'b'.repeat(90)]);
    const { bytes, reads } = createCounted('z'.repeat(62 * 100 + 2));
    index.eachMatch(bytes, () => expect.unreachable());
    const ends = Array.from({ length: 100 }, (_, window) => 61 + 62 * window);
    expect(reads).toEqual(ends.flatMap((end) => [end, end + 1, end + 2]));
  });

  it('skips to the next place where a pattern may start', () => {
    const index = createPatternSearch(['0123456789']);
    const { bytes, reads } = createCounted('zzzzzzz3450123456789');
    const found: Match[] = [];
    index.eachMatch(bytes, (start, end) => found.push([start, end]));
    expect(found).toEqual([[10, 20]]);
    // A window that ends with 345 lacks 6789 of the pattern, one that ends with 123 lacks 456789.
    expect(reads.slice(0, 9)).toEqual([7, 8, 9, 11, 12, 13, 17, 18, 19]);
  });

  it('reads the text at a place only a few times more than the longest pattern is long, whatever the patterns are', () => {
    const nested = Array.from({ length: 57 }, (_, more) => 'a'.repeat(8 + more));
    const alike = Array.from({ length: 1000 }, (_, number) => `${'a'.repeat(60)}${String(number).padStart(4, '0')}`);
    const { bytes, reads } = createCounted('a'.repeat(163));
    createPatternSearch([...nested, ...alike]).eachMatch(bytes, () => {});
    // Three bytes for the skip, 64 for the pattern, two for each of the ten steps of the search.
    expect(reads.length / 156).toBeLessThan(3 + 64 + 2 * 11);
  });

  // Few letters, so that patterns repeat, overlap and nearly occur.
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 3, maxLength: 9 });
  const patterns = fc.uniqueArray(letters, { maxLength: 6 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'b', 'c'), maxLength: 60 });

  it('finds what a slow search finds, in order of the starts', () => {
    fc.assert(
      fc.property(patterns, text, (some, haystack) => {
        expect(matchesOf(some, haystack)).toEqual(findNaively(some, haystack));
      }),
      { numRuns: 500 },
    );
  });

  it('finds every pattern, of any bytes and lengths, anywhere', () => {
    const bytes = fc.string({ unit: 'binary-ascii', minLength: 8, maxLength: 64 });
    fc.assert(
      fc.property(fc.uniqueArray(bytes, { minLength: 1, maxLength: 20 }), fc.string(), (some, between) => {
        const haystack = Buffer.from(some.join(between)).toString('latin1');
        expect(matchesOf(some, haystack)).toEqual(findNaively(some, haystack));
      }),
    );
  });
});

describe('findOpenEnd', () => {
  it.each<[string, string[], string, number]>([
    ['the end, without patterns', [], 'abc', 3],
    ['the end of nothing', ['abc'], '', 0],
    ['where a pattern begins and is not whole', ['abcdef'], 'xxabc', 2],
    ['the first of several such places', ['ababab'], 'xabab', 1],
    ['the end, after a whole pattern', ['abc'], 'xabc', 4],
    ['the place of a longer pattern, where a shorter is whole', ['abc', 'abcd'], 'xabc', 1],
    ['one byte less than the longest pattern before the end', ['aaaa'], 'aaaaaaaa', 5],
    ['a single first byte', ['abc'], 'xxa', 2],
    ['where a pattern begins that goes on with a NUL byte', ['abc\0'], 'xabc', 1],
    ['the end, where a pattern would have gone on otherwise', ['abc'], 'xac', 3],
  ])('returns %s', (_, patterns, text, expected) => {
    expect(openEndOf(patterns, text)).toBe(expected);
  });

  it('reads only the end of the text, where a pattern may be open', () => {
    const { bytes, reads } = createCounted('z'.repeat(1000));
    expect(createPatternSearch(['abc', 'defghijk']).findOpenEnd(bytes)).toBe(1000);
    expect(Math.min(...reads)).toBe(993);
  });

  it('returns what a slow search returns', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 3, maxLength: 9 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'b', 'c'), maxLength: 20 });
    fc.assert(
      fc.property(fc.uniqueArray(letters, { maxLength: 6 }), text, (patterns, haystack) => {
        expect(openEndOf(patterns, haystack)).toBe(openEndNaively(patterns, haystack));
      }),
      { numRuns: 500 },
    );
  });
});
