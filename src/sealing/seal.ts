import { CompactEncrypt, importJWK } from 'jose';

import { C3Error } from '../errors.ts';
import { checkPlaintext } from './check-plaintext.ts';
import { encodeHeader, toHeader, type Binding, type Header } from './header.ts';
import type { Keyring, SealingKey } from './keyring.ts';
import { pack } from './pack.ts';

/**
 * Seals with the first key of the keyring. The form is told in docs/sealing.md.
 *
 * This room takes no randomness of its own, with one exception: jose draws the nonce (and the ephemeral key) itself, and that
 * is where it is safest. Random 96-bit nonces allow 2^32 values a key (NIST SP 800-38D §8.3).
 *
 * @param plaintext at most 16 KiB, and what {@link checkPlaintext} accepts
 * @returns `kid.iv.ciphertext.tag`, for YAML and URLs as it is
 * @throws {C3Error} PLAINTEXT_INVALID
 */
export async function seal(keyring: Keyring, plaintext: string, binding: Binding): Promise<string> {
  checkPlaintext(binding.purpose, plaintext);
  const [key] = keyring.keys;
  return sealBytes(key, pack(plaintext), toHeader('dir', key.id, binding));
}

/** `kid.iv.ciphertext.tag` of any bytes, under a header of `dir`. */
export async function sealBytes({ id, secretKey }: SealingKey, bytes: Uint8Array, header: Header): Promise<string> {
  const jwe = await new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(secretKey);
  return [id, ...detachHeader(jwe, encodeHeader(header))].join('.');
}

/**
 * Seals with a c3's public key, without its secret: on the command line, in a browser.
 *
 * @param jwks the parsed answer of `/.well-known/jwks.json`; the first X25519 key is used
 * @param plaintext at most 16 KiB, and what {@link checkPlaintext} accepts
 * @returns `kid.epk.iv.ciphertext.tag`, 44 characters longer than {@link seal}'s
 * @throws {C3Error} PLAINTEXT_INVALID; USAGE_INVALID when `jwks` holds no key of a c3
 */
export async function sealForPublicKey(jwks: unknown, plaintext: string, binding: Binding): Promise<string> {
  checkPlaintext(binding.purpose, plaintext);
  const { kid, x } = findPublicKey(jwks);
  const key = await importJWK({ kty: 'OKP', crv: 'X25519', x }, 'ECDH-ES');
  const header = toHeader('ECDH-ES', kid, binding);
  const jwe = await new CompactEncrypt(pack(plaintext)).setProtectedHeader(header).encrypt(key);
  const { epk } = parseHeader(jwe);
  return [kid, epk.x, ...detachHeader(jwe, encodeHeader(header, epk.x))].join('.');
}

/** `[iv, ciphertext, tag]` of a compact JWE without an encrypted key. */
function detachHeader(jwe: string, expectedHeader: string): [string, string, string] {
  const [header, , iv, ciphertext, tag] = jwe.split('.');
  // The header is thrown away here and rebuilt when the value is opened. Should jose ever write it otherwise than we rebuild
  // it, the value could never be opened again: better to fail now than on the day it is needed.
  if (header !== expectedHeader || !iv || !ciphertext || !tag) {
    throw new C3Error('INTERNAL', 'The sealed header is not as it will be rebuilt; nothing was sealed');
  }
  return [iv, ciphertext, tag];
}

function parseHeader(jwe: string): { epk: { x: string } } {
  const [header = ''] = jwe.split('.');
  return JSON.parse(Buffer.from(header, 'base64url').toString()) as { epk: { x: string } };
}

function findPublicKey(jwks: unknown): { kid: string; x: string } {
  const keys = typeof jwks === 'object' && jwks !== null && 'keys' in jwks ? jwks.keys : undefined;
  for (const key of Array.isArray(keys) ? (keys as unknown[]) : []) {
    const { kty, crv, kid, x } = (key ?? {}) as Record<string, unknown>;
    if (kty !== 'OKP' || crv !== 'X25519' || typeof kid !== 'string' || typeof x !== 'string') continue;
    if (/^[A-Za-z0-9_-]{2}$/.test(kid) && /^[A-Za-z0-9_-]{43}$/.test(x)) return { kid, x };
  }
  throw new C3Error('USAGE_INVALID', 'The public key is not the key set of a c3: it holds no X25519 key', {
    hint: 'c3 serves it at /.well-known/jwks.json',
  });
}
