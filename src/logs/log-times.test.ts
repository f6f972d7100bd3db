import { expect, it } from 'vitest';
import { readLogTimes } from './log-lines.ts';

it('the second of a byte is the one before whose end it was there', () => {
  const times = readLogTimes(['1 10', '2 30', '9 31']);
  expect([0, 9, 10, 29, 30, 31].map((offset) => times(offset))).toEqual([0, 0, 1, 1, 8, undefined]);
});

it('lines that make no sense, and those of a log that was emptied, are passed over', () => {
  const times = readLogTimes(['', 'x', '1 10', '2', '3 -4', '4 5', '5 4000000000000000', '6 20', '7 20']);
  expect([9, 10, 19, 20].map((offset) => times(offset))).toEqual([0, 5, 5, undefined]);
});

it('without any nothing is known', () => {
  expect(readLogTimes([])(0)).toBeUndefined();
});
