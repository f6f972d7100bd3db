import { C3Error } from '../errors.ts';
import {
  formatShortScope,
  openBytes,
  pack,
  parseShortScope,
  sealBytes,
  splitToken,
  toLinkHeader,
  unpack,
  type Keyring,
} from '../sealing/index.ts';
import { toEventKind, UNKNOWN_COMMIT, type Build, type Ref, type Trust } from './build.ts';

/**
 * The sealed part of a build page's address: what c3 needs to show the build, and the right of its holder (A14). c3
 * makes a link only after the forge has proven the push. So a link that opens proves that the commit belonged to the
 * ref then.
 */
export interface BuildLink {
  readonly right: 'view' | 'control';
  /** Without the commit's subject and author. A link to view has no `before`. */
  readonly build: Build & { readonly trust: Trust };
  /** The access token that the hook's key holds. */
  readonly token: string;
  /** The link was given for a token, so the forge must prove the commit again before the build is run again. */
  readonly isGiven?: boolean;
}

/**
 * Seals a link with the first key of the keyring. The result is as short as possible, because GitLab refuses a commit
 * status with a target of more than 255 characters. docs/sealing.md describes the format.
 *
 * @returns `kid.iv.ciphertext.tag`
 */
export function sealLink(keyring: Keyring, link: BuildLink): Promise<string> {
  const [key] = keyring.keys;
  return sealBytes(key, packLink(link), toLinkHeader(key.id));
}

/**
 * Opens only what {@link sealLink} sealed. A value that was sealed with the public key or by `/encrypt` is not a
 * link, because such a link would give any user the right to control a build. Every fault has the same message.
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
    // No cause, because it would show the kind of the fault.
    throw new C3Error('SEALED_INVALID', 'This link does not open: it is incomplete, or belongs to another c3', {
      hint: "use the newest link, from the commit's status or from Telegram; an old link ends with the key that sealed it",
    });
  }
}

const BUILD_ID_BYTES = 6;
const SHA1_BYTES = 20;
const SHA256_BYTES = 32;

/** The bits of the first byte. Bits without a name are 0. */
const FLAGS = { control: 1, protected: 2, sha256: 4, before: 8, branch: 16, tag: 32, given: 64, pull: 128 } as const;

/** The bits of the first byte of a pull request. */
const PULL_FLAGS = { fork: 1, draft: 2 } as const;

/** Writes flags, build id, sha, before, scope, ref and pull request. The token follows. */
function packLink(link: BuildLink): Uint8Array {
  const { right, token } = link;
  const { id, scope, ref, sha, trust } = link.build;
  const before = right === 'control' ? link.build.before : undefined;
  const flags =
    (right === 'control' ? FLAGS.control : 0) |
    (trust === 'protected' ? FLAGS.protected : 0) |
    (sha.length === SHA256_BYTES * 2 ? FLAGS.sha256 : 0) |
    (before === undefined ? 0 : FLAGS.before) |
    (link.isGiven === true ? FLAGS.given : 0) |
    (link.build.pull === undefined ? 0 : FLAGS.pull) |
    (ref.name === '' || ref.kind === 'pull' ? 0 : FLAGS[ref.kind]);
  const shaBytes = toShaBytes(flags);
  return Buffer.concat([
    Buffer.of(flags),
    fromHex(id, BUILD_ID_BYTES),
    fromHex(sha, shaBytes),
    before === undefined ? Buffer.of() : fromHex(before, shaBytes),
    packName(formatShortScope(scope)),
    ref.name === '' || ref.kind === 'pull' ? Buffer.of() : packName(ref.name),
    packPull(link.build, shaBytes),
    pack(token),
  ]);
}

/** Writes flags, number, base and, for a fork, the commit of c3.yaml. The head of a fork is asked of the forge. */
function packPull({ pull, configSha = '' }: Build, shaBytes: number): Uint8Array {
  if (pull === undefined) return Buffer.of();
  const flags = (pull.isFork ? PULL_FLAGS.fork : 0) | (pull.isDraft ? PULL_FLAGS.draft : 0);
  const config = pull.isFork ? fromHex(configSha, shaBytes) : Buffer.of();
  return Buffer.concat([Buffer.of(flags), packName(String(pull.number)), packName(pull.base), config]);
}

