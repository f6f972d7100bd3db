import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { C3Error } from '../../errors.ts';
import type { Delivery, VerifiedBody } from '../forge.ts';

const HINT = 'set the signing token or the secret token of the webhook to the one that came with the hook URL';

/**
 * Checks the signature that GitLab makes with a webhook's signing token, from GitLab 19.0 on. Without a signature, it
 * compares the secret token, which GitLab sends as it is. A delivery with a signature must have a valid one, whatever
 * its secret token is.
 *
 * The age of a delivery does not matter: the same body is the same build, so a repeated delivery runs nothing again.
 *
 * @throws {C3Error} SIGNATURE_MISSING if a delivery that requires a signature has neither; SIGNATURE_INVALID if one is
 *   malformed, or of another body or secret
 * @throws {TypeError} if the secret is empty, because everybody knows that secret
 * @see https://docs.gitlab.com/user/project/integrations/webhooks/
 */
export function verifyDelivery(delivery: Delivery, webhookSecret: string): VerifiedBody {
  if (webhookSecret === '') throw new TypeError('The webhook secret is empty');
  const { headers, body } = delivery;
  const [signature, token] = [headers['webhook-signature'], headers['x-gitlab-token']];
  if (signature === undefined && token === undefined && delivery.isSignatureOptional === true) {
    return { bytes: body, verified: true };
  }
  if (!signature && !token) {
    const message = 'The webhook is not signed: it has neither a webhook-signature nor an X-Gitlab-Token header';
    throw new C3Error('SIGNATURE_MISSING', message, { hint: HINT });
  }
  const isValid = signature ? isSigned(delivery, signature, webhookSecret) : isSecret(token ?? '', webhookSecret);
  if (!isValid) {
    const message = "The webhook's signature or secret token does not match its body and this hook key";
    throw new C3Error('SIGNATURE_INVALID', message, { hint: HINT });
  }
  return { bytes: body, verified: true };
}

/**
 * Returns the form of a webhook's secret that GitLab accepts as a signing token: `whsec_` and the base64 of its 32
 * bytes.
 */
export function toSigningToken(webhookSecret: string): string {
  return `whsec_${Buffer.from(webhookSecret, 'base64url').toString('base64')}`;
}

/** The signature has the id and the time of the delivery before its body. A header can have several signatures. */
function isSigned({ headers, body }: Delivery, signatures: string, webhookSecret: string): boolean {
  const expected = createHmac('sha256', Buffer.from(webhookSecret, 'base64url'))
    .update(`${headers['webhook-id'] ?? ''}.${headers['webhook-timestamp'] ?? ''}.`)
    .update(body)
    .digest('base64');
  return signatures.split(' ').some((signature) => isEqual(signature, `v1,${expected}`));
}

/** A user can have entered the secret as the secret token in either form. */
function isSecret(token: string, webhookSecret: string): boolean {
  const forms = [webhookSecret, toSigningToken(webhookSecret)];
  return forms.map((form) => isEqual(token, form)).includes(true);
}

/** Takes the same time for every text. */
function isEqual(text: string, expected: string): boolean {
  const digest = (value: string): Buffer => createHash('sha256').update(value).digest();
  return timingSafeEqual(digest(text), digest(expected));
}
