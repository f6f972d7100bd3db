import { CompactEncrypt, importJWK } from 'jose';
import { C3Error } from '../errors.ts';
import { parseJson, readArray, readObject, readString } from '../json.ts';
import { checkPlaintext } from './check-plaintext.ts';
import type { Keyring } from './keyring.ts';
import { formatPurpose, type Purpose } from './purpose.ts';
import { formatScope } from './scope.ts';
import {
  detachHeader,
  encodeHeader,
  openBytes,
  pack,
  sealBytes,
  splitToken,
  toHeader,
  unpack,
  type Binding,
} from './token.ts';

/**
 * Seals with the first key of the keyring.
 *
 * The sealing room uses no randomness of its own: jose draws the nonce and the ephemeral key. Random 96-bit nonces
 * allow 2^32 values for each key (NIST SP 800-38D §8.3).
 *
 * @param plaintext at most 16 KiB, and what {@link checkPlaintext} accepts
 * @returns `kid.iv.ciphertext.tag`, which YAML and URLs hold without quotes or escapes
 * @throws {C3Error} PLAINTEXT_INVALID
 */
export async function seal(keyring: Keyring, plaintext: string, binding: Binding): Promise<string> {
  checkPlaintext(binding.purpose, plaintext);
  const [key] = keyring.keys;
  return sealBytes(key, pack(plaintext), toHeader('dir', key.id, binding));
}

/**
 * Seals with a c3's public key, without its secret: on the command line, in a browser.
 *
 * @param jwks the parsed answer of `/.well-known/jwks.json`; its first X25519 key is used
 * @param plaintext at most 16 KiB, and what {@link checkPlaintext} accepts
 * @returns `kid.epk.iv.ciphertext.tag`, 44 characters longer than {@link seal}'s
 * @throws {C3Error} PLAINTEXT_INVALID; USAGE_INVALID if `jwks` contains no key of a c3
 */
export async function sealForPublicKey(jwks: unknown, plaintext: string, binding: Binding): Promise<string> {
  checkPlaintext(binding.purpose, plaintext);
  const { kid, x } = findPublicKey(jwks);
  const key = await importJWK({ kty: 'OKP', crv: 'X25519', x }, 'ECDH-ES');
  const header = toHeader('ECDH-ES', kid, binding);
  const jwe = await new CompactEncrypt(pack(plaintext)).setProtectedHeader(header).encrypt(key);
  const [written = ''] = jwe.split('.');
  const { epk } = readObject(parseJson(Buffer.from(written, 'base64url')));
  const ephemeralKey = readString(readObject(epk)['x']) ?? '';
  return [kid, ephemeralKey, ...detachHeader(jwe, encodeHeader(header, ephemeralKey))].join('.');
}

function findPublicKey(jwks: unknown): { kid: string; x: string } {
  for (const key of readArray(readObject(jwks)['keys'])) {
    const { kty, crv, kid, x } = readObject(key);
    if (kty !== 'OKP' || crv !== 'X25519' || typeof kid !== 'string' || typeof x !== 'string') continue;
    if (/^[A-Za-z0-9_-]{2}$/.test(kid) && /^[A-Za-z0-9_-]{43}$/.test(x)) return { kid, x };
  }
  throw new C3Error('USAGE_INVALID', 'The public key is not the key set of a c3: it contains no X25519 key', {
    hint: 'c3 serves it at /.well-known/jwks.json',
  });
}

export interface Opened {
  readonly plaintext: string;
  /**
   * Whether it was sealed with another key than the first of `C3_SECRET`. Then it must be sealed again before that
   * key is removed.
   */
  readonly isOldKey: boolean;
}

/**
 * Opens a sealed value for the repository, the purpose and the ref pattern that it was sealed for.
 *
 * One message covers a value of another repository, of another purpose or with another ref, and a damaged value:
 * somebody who pastes a foreign value learns nothing from the answer (A1). The message may say that the key is
 * unknown, since its id is public.
 *
 * @throws {C3Error} SEALED_INVALID
 */
export async function openSealed(keyring: Keyring, token: string, binding: Binding): Promise<Opened> {
  const { scope, purpose, ref } = binding;
  const again = `c3 encrypt --repo ${formatScope(scope)} --for ${formatPurpose(purpose)}`;
  const hint = `seal it again with ${again}${ref === undefined ? '' : ` --ref '${ref}'`}`;
  const parts = splitToken(token);
  const isWhole = parts.length === 4 || parts.length === 5;
  const key = keyring.keys.find(({ id }) => id === parts[0]);
  if (isWhole && !key) {
    throw new C3Error('SEALED_INVALID', `${toSubject(binding)} was sealed with a key this c3 does not have`, { hint });
  }
  try {
    if (!isWhole || !key) throw new RangeError('Not a sealed value');
    if (parts.length === 5 && purpose.kind === 'telegram' && purpose.bot === 'operator') {
      throw new RangeError('Any user can seal with the public key');
    }
    const bytes = await openBytes(key, parts, toHeader(parts.length === 4 ? 'dir' : 'ECDH-ES', key.id, binding));
    const plaintext = unpack(bytes);
    // Any user can seal with the public key, without a check. A token goes into a header; the other purposes have readers
    // that check.
    if (purpose.kind === 'hook') checkPlaintext(purpose, plaintext);
    return { plaintext, isOldKey: key !== keyring.keys[0] };
  } catch {
    // No cause, because jose's messages would show the kind of the fault.
    const place = `${formatScope(scope)}${ref === undefined ? '' : ` and ${ref}`}`;
    const reasons = `it is damaged, or was sealed for another repository or purpose${purpose.kind === 'hook' ? '' : ', or with another ref'}`;
    throw new C3Error('SEALED_INVALID', `${toSubject(binding)} does not open for ${place}: ${reasons}`, { hint });
  }
}

const SUBJECTS: Readonly<Record<Exclude<Purpose['kind'], 'secret'>, string>> = {
  hook: 'The key in the hook URL',
  k8s: 'The sealed kubeconfig',
  telegram: 'The sealed Telegram destination',
};

function toSubject({ purpose }: Binding): string {
  return purpose.kind === 'secret' ? `The sealed secret ${purpose.name}` : SUBJECTS[purpose.kind];
}