type UnpackedPull = Pick<Build, 'event' | 'ref' | 'pull' | 'configSha'>;

function unpackPull(reader: ByteReader, branch: Ref, shaBytes: number): UnpackedPull {
  const [flags = 0] = reader.read(1);
  const isFork = (flags & PULL_FLAGS.fork) !== 0;
  const name = unpackName(reader);
  const base = unpackName(reader);
  const isDraft = (flags & PULL_FLAGS.draft) !== 0;
  const pull = { number: Number(name), base, head: isFork ? '' : branch.name, isDraft, isFork };
  if (!isFork) return { event: 'pull_request', ref: branch, pull };
  return { event: 'pull_request', ref: { kind: 'pull', name }, pull, configSha: toHex(reader.read(shaBytes)) };
}

function toShaBytes(flags: number): number {
  return (flags & FLAGS.sha256) === 0 ? SHA1_BYTES : SHA256_BYTES;
}

function fromHex(digits: string, byteLength: number): Uint8Array {
  const bytes = Buffer.from(digits, 'hex');
  if (digits.length === byteLength * 2 && bytes.length === byteLength) return bytes;
  throw new C3Error('INTERNAL', `A link needs ${byteLength * 2} hex digits, not "${digits.slice(0, 80)}"`);
}

/** @throws {RangeError | TypeError | C3Error} for bytes that {@link packLink} did not write */
function unpackLink(bytes: Uint8Array): BuildLink {
  const reader = new ByteReader(bytes);
  const [flags = 0] = reader.read(1);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const shaBytes = toShaBytes(flags);
  const right = has(FLAGS.control) ? 'control' : 'view';
  const id = toHex(reader.read(BUILD_ID_BYTES));
  const sha = toHex(reader.read(shaBytes));
  const before = has(FLAGS.before) ? toHex(reader.read(shaBytes)) : undefined;
  const scope = parseShortScope(unpackName(reader));
  const ref: Ref = {
    kind: has(FLAGS.tag) ? 'tag' : 'branch',
    // Earlier versions omitted a name that was too long for the forge.
    name: has(FLAGS.branch) || has(FLAGS.tag) ? unpackName(reader) : '',
  };
  const pull = has(FLAGS.pull) ? unpackPull(reader, ref, shaBytes) : { event: toEventKind(ref), ref };
  const trust = pull.ref.kind === 'pull' ? 'fork' : has(FLAGS.protected) ? 'protected' : 'other';
  const build = { id, scope, sha, before, cause: 'webhook', trust, commit: UNKNOWN_COMMIT, ...pull } as const;
  return { right, build, token: unpack(reader.read(reader.left)), ...(has(FLAGS.given) ? { isGiven: true } : {}) };
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

  read(count: number): Uint8Array {
    if (count > this.left) throw new RangeError('The bytes end too early');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

/**
 * The characters of repositories and refs, six bits each: all characters of a scope, and the most frequent capitals.
 */
const NAME_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789-._/:ABCDEFGHIJKLMNOPRSTUVWZ';
const PLAIN_NAME = /^[a-z0-9._/:A-PR-WZ-]*$/;
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Writes the doubled length, plus 1 if the name has other characters: one byte below 128, else two, the lower seven
 * bits first. The characters follow, six bits each. A name with other characters follows as UTF-8, and its length
 * counts bytes.
 */
function packName(name: string): Uint8Array {
  const isPlain = PLAIN_NAME.test(name);
  const bytes = isPlain ? packSixBits(name) : Buffer.from(name);
  const size = isPlain ? name.length * 2 : bytes.length * 2 + 1;
  return Buffer.concat([size < 0x80 ? Buffer.of(size) : Buffer.of((size & 0x7f) | 0x80, size >> 7), bytes]);
}

function unpackName(reader: ByteReader): string {
  const [low = 0] = reader.read(1);
  const [high = 0] = low < 0x80 ? [] : reader.read(1);
  const size = (low & 0x7f) | (high << 7);
  const length = size >> 1;
  if (size % 2 === 1) return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(reader.read(length));
  const text = Buffer.from(reader.read(toByteLength(length))).toString('base64url');
  return translate(text.slice(0, length), BASE64URL, NAME_ALPHABET);
}

function packSixBits(name: string): Uint8Array {
  // Groups of four characters keep all bits of the last one. The bytes of the padding are cut off.
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
