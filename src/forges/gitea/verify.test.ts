import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyDelivery } from './verify.ts';

const body = Buffer.from('{"a":1}');
const SECRET = 's3cret';
const hex = createHmac('sha256', SECRET).update(body).digest('hex');
const wrong = createHmac('sha256', 'other').update(body).digest('hex');

describe('the signature of a delivery', () => {
  it.each<[string, Record<string, string>]>([
    ['of Gitea', { 'x-gitea-signature': hex }],
    ['of Forgejo', { 'x-forgejo-signature': hex }],
    ['in every header', { 'x-gitea-signature': hex, 'x-gogs-signature': hex, 'x-hub-signature-256': `sha256=${hex}` }],
  ])('%s is valid', (_, headers) => {
    expect(verifyDelivery({ headers, body }, SECRET)).toEqual({ bytes: body, verified: true });
  });

  it.each<[string, Record<string, string>]>([
    ['of another secret', { 'x-gitea-signature': wrong }],
    ['that is right beside a wrong one', { 'x-gitea-signature': hex, 'x-forgejo-signature': wrong }],
    ['with a prefix', { 'x-gitea-signature': `sha256=${hex}` }],
    ['without its prefix', { 'x-hub-signature-256': hex }],
    ['in upper case', { 'x-gitea-signature': hex.toUpperCase() }],
    ['that is cut', { 'x-gitea-signature': hex.slice(1) }],
  ])('%s is refused', (_, headers) => {
    const refusal = expect.objectContaining({ code: 'SIGNATURE_INVALID' });
    expect(() => verifyDelivery({ headers, body }, SECRET)).toThrow(refusal);
    expect(() => verifyDelivery({ headers, body, isSignatureOptional: true }, SECRET)).toThrow(refusal);
  });

  it('may be missing only where the key allows it', () => {
    const empty = { 'x-gitea-signature': '', 'x-gogs-signature': '', 'x-hub-signature-256': 'sha256=' };
    for (const headers of [{}, empty, { 'x-hub-signature': 'sha1=0' }]) {
      expect(() => verifyDelivery({ headers, body }, SECRET)).toThrow(
        expect.objectContaining({ code: 'SIGNATURE_MISSING' }),
      );
      expect(verifyDelivery({ headers, body, isSignatureOptional: true }, SECRET)).toMatchObject({ verified: true });
    }
    expect(() => verifyDelivery({ headers: {}, body }, '')).toThrow(TypeError);
  });
});
