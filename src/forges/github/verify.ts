import { createHmac, timingSafeEqual } from 'node:crypto';
import { C3Error } from '../../errors.ts';
import type { Delivery, VerifiedBody } from '../forge.ts';

const HINT = "set the webhook's secret to the one that came with the hook URL";

/**
 * Checks the header `X-Hub-Signature-256`: `sha256=` and the lower-case hex HMAC-SHA256 of the raw body, with the
 * webhook's secret as the key. Ignores the older SHA-1 header.
 *
 * @throws {C3Error} SIGNATURE_MISSING if a delivery that requires a signature has none; SIGNATURE_INVALID if it is
 *   malformed, or of another body or secret
 * @throws {TypeError} if the secret is empty, because everybody knows that secret
 * @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function verifyDelivery(delivery: Delivery, webhookSecret: string): VerifiedBody {
  if (webhookSecret === '') throw new TypeError('The webhook secret is empty');
  const header = delivery.headers['x-hub-signature-256'];
  if (header === undefined && delivery.isSignatureOptional === true) return { bytes: delivery.body, verified: true };
  if (header === undefined || header === '') {
    const message = 'The webhook is not signed: it has no X-Hub-Signature-256 header';
    throw new C3Error('SIGNATURE_MISSING', message, { hint: HINT });
  }
  const [, hex] = /^sha256=([0-9a-f]{64})$/.exec(header) ?? [];
  const expected = createHmac('sha256', webhookSecret).update(delivery.body).digest();
  if (hex === undefined || !timingSafeEqual(Buffer.from(hex, 'hex'), expected)) {
    const message = "The webhook's signature does not match its body and this hook key";
    throw new C3Error('SIGNATURE_INVALID', message, { hint: HINT });
  }
  return { bytes: delivery.body, verified: true };
}
