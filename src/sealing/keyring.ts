import { createPrivateKey, createPublicKey, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

import { C3Error } from '../errors.ts';

/**
 * The keys of one c3, in the order of `C3_SECRET`: the first one seals, all of them open. They are key objects, so
 * that logging one shows no key.
 */
export interface Keyring {
  readonly keys: readonly [SealingKey, ...SealingKey[]];
}

/** The keys derived from one entry of `C3_SECRET`. */
export interface SealingKey {
  /** Public, two base64url characters: enough to tell the few keys of a keyring apart, and short in a URL. */
  readonly id: string;
  /** AES-256-GCM. */
  readonly secretKey: KeyObject;
  /** X25519. */
  readonly privateKey: KeyObject;
  /** The public half, 32 bytes as base64url. */
  readonly publicKey: string;
}

/** 256 bits: the strength of AES-256 and of X25519's scalar. */
const SECRET_BYTES = 32;

/** 32 random bytes have about 30 different values. A constant, a word or a repeated pattern has fewer than this. */
const MIN_DISTINCT_BYTES = 12;

/** PKCS #8 (RFC 8410 §7) before the 32 raw bytes of an X25519 private key. Node does not import raw keys. */
const X25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/**
 * Reads `C3_SECRET`: one or more 32-byte keys in base64url (or base64), separated by commas.
 *
 * @throws {C3Error} CONFIG_INVALID with a line for each wrong entry, which names its number and never its value
 */
export function parseKeyring(text: string): Keyring {
  const entries = text.split(',').map((entry) => entry.trim());
  const mistakes: string[] = [];
  const keys: SealingKey[] = [];
  for (const [index, entry] of entries.entries()) {
    const label = `C3_SECRET entry ${index + 1} of ${entries.length}`;
    const mistake = findMistake(entry);
    if (mistake) {
      mistakes.push(`${label} ${mistake}`);
      continue;
    }
    const key = deriveKey(Buffer.from(entry, 'base64'));
    // The id must say which key opens a value. One pair of random keys in 4,096 has the same id by chance.
    if (keys.some((other) => other.id === key.id)) {
      mistakes.push(`${label} has the same key id as an earlier entry: it is there twice, or a new key is needed`);
    }
    keys.push(key);
  }
  const [first, ...others] = keys;
  if (mistakes.length > 0 || !first) {
    throw new C3Error('CONFIG_INVALID', mistakes.join('\n'), { hint: 'c3 keygen prints a new key' });
  }
  return { keys: [first, ...others] };
}

/**
 * Returns the text of one `C3_SECRET` entry: base64url, 43 characters.
 *
 * @param bytes 32 random bytes
 * @throws {C3Error} CONFIG_INVALID if these are not 32 bytes
 */
export function formatSecret(bytes: Uint8Array): string {
  if (bytes.length !== SECRET_BYTES) {
    throw new C3Error('CONFIG_INVALID', `A secret is ${SECRET_BYTES} bytes long, not ${bytes.length}`);
  }
  return Buffer.from(bytes).toString('base64url');
}

/**
 * Returns the public keys as a JWK set (RFC 7517 §5, RFC 8037 §2). The first one is the key to seal with. Contains
 * nothing secret.
 */
export function toJwks({ keys }: Keyring): { readonly keys: readonly { readonly kid: string; readonly x: string }[] } {
  return {
    keys: keys.map(({ id: kid, publicKey: x }) => ({ kty: 'OKP', crv: 'X25519', x, kid, use: 'enc', alg: 'ECDH-ES' })),
  };
}

/** Says what is wrong with an entry, as the end of a sentence that never quotes it. */
function findMistake(entry: string): string | undefined {
  if (entry === '') return 'is empty';
  if (/^[0-9a-f]{64}$/i.test(entry)) return 'looks like hex, not base64url';
  if (!/^[A-Za-z0-9_-]+=*$|^[A-Za-z0-9+/]+=*$/.test(entry)) return 'has a character that is not base64url';
  const bytes = Buffer.from(entry, 'base64');
  if (bytes.length !== SECRET_BYTES) return `is ${bytes.length} bytes long, not ${SECRET_BYTES}`;
  const bare = entry
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/={1,2}$/, '');
  if (bytes.toString('base64url') !== bare) return 'is not base64url as an encoder writes it: it is damaged';
  if (new Set(bytes).size < MIN_DISTINCT_BYTES) return 'is not random';
  return undefined;
}

function deriveKey(secret: Uint8Array): SealingKey {
  const derive = (use: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, '', `c3-seal-v1/${use}`, length));
  const privateKey = createPrivateKey({
    key: Buffer.concat([X25519_PKCS8_PREFIX, derive('x25519', 32)]),
    format: 'der',
    type: 'pkcs8',
  });
  const { x: publicKey } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (publicKey === undefined) throw new C3Error('INTERNAL', 'An X25519 key has no public half');
  return {
    id: derive('kid', 2).toString('base64url').slice(0, 2),
    secretKey: createSecretKey(derive('a256gcm', 32)),
    privateKey,
    publicKey,
  };
}
