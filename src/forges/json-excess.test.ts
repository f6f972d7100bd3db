import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findExcess } from './json-excess.ts';

const TOO_MANY = 'has more than 200000 values';
const TOO_DEEP = 'is nested deeper than 64 levels';

const list = (length: number, item: string): string => `[${Array<string>(length).fill(item).join(',')}]`;

describe('a text', () => {
  it.each([
    ['of 200,000 numbers', list(200_000, '1'), undefined],
    ['of one more', list(200_001, '1'), TOO_MANY],
    ['of 66,667 objects that are no longer empty', list(66_667, '{"a":1,"b":2}'), TOO_MANY],
    ['of 5 MiB of empty objects', list(1_700_000, '{}'), TOO_MANY],
    ['with its marks in strings', JSON.stringify(list(300_000, '{"\\":[1]}')), undefined],
    ['with its marks behind a string that ends in a backslash', `["\\\\",${list(200_000, '"]"')}]`, TOO_MANY],
    ['of lists within lists, 64 deep', '['.repeat(64) + ']'.repeat(64), undefined],
    ['one deeper', '['.repeat(65) + ']'.repeat(65), TOO_DEEP],
    ['of objects in lists, 65 deep', '[{"a":'.repeat(33), TOO_DEEP],
    ['of many that are deep one after the other', list(1_000, '['.repeat(63) + ']'.repeat(63)), undefined],
    ['with a string that has no end', `["${'[,'.repeat(300_000)}`, undefined],
    ['that ends in a backslash', '"\\', undefined],
    ['of nothing', '', undefined],
  ])('%s', (_, json, excess) => {
    expect(findExcess(json)).toBe(excess);
  });

  it('that is JSON and small has none, whatever is in its strings', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 20 }), (json) => {
        expect(findExcess(json)).toBeUndefined();
        expect(findExcess(`${'['.repeat(64)}${json}`)).toBe(/^[[{]/.test(json) ? TOO_DEEP : undefined);
      }),
    );
  });
});
