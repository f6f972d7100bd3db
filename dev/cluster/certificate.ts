import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** PEM, all three. */
export interface Certificate {
  readonly key: string;
  readonly certificate: string;
  /** The authority that a client trusts. */
  readonly authority: string;
}

const LIFETIME_MS = 365 * 86_400_000;
/** Clocks differ: a certificate that is valid from this second may not be valid yet on another machine. */
const BEGUN_BEFORE_MS = 3_600_000;

/** Object identifiers: RFC 5758 §3.2, X.520 §6.2.2, RFC 5280 §4.2.1. */
const ECDSA_WITH_SHA256 = [1, 2, 840, 10_045, 4, 3, 2];
const COMMON_NAME = [2, 5, 4, 3];
const KEY_USAGE = [2, 5, 29, 15];
const SUBJECT_ALT_NAME = [2, 5, 29, 17];
const BASIC_CONSTRAINTS = [2, 5, 29, 19];

/** Bits of keyUsage, from the left. The first byte is the number of unused bits on the right. */
const DIGITAL_SIGNATURE = [7, 0b1000_0000];
const KEY_CERT_SIGN = [2, 0b0000_0100];

/**
 * Creates a certificate for an IP address and `localhost` from a new authority. It is valid for a year, longer than
 * an embedded cluster lives. It is encoded here because Node creates keys and signatures but no certificates, and the
 * packages that do add twenty dependencies.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-4.1
 */
export function createCertificate(host: string): Certificate {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = 'c3 embedded cluster CA';
  const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, toAddressBytes(host)));
  return {
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: issue(
      { issuer, subject: 'c3 embedded cluster', key: server.publicKey, signer: authority.privateKey },
      [
        extension(BASIC_CONSTRAINTS, { isCritical: true }, sequence()),
        extension(KEY_USAGE, { isCritical: true }, tagged(0x03, Buffer.from(DIGITAL_SIGNATURE))),
        extension(SUBJECT_ALT_NAME, { isCritical: false }, names),
      ],
    ),
    authority: issue({ issuer, subject: issuer, key: authority.publicKey, signer: authority.privateKey }, [
      extension(BASIC_CONSTRAINTS, { isCritical: true }, sequence(TRUE)),
      extension(KEY_USAGE, { isCritical: true }, tagged(0x03, Buffer.from(KEY_CERT_SIGN))),
    ]),
  };
}

interface Order {
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly signer: KeyObject;
}

function issue({ issuer, subject, key, signer }: Order, extensions: readonly Buffer[]): string {
  const algorithm = sequence(oid(ECDSA_WITH_SHA256));
  const now = Date.now();
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))), // version 3
    integer(randomBytes(16)),
    algorithm,
    name(issuer),
    sequence(time(now - BEGUN_BEFORE_MS), time(now + LIFETIME_MS)),
    name(subject),
    key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, signer)]));
  const lines =
    sequence(body, algorithm, signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Encodes in DER: tag, length, content (X.690 §8.1, §10.1). */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = length < 0x1_00 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...digits]), content]);
}

const TRUE = tagged(0x01, Buffer.from([0xff]));

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

/** Encodes a positive integer in the minimal form: its first byte is 1 to 127. */
function integer(bytes: Buffer): Buffer {
  const first = (bytes[0] ?? 0) & 0x7f || 1;
  return tagged(0x02, Buffer.concat([Buffer.from([first]), bytes.subarray(1)]));
}

/** Encodes in base 128; the first two arcs share one number. */
function oid([first = 0, second = 0, ...arcs]: readonly number[]): Buffer {
  const bytes = arcs.flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let rest = arc >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
    return digits;
  });
  return tagged(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

/**
 * Encodes as GeneralizedTime (`20261122113400Z`), or up to 2049 as UTCTime (`261122113400Z`), as RFC 5280 requires.
 */
function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replace(/\.\d+|[-:T]/g, '');
  const year = Number(digits.slice(0, 4));
  return year < 2050 ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits));
}

function name(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid(COMMON_NAME), tagged(0x0c, Buffer.from(commonName)))));
}

function extension(id: readonly number[], { isCritical }: { isCritical: boolean }, value: Buffer): Buffer {
  return sequence(oid(id), ...(isCritical ? [TRUE] : []), tagged(0x04, value));
}

/** Returns the 4 or 16 bytes of an address. */
function toAddressBytes(host: string): Buffer {
  if (isIP(host) !== 6) return Buffer.from(host.split('.').map(Number));
  const [head = '', tail] = host.split('::');
  const left = head.split(':').filter(Boolean);
  const right = (tail ?? '').split(':').filter(Boolean);
  const groups = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
