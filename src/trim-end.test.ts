import { expect, it } from 'vitest';
import { trimEnd } from './trim-end.ts';

it('removes the given characters from the end, and nothing else', () => {
  const trimmed = ['/a/b///', '/a//b', '///', ''].map((text) => trimEnd(text, '/'));
  expect(trimmed).toEqual(['/a/b', '/a//b', '', '']);
  expect(trimEnd('v1.-.-', '-.')).toBe('v1');
  expect(trimEnd('text', '')).toBe('text');
});
