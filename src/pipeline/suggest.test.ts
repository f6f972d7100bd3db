import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { editDistance, suggest } from './suggest.ts';

test.each([
  ['wen', 'when', 1],
  ['evn', 'env', 1],
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
  ['same', 'same', 0],
])('from %j to %j it is %d edits', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test('the distance is the same both ways and never more than the longer word', () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test('suggests the nearest candidate, whatever the case of its letters', () => {
  expect(suggest('Timout', ['telegram', 'timeout'])).toBe('timeout');
  expect(suggest('stpes', ['step', 'steps'])).toBe('steps');
});

test('suggests nothing for what is far away, and little for short words', () => {
  expect(suggest('qwertz', ['steps', 'job'])).toBeUndefined();
  expect(suggest('abc', ['job', 'env', 'pod'])).toBeUndefined();
});
