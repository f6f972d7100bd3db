import { createPrivateKey, generateKeyPairSync, generatePrimeSync, type KeyObject } from 'node:crypto';

/** The numbers of an RSA key, by their names in RFC 7518 §6.3, in the order in which RFC 8017 §A.1.2 writes them. */
export interface RsaNumbers {
  readonly n: bigint;
  readonly e: bigint;
  readonly d: bigint;
  readonly p: bigint;
  readonly q: bigint;
  readonly dp: bigint;
  readonly dq: bigint;
  readonly qi: bigint;
}

/** Of a key that is as it should be. */
export function createRsaNumbers(): RsaNumbers {
  const { n, e, d, p, q, dp, dq, qi } = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    format: 'jwk',
  });
  const [N, E, D, P, Q, DP, DQ, QI] = [n, e, d, p, q, dp, dq, qi].map((text = '') =>
    BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`),
  );
  return { n: N ?? 0n, e: E ?? 0n, d: D ?? 0n, p: P ?? 0n, q: Q ?? 0n, dp: DP ?? 0n, dq: DQ ?? 0n, qi: QI ?? 0n };
}

/** Of one whose factors are primes of so many bits, the first of them times `times`; all that belongs to them is right. */
export function createRsaNumbersOf(
  pBits: number,
  qBits: number,
  { e = 65_537n, times = 1n }: { readonly e?: bigint; readonly times?: bigint } = {},
): RsaNumbers {
  for (;;) {
    const [p, q] = [generatePrimeSync(pBits, { bigint: true }) * times, generatePrimeSync(qBits, { bigint: true })];
    const [d, dp, dq, qi] = [invert(e, (p - 1n) * (q - 1n)), invert(e, p - 1n), invert(e, q - 1n), invert(q, p)];
    if (d && dp && dq && qi) return { n: p * q, e, d, p, q, dp, dq, qi };
  }
}

/** Of one whose factors are products of two primes each, and all else as if they were primes. */
export function createCompositeNumbers(): RsaNumbers {
  const e = 65_537n;
  for (;;) {
    const [a, b, c, g] = Array.from({ length: 4 }, () => generatePrimeSync(512, { bigint: true })) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    const [p, q] = [a * b, c * g];
    const [dp, dq, qi] = [invert(e, p - 1n), invert(e, q - 1n), invert(q, p)];
    if (dp && dq && qi) return { n: p * q, e, d: p * q - 2n, p, q, dp, dq, qi };
  }
}

export function createRsaKey({ n, e, d, p, q, dp, dq, qi }: RsaNumbers): KeyObject {
  const key = toDer(0x30, Buffer.concat([0n, n, e, d, p, q, dp, dq, qi].map(toInteger)));
  return createPrivateKey({ key, format: 'der', type: 'pkcs1' });
}

/** Undefined where there is no inverse. */
function invert(number: bigint, modulus: bigint): bigint | undefined {
  let [rest, next, factor, nextFactor] = [number % modulus, modulus, 1n, 0n];
  while (next > 0n) {
    const times = rest / next;
    [rest, next, factor, nextFactor] = [next, rest - times * next, nextFactor, factor - times * nextFactor];
  }
  return rest === 1n ? ((factor % modulus) + modulus) % modulus : undefined;
}

/** Of a number that is not negative, so that its highest bit is 0. */
function toInteger(number: bigint): Buffer {
  const hex = number.toString(16);
  const isOdd = hex.length % 2 === 1;
  return toDer(0x02, Buffer.from(isOdd ? `0${hex}` : hex >= '8' ? `00${hex}` : hex, 'hex'));
}

function toDer(tag: number, content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([Buffer.from([tag, 0x84]), length, content]);
}
