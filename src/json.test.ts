import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isJsonObject, parseJson, parseJsonWithIds, readArray, readInteger, readObject, readString } from './json.ts';

it('parses any JSON, from a text or from bytes', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      expect(parseJson(json)).toEqual(JSON.parse(json));
      expect(parseJson(Buffer.from(json))).toEqual(JSON.parse(json));
    }),
  );
});

it.each(['', '{"a":', "{'a': 1}", Buffer.from([0x22, 0xff, 0x22])])('parses nothing from %j', (json) => {
  expect(parseJson(json)).toBeUndefined();
});

it('parses ids as the text that the JSON has for them, however many digits it is', () => {
  const json =
    '[{"id":3844358593348378625,"n":3844358593348378625,"x":{"id":7}},{"id":"a"},{"id":null},{"id":{"id":1}}]';
  expect(parseJsonWithIds(json)).toEqual([
    { id: '3844358593348378625', n: 3844358593348378624, x: { id: '7' } },
    { id: 'a' },
    { id: null },
    { id: { id: '1' } },
  ]);
  expect(parseJsonWithIds('[')).toBeUndefined();
});

it.each([
  [{ a: 1 }, { object: { a: 1 } }],
  [[1], { array: [1] }],
  ['text', { string: 'text' }],
  ['', { string: '' }],
  [7, { integer: 7 }],
  [-1, { integer: -1 }],
  [0.5, {}],
  [2 ** 53, {}],
  [true, {}],
  [null, {}],
  [undefined, {}],
])('reads %j only as its own type', (value, expected) => {
  const nothing = { object: {}, array: [], string: undefined, integer: undefined };
  expect({
    object: readObject(value),
    array: readArray(value),
    string: readString(value),
    integer: readInteger(value),
  }).toEqual({ ...nothing, ...expected });
  expect(isJsonObject(value)).toBe('object' in expected);
});

it.each([
  [0, undefined],
  [1, 1],
  [9, 9],
  [10, undefined],
])('reads %d as an integer from 1 to 9 as %j', (value, expected) => {
  expect(readInteger(value, { min: 1, max: 9 })).toBe(expected);
});
