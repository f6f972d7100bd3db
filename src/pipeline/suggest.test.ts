import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { editDistance, suggest } from './suggest.ts';

test.each([
  ['wen', 'when', 1],
  ['evn', 'env', 1],
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
  ['same', 'same', 0],
])('the distance from %j to %j is %d', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test('the distance is symmetric and at most the length of the longer word', () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test('suggests the nearest candidate in upper or lower case', () => {
  expect(suggest('Timout', ['telegram', 'timeout'])).toBe('timeout');
  expect(suggest('stpes', ['step', 'steps'])).toBe('steps');
});

test('suggests nothing for distant words, and little for short words', () => {
  expect(suggest('qwertz', ['steps', 'job'])).toBeUndefined();
  expect(suggest('abc', ['job', 'env', 'pod'])).toBeUndefined();
});
