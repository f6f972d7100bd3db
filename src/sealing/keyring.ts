import { createPrivateKey, createPublicKey, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

import { C3Error } from '../errors.ts';

/** The keys of one c3, in the order of `C3_SECRET`: the first seals, all open. Key objects, so that printing one shows no key. */
export interface Keyring {
  readonly keys: readonly [SealingKey, ...SealingKey[]];
}

/** What is derived from one entry of `C3_SECRET`. */
export interface SealingKey {
  /** The key's public name, two base64url characters: enough to tell the few keys of a keyring apart, and short in a URL. */
  readonly id: string;
  /** AES-256-GCM. */
  readonly secretKey: KeyObject;
  /** X25519. */
  readonly privateKey: KeyObject;
  /** The public half, 32 bytes as base64url. */
  readonly publicKey: string;
}

/** A public key as `/.well-known/jwks.json` shows it (RFC 8037 §2). */
export interface PublicJwk {
  readonly kty: 'OKP';
  readonly crv: 'X25519';
  readonly x: string;
  readonly kid: string;
  readonly use: 'enc';
  readonly alg: 'ECDH-ES';
}

/** 256 bits: the strength of AES-256 and of X25519's scalar. */
const SECRET_BYTES = 32;

/** Random bytes hold about 30 different values; a constant, a word or a repeated pattern holds fewer than this. */
const MIN_DISTINCT_BYTES = 12;

/** PKCS #8 (RFC 8410 §7) around 32 raw bytes of an X25519 private key; Node imports no raw ones. */
const X25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/**
 * Reads `C3_SECRET`: one or more 32-byte keys in base64url (or base64), separated by commas.
 *
 * @throws {C3Error} CONFIG_INVALID, a line for each entry that is wrong, by its number and never by its value
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
    // Two entries with the same id would make "which key" a guess. One pair of random keys in 4,096 meets by chance.
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
 * The text of one `C3_SECRET` entry: base64url, 43 characters.
 *
 * @param bytes 32 random bytes
 * @throws {C3Error} CONFIG_INVALID when these are not 32 bytes
 */
export function formatSecret(bytes: Uint8Array): string {
  if (bytes.length !== SECRET_BYTES) {
    throw new C3Error('CONFIG_INVALID', `A secret is ${SECRET_BYTES} bytes long, not ${bytes.length}`);
  }
  return Buffer.from(bytes).toString('base64url');
}

/** The public keys as a JWK set (RFC 7517 §5), the key to seal with first. Holds nothing secret. */
export function toJwks(keyring: Keyring): Promise<{ keys: PublicJwk[] }> {
  const keys = keyring.keys.map(({ id, publicKey }): PublicJwk => ({
    kty: 'OKP',
    crv: 'X25519',
    x: publicKey,
    kid: id,
    use: 'enc',
    alg: 'ECDH-ES',
  }));
  return Promise.resolve({ keys });
}

/** What is wrong with an entry, as the end of a sentence; never quotes it. */
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
