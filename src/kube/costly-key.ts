import { constants, createPublicKey, publicEncrypt, randomBytes, type JsonWebKey, type KeyObject } from 'node:crypto';

/** What API servers verify. Go knows no keys of the kind rsa-pss. */
const KEY_TYPES: readonly string[] = ['ec', 'ed25519', 'rsa'];
const MAX_RSA_BITS = 4096;
/** Beyond half of the modulus's bits: primes are as long as each other, or nearly. */
const SPARE_PRIME_BITS = 8;
/** Of the number that shows whether a prime is one. */
const BASE_BITS = 64n;
/** What Go takes; OpenSSL raises each signature to it, to look whether it is right. */
const MAX_EXPONENT = 2n ** 31n - 1n;

/**
 * Each connection is signed for with the key, on the thread that does all else: 5 ms with 4,096 bits of RSA, 280 ms with 15,360. And
 * more with 4,096 whose other numbers do not belong together: OpenSSL reckons with them as they are, however long (58 ms with primes of
 * 4,096 bits), and once more without the primes (22 ms) when the first signature was not right. What is wrong with it; undefined: nothing.
 *
 * @see https://github.com/openssl/openssl/blob/master/crypto/rsa/rsa_ossl.c rsa_ossl_mod_exp
 */
export function findCostlyKey(key: KeyObject): string | undefined {
  const type: string = key.asymmetricKeyType ?? 'unknown';
  if (!KEY_TYPES.includes(type)) return `is a key of the kind ${type}; c3 takes ${KEY_TYPES.join(', ')}`;
  if (type !== 'rsa') return undefined;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits > MAX_RSA_BITS) return `is an RSA key of ${bits} bits; c3 takes ${MAX_RSA_BITS} at most`;
  return isConsistent(key.export({ format: 'jwk' }), bits)
    ? undefined
    : 'is an RSA key whose numbers do not belong together';
}

/** RFC 8017 §3.2, of two primes. The lengths come first: the numbers may be as long as the file. */
function isConsistent(key: JsonWebKey, bits: number): boolean {
  const [n, e, d, p, q, dp, dq, qi] = [key.n, key.e, key.d, key.p, key.q, key.dp, key.dq, key.qi].map(toNumber);
  if (!n || !e || !d || !p || !q || !dp || !dq || !qi) return false;
  const maxPrimeBits = BigInt(Math.ceil(bits / 2) + SPARE_PRIME_BITS);
  const arePrimeLengths = [p, q].every((prime) => prime >> maxPrimeBits === 0n && prime >> BASE_BITS > 0n);
  if (!arePrimeLengths || p * q !== n || e > MAX_EXPONENT) return false;
  if (d >= n || dp >= p || dq >= q || qi >= p) return false;
  const areInverse = (e * dp) % (p - 1n) === 1n && (e * dq) % (q - 1n) === 1n && (qi * q) % p === 1n;
  return areInverse && isLikePrime(p) && isLikePrime(q);
}

function toNumber(text: string | undefined): bigint {
  return text === undefined ? 0n : BigInt(`0x0${Buffer.from(text, 'base64url').toString('hex')}`);
}

/**
 * Fermat's test: by OpenSSL, which raises a number to p - 1 in 2 ms where BigInt would take 10. The number is drawn at random, so that no
 * composite can be made for it; those that pass it whatever is drawn sign as primes do.
 */
function isLikePrime(p: bigint): boolean {
  const [modulus, exponent] = [toBytes(p), toBytes(p - 1n)];
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
  const baseBytes = Number(BASE_BITS) / 8;
  const base = Buffer.concat([Buffer.alloc(modulus.length - baseBytes), randomBytes(baseBytes)]);
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return BigInt(`0x${publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, base).toString('hex')}`) === 1n;
  } catch {
    // OpenSSL takes no even modulus, for one.
    return false;
  }
}

function toBytes(number: bigint): Buffer {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}
