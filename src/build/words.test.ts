import { expect, test } from 'vitest';
import { formatDuration } from './words.ts';

test.each([
  [-5, '0s'],
  [0, '0s'],
  [1, '0.1s'],
  [999, '0.9s'],
  [2000, '2s'],
  [9999, '9.9s'],
  [10_999, '10s'],
  [59_999, '59s'],
  [60_000, '1m'],
  [72_000, '1m 12s'],
  [3_600_000, '1h'],
  [7_530_000, '2h 5m'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
