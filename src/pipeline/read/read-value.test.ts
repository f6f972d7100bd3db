import { expect, test } from 'vitest';

import { parseDuration } from './read-value.ts';

test.each([
  ['90s', 90_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['12h', 43_200_000],
  ['1h2m3s', 3_723_000],
  ['0s', 0],
])('reads %s as %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '10', '10 m', '1h 30m', '30m1h', '1.5h', '-1s', '1d', '10M', 'm', '1m1m', '٣s', '9999999s'])(
  'refuses %j',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);
