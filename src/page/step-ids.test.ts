import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { toStepIds } from './step-ids.ts';

test.each([
  [
    ['git', 'unit tests', 'Größe'],
    ['git', 'unit-tests', 'gro-e'],
  ],
  [
    ['test', 'test', 'test-2', 'Test'],
    ['test', 'test-3', 'test-2', 'test-4'],
  ],
  [
    ['漢字', '', '--'],
    ['step', 'step-2', 'step-3'],
  ],
  [
    ['test-L12', 'a<b>"c'],
    ['test-l12', 'a-b-c'],
  ],
  [['x'.repeat(60)], ['x'.repeat(39)]],
])('the steps %j have the ids %j', (names, ids) => {
  expect(toStepIds(names)).toStrictEqual(ids);
});

test('ids are unique and safe, whatever the names are', () => {
  const name = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('test', 'test-2', 'Test', 'test 2', 'step', 'a-L1'),
  );
  fc.assert(
    fc.property(fc.array(name), (names) => {
      const ids = toStepIds(names);
      expect(new Set(ids).size).toBe(names.length);
      for (const id of ids) expect(id).toMatch(/^[a-z0-9_.-]{1,50}$/);
    }),
  );
});
