import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { toStepIds } from './page-steps.ts';

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

/** A slow reference implementation. */
function listIds(names: readonly string[]): string[] {
  const toSlug = (name: string): string => toStepIds([name])[0] ?? '';
  const ids: string[] = [];
  for (const name of names) {
    const isFree = (id: string): boolean =>
      !ids.includes(id) && (id === name || !names.some((other) => other === id && toSlug(other) === other));
    const all = [toSlug(name), ...names.map((_, index) => `${toSlug(name)}-${index + 2}`)];
    ids.push(all.find(isFree) ?? '');
  }
  return ids;
}

test('each id is the first free one that is not the name of another step', () => {
  const name = fc.constantFrom('a', 'A', 'a-2', 'a-3', 'A-3', 'a-2-2', 'b', 'B-2');
  fc.assert(
    fc.property(fc.array(name, { maxLength: 12 }), (names) => {
      expect(toStepIds(names)).toStrictEqual(listIds(names));
    }),
  );
});

test('a hundred thousand steps with one name get unique ids', () => {
  const ids = toStepIds(Array.from({ length: 100_000 }, () => 'a'));
  expect(new Set(ids).size).toBe(100_000);
  expect(ids.at(-1)).toBe('a-100000');
});

test('ids are unique and safe for any names', () => {
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
