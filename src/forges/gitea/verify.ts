import { createHmac, timingSafeEqual } from 'node:crypto';
import { C3Error } from '../../errors.ts';
import type { Delivery, VerifiedBody } from '../forge.ts';

const HINT = "set the webhook's secret to the one that came with the hook URL";

/** The headers that can have the signature, and what precedes it. A server sends several of them. */
const HEADERS: Readonly<Record<string, string>> = {
  'x-forgejo-signature': '',
  'x-gitea-signature': '',
  'x-gogs-signature': '',
  'x-hub-signature-256': 'sha256=',
};

/**
 * Checks the headers `X-Gitea-Signature` and `X-Forgejo-Signature`: the lower-case hex HMAC-SHA256 of the raw body, with
 * the webhook's secret as the key. If there are several, all must be right.
 *
 * @throws {C3Error} SIGNATURE_MISSING if a delivery that requires a signature has none; SIGNATURE_INVALID if one is
 *   malformed, or of another body or secret
 * @throws {TypeError} if the secret is empty, because everybody knows that secret
 * @see https://docs.gitea.com/usage/webhooks
 */
export function verifyDelivery(delivery: Delivery, webhookSecret: string): VerifiedBody {
  if (webhookSecret === '') throw new TypeError('The webhook secret is empty');
  const given = Object.entries(HEADERS).flatMap(([name, prefix]) => {
    const value = delivery.headers[name];
    // Without a secret, a server sends all headers, with nothing behind the prefix.
    return value === undefined || value === '' || value === prefix ? [] : [{ value, prefix }];
  });
  if (given.length === 0 && delivery.isSignatureOptional === true) return { bytes: delivery.body, verified: true };
  if (given.length === 0) {
    const message = 'The webhook is not signed: it has no X-Gitea-Signature or X-Forgejo-Signature header';
    throw new C3Error('SIGNATURE_MISSING', message, { hint: HINT });
  }
  const expected = createHmac('sha256', webhookSecret).update(delivery.body).digest();
  const isRight = given.map(({ value, prefix }) => {
    const hex = value.startsWith(prefix) ? value.slice(prefix.length) : '';
    return /^[0-9a-f]{64}$/.test(hex) && timingSafeEqual(Buffer.from(hex, 'hex'), expected);
  });
  if (isRight.includes(false)) {
    const message = "The webhook's signature does not match its body and this hook key";
    throw new C3Error('SIGNATURE_INVALID', message, { hint: HINT });
  }
  return { bytes: delivery.body, verified: true };
}
