import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifyDelivery } from './verify.ts';

const body = Buffer.from('{"zen":"Keep it logically awesome."}');
const sign = (bytes: Uint8Array, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(bytes).digest('hex')}`;

const verify = (header: string | undefined, secret = 's3cret'): unknown =>
  verifyDelivery({ headers: { 'x-hub-signature-256': header }, body }, secret);

test("accepts GitHub's documented example", () => {
  const headers = { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' };
  const example = Buffer.from('Hello, World!');
  expect(verifyDelivery({ headers, body: example }, "It's a Secret to Everybody")).toEqual({
    bytes: example,
    verified: true,
  });
});

test.each([undefined, ''])('refuses a delivery whose signature is %j as missing', (header) => {
  expect(() => verify(header)).toThrow(
    expect.objectContaining({
      code: 'SIGNATURE_MISSING',
      message: 'The webhook is not signed: it has no X-Hub-Signature-256 header',
    }),
  );
});

test('does not fall back to the SHA-1 header', () => {
  const headers = { 'x-hub-signature': `sha1=${createHmac('sha1', 's3cret').update(body).digest('hex')}` };
  expect(() => verifyDelivery({ headers, body }, 's3cret')).toThrow(
    expect.objectContaining({ code: 'SIGNATURE_MISSING' }),
  );
});

describe('refuses', () => {
  const right = sign(body, 's3cret');
  test.each([
    ['another secret', sign(body, 'other')],
    ['another body', sign(Buffer.from('{}'), 's3cret')],
    ['upper case', right.toUpperCase()],
    ['no prefix', right.slice('sha256='.length)],
    ['the last digit missing', right.slice(0, -1)],
    ['a digit more', `${right}0`],
    ['a line break', `${right}\n`],
    ['a second signature', `${right}, ${right}`],
    ['another algorithm', right.replace('sha256', 'sha512')],
  ])('a signature with %s', (_, header) => {
    expect(() => verify(header)).toThrow(
      expect.objectContaining({
        code: 'SIGNATURE_INVALID',
        message: "The webhook's signature does not match its body and this hook key",
      }),
    );
  });
});

test('throws a TypeError for an empty secret', () => {
  expect(() => verify(sign(body, ''), '')).toThrow(TypeError);
});

test('refuses a body in which one bit is changed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (bytes, seed) => {
      const headers = { 'x-hub-signature-256': sign(bytes, 's3cret') };
      const changed = Uint8Array.from(bytes);
      const index = seed % bytes.length;
      changed[index] = (changed[index] ?? 0) ^ (1 << (seed % 8));
      expect(verifyDelivery({ headers, body: bytes }, 's3cret').verified).toBe(true);
      expect(() => verifyDelivery({ headers, body: changed }, 's3cret')).toThrow('does not match');
    }),
  );
});
