import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createRsaKey, createRsaNumbersOf } from '../../test/fakes/rsa-key.ts';
import { findCostlyKey } from './costly-key.ts';

const INCONSISTENT = 'is an RSA key whose numbers do not belong together';

describe('a client key of RSA', () => {
  test.each([
    ['a prime 8 bits shorter than the other', () => createRsaNumbersOf(1020, 1028)],
    ['the largest exponent', () => createRsaNumbersOf(1024, 1024, { e: 2n ** 31n - 1n })],
  ])('with %s is taken', (_, create) => {
    expect(findCostlyKey(createRsaKey(create()))).toBeUndefined();
  });

  test.each([
    ['a prime that is twice as long as the other', () => createRsaNumbersOf(1366, 682)],
    ['a prime that is half as long as the other', () => createRsaNumbersOf(682, 1366)],
    ['a larger exponent', () => createRsaNumbersOf(1024, 1024, { e: 2n ** 31n + 1n })],
    ['an even number for a prime', () => createRsaNumbersOf(1023, 1024, { times: 2n })],
    ['another modulus', (numbers = createRsaNumbersOf(1024, 1024)) => ({ ...numbers, n: numbers.n + 2n })],
    ['a prime that is 1', () => ({ n: 251n, e: 3n, d: 167n, p: 1n, q: 251n, dp: 0n, dq: 167n, qi: 0n })],
  ])('with %s is refused', (_, create) => {
    expect(findCostlyKey(createRsaKey(create()))).toBe(INCONSISTENT);
  });
});

test('a client key that is no key pair of RSA has nothing that costs', () => {
  expect(findCostlyKey(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey)).toBeUndefined();
  expect(findCostlyKey(generateKeyPairSync('ed25519').privateKey)).toBeUndefined();
});
