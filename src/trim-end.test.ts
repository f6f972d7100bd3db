import { expect, it } from 'vitest';
import { trimEnd } from './trim-end.ts';

it.each([
  ['/a/b///', '/', '/a/b'],
  ['/a//b', '/', '/a//b'],
  ['v1.-.-', '-.', 'v1'],
  ['///', '/', ''],
  ['', '/', ''],
  ['text', '', 'text'],
])('removes from the end of %j all of %j, and nothing else', (text, characters, trimmed) => {
  expect(trimEnd(text, characters)).toBe(trimmed);
});
