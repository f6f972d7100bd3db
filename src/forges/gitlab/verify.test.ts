import { createHmac, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseScope } from '../../sealing/scope.ts';
import { deriveWebhookSecret } from '../../sealing/index.ts';
import { toSigningToken, verifyDelivery } from './verify.ts';

const SECRET = randomBytes(32).toString('base64url');
const body = Buffer.from('{"object_kind":"push"}');
const ID = '0d8f7c1e-9c43-4a55-9ca2-2b7d1c9b1f0a';
const TIME = '1796041331';

/** Signs as GitLab does, from the text that a user enters as the signing token. */
function sign(bytes: Uint8Array, signingToken: string, id = ID, time = TIME): string {
  const key = Buffer.from(signingToken.replace(/^whsec_/, ''), 'base64');
  const content = Buffer.concat([Buffer.from(`${id}.${time}.`), bytes]);
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}

const verify = (headers: Readonly<Record<string, string>>, bytes: Uint8Array = body): unknown =>
  verifyDelivery({ headers, body: bytes }, SECRET);
const signed = (signature: string): Readonly<Record<string, string>> => ({
  'webhook-id': ID,
  'webhook-timestamp': TIME,
  'webhook-signature': signature,
});
const right = sign(body, toSigningToken(SECRET));

test("the signing token of c3's webhook secret is the base64 of its 32 bytes", () => {
  const secret = deriveWebhookSecret('glpat-token', parseScope('gitlab.com/acme/shop'));
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]{43}=)$/.exec(toSigningToken(secret)) ?? [];
  expect(Buffer.from(base64, 'base64').toString('base64url')).toBe(secret);
});

describe('accepts', () => {
  test.each([
    ['a signature', signed(right)],
    ['one of two signatures', signed(`v1,${'A'.repeat(43)}= ${right}`)],
    ['a signature, whatever the secret token is', { ...signed(right), 'x-gitlab-token': 'other' }],
    ['the secret as the secret token', { 'x-gitlab-token': SECRET }],
    ['the signing token as the secret token', { 'x-gitlab-token': toSigningToken(SECRET) }],
  ])('%s', (_, headers) => {
    expect(verify(headers)).toEqual({ bytes: body, verified: true });
  });

  test('no signature, where none is required', () => {
    const delivery = { headers: {}, body, isSignatureOptional: true };
    expect(verifyDelivery(delivery, SECRET)).toEqual({ bytes: body, verified: true });
  });
});

describe('refuses as missing', () => {
  test.each([
    {},
    { 'x-gitlab-token': '' },
    { 'webhook-signature': '' },
    { 'webhook-id': ID, 'webhook-timestamp': TIME },
  ])('the headers %j', (headers) => {
    expect(() => verify(headers)).toThrow(
      expect.objectContaining({
        code: 'SIGNATURE_MISSING',
        message: 'The webhook is not signed: it has neither a webhook-signature nor an X-Gitlab-Token header',
      }),
    );
  });
});

describe('refuses', () => {
  test.each([
    ['a signature of another secret', signed(sign(body, toSigningToken(randomBytes(32).toString('base64url'))))],
    ['a signature of another body', signed(sign(Buffer.from('{}'), toSigningToken(SECRET)))],
    ['a signature of another id', signed(sign(body, toSigningToken(SECRET), 'other'))],
    ['a signature of another time', signed(sign(body, toSigningToken(SECRET), ID, '1'))],
    ['a signature without its version', signed(right.slice('v1,'.length))],
    ['a signature of another version', signed(right.replace('v1', 'v2'))],
    ['a signature without its id', { 'webhook-timestamp': TIME, 'webhook-signature': right }],
    ['a wrong signature with the right secret token', { ...signed('v1,x'), 'x-gitlab-token': SECRET }],
    ['another secret token', { 'x-gitlab-token': `${SECRET}x` }],
    ['a part of the secret token', { 'x-gitlab-token': SECRET.slice(0, -1) }],
  ])('%s', (_, headers) => {
    expect(() => verify(headers)).toThrow(
      expect.objectContaining({
        code: 'SIGNATURE_INVALID',
        message: "The webhook's signature or secret token does not match its body and this hook key",
      }),
    );
  });

  test('a wrong signature, even where none is required', () => {
    for (const headers of [{ 'x-gitlab-token': 'wrong' }, signed('v1,wrong')]) {
      expect(() => verifyDelivery({ headers, body, isSignatureOptional: true }, SECRET)).toThrow(
        expect.objectContaining({
          code: 'SIGNATURE_INVALID',
          hint: 'set the signing token or the secret token of the webhook to the one that came with the hook URL',
        }),
      );
    }
  });

  test('a body in which one bit is changed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (bytes, seed) => {
        const headers = signed(sign(bytes, toSigningToken(SECRET)));
        const changed = Uint8Array.from(bytes);
        const index = seed % bytes.length;
        changed[index] = (changed[index] ?? 0) ^ (1 << (seed % 8));
        expect(verify(headers, bytes)).toMatchObject({ verified: true });
        expect(() => verify(headers, changed)).toThrow('does not match');
      }),
    );
  });
});

test('throws a TypeError for an empty secret', () => {
  expect(() => verifyDelivery({ headers: { 'x-gitlab-token': '' }, body }, '')).toThrow(TypeError);
});
