import { C3Error } from '../errors.ts';
import type { Keyring } from './keyring.ts';
import { formatShortScope, parseShortScope, type Scope } from './scope.ts';
import { openBytes, pack, sealBytes, splitToken, toLinkHeader, unpack } from './token.ts';

/**
 * What the address of a build page holds, sealed: all that c3 needs to show the build, and what whoever has the address may do. It
 * is made only when the forge has confirmed the push, so that one that opens proves that the commit was the repository's then.
 */
export interface BuildLink {
  readonly right: 'look' | 'control';
  readonly scope: Scope;
  /** 12 hex digits. */
  readonly buildId: string;
  /** 40 or 64 lower-case hex digits, as `before`. */
  readonly sha: string;
  readonly isProtected: boolean;
  /** Undefined where there was no room for it. */
  readonly ref: { readonly kind: 'branch' | 'tag'; readonly name: string } | undefined;
  /** What the branch pointed at before the push; a link to look leaves it out. */
  readonly before: string | undefined;
  /** The access token that the hook's key holds. */
  readonly token: string;
}

/**
 * Seals with the first key of the keyring. What it makes is as long as it must be and no longer: GitLab takes no target of a commit
 * status beyond 255 characters. docs/sealing.md tells the form.
 *
 * @returns `kid.iv.ciphertext.tag`
 */
export function sealLink(keyring: Keyring, link: BuildLink): Promise<string> {
  const [key] = keyring.keys;
  return sealBytes(key, packLink(link), toLinkHeader(key.id));
}

/**
 * Opens what {@link sealLink} sealed, and nothing else: a value that was sealed with the public key, or by `/encrypt`, is none, or
 * anybody could give themselves the right to control a build. All that is wrong with it is told by one sentence.
 *
 * @throws {C3Error} SEALED_INVALID
 */
export async function openLink(keyring: Keyring, sealed: string): Promise<BuildLink> {
  try {
    const parts = splitToken(sealed);
    const key = keyring.keys.find(({ id }) => id === parts[0]);
    if (parts.length !== 4 || !key) throw new RangeError('Not a link');
    return unpackLink(await openBytes(key, parts, toLinkHeader(key.id)));
  } catch {
    // No cause: it would tell the cases apart wherever causes are logged or shown.
    throw new C3Error('SEALED_INVALID', 'This link does not open: it is not whole, or not of this c3', {
      hint: "follow the newest link, from the commit's status or from Telegram; an old one is gone with the key that sealed it",
    });
  }
}

const BUILD_ID_BYTES = 6;
const SHA1_BYTES = 20;
const SHA256_BYTES = 32;

/** The first byte. Those that are not named are 0, for forms to come. */
const FLAGS = { control: 1, protected: 2, sha256: 4, before: 8, branch: 16, tag: 32 } as const;

/** The flags, build id, sha, before, scope, ref, and what is left is the token. */
function packLink(link: BuildLink): Uint8Array {
  const { right, scope, buildId, sha, isProtected, ref, token } = link;
  const before = right === 'control' ? link.before : undefined;
  const flags =
    (right === 'control' ? FLAGS.control : 0) |
    (isProtected ? FLAGS.protected : 0) |
    (sha.length === SHA256_BYTES * 2 ? FLAGS.sha256 : 0) |
    (before === undefined ? 0 : FLAGS.before) |
    (ref === undefined ? 0 : FLAGS[ref.kind]);
  const shaBytes = toShaBytes(flags);
  return Buffer.concat([
    Buffer.of(flags),
    fromHex(buildId, BUILD_ID_BYTES),
    fromHex(sha, shaBytes),
    before === undefined ? Buffer.of() : fromHex(before, shaBytes),
    packName(formatShortScope(scope)),
    ref === undefined ? Buffer.of() : packName(ref.name),
    pack(token),
  ]);
}

function toShaBytes(flags: number): number {
  return (flags & FLAGS.sha256) === 0 ? SHA1_BYTES : SHA256_BYTES;
}

function fromHex(digits: string, byteLength: number): Uint8Array {
  const bytes = Buffer.from(digits, 'hex');
  if (digits.length === byteLength * 2 && bytes.length === byteLength) return bytes;
  throw new C3Error('INTERNAL', `A link has ${byteLength * 2} hex digits where it was given "${digits.slice(0, 80)}"`);
}

/** @throws {RangeError | TypeError | C3Error} when {@link packLink} makes no such bytes */
function unpackLink(bytes: Uint8Array): BuildLink {
  const reader = new ByteReader(bytes);
  const [flags = 0] = reader.take(1);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const shaBytes = toShaBytes(flags);
  const kind = has(FLAGS.tag) ? 'tag' : 'branch';
  return {
    right: has(FLAGS.control) ? 'control' : 'look',
    isProtected: has(FLAGS.protected),
    buildId: toHex(reader.take(BUILD_ID_BYTES)),
    sha: toHex(reader.take(shaBytes)),
    before: has(FLAGS.before) ? toHex(reader.take(shaBytes)) : undefined,
    scope: parseShortScope(unpackName(reader)),
    ref: has(FLAGS.branch) || has(FLAGS.tag) ? { kind, name: unpackName(reader) } : undefined,
    token: unpack(reader.take(reader.left)),
  };
}

class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new RangeError('The bytes end too early');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

/** Of repositories and refs, six bits a character: all that scopes may hold, and of capitals those that begin the most names. */
const NAME_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789-._/:ABCDEFGHIJKLMNOPRSTUVWZ';
const PLAIN_NAME = /^[a-z0-9._/:A-PR-WZ-]*$/;
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Its length, doubled, plus 1 for a name of other characters: two bytes, or one below 128, least significant seven bits first. Then
 * its characters, six bits each, or as UTF-8, whose length is then the one in bytes.
 */
function packName(name: string): Uint8Array {
  const isPlain = PLAIN_NAME.test(name);
  const bytes = isPlain ? packSixBits(name) : Buffer.from(name);
  const size = isPlain ? name.length * 2 : bytes.length * 2 + 1;
  return Buffer.concat([size < 0x80 ? Buffer.of(size) : Buffer.of((size & 0x7f) | 0x80, size >> 7), bytes]);
}

function unpackName(reader: ByteReader): string {
  const [low = 0] = reader.take(1);
  const [high = 0] = low < 0x80 ? [] : reader.take(1);
  const size = (low & 0x7f) | (high << 7);
  const length = size >> 1;
  if (size % 2 === 1) return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(reader.take(length));
  const text = Buffer.from(reader.take(toByteLength(length))).toString('base64url');
  return translate(text.slice(0, length), BASE64URL, NAME_ALPHABET);
}

function packSixBits(name: string): Uint8Array {
  // Whole groups of four, so that no bit of the last character is lost; the bytes that only they need are cut off.
  const padded = translate(name, NAME_ALPHABET, BASE64URL).padEnd(Math.ceil(name.length / 4) * 4, 'A');
  return Buffer.from(padded, 'base64url').subarray(0, toByteLength(name.length));
}

function toByteLength(characters: number): number {
  return Math.ceil((characters * 6) / 8);
}

function translate(text: string, from: string, to: string): string {
  return text.replaceAll(/./g, (character) => to[from.indexOf(character)] ?? '');
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
