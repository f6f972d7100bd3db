import { compactDecrypt, CompactEncrypt } from 'jose';
import { C3Error } from '../errors.ts';
import type { SealingKey } from './keyring.ts';
import { formatPurpose, type Purpose } from './purpose.ts';
import { formatScope, type Scope } from './scope.ts';

/** The format of sealed values. docs/sealing.md describes it, and golden vectors fix it. */

/**
 * Where a sealed value opens: in this repository, for this purpose and, if the user asked for it, in builds of the refs
 * that match a pattern. All are authenticated, and none is in the token (A1).
 */
export interface Binding {
  readonly scope: Scope;
  readonly purpose: Purpose;
  /**
   * `refs/heads/main`, `refs/tags/v*`: sealed character by character. Callers that seal check it
   * first with `checkRefPattern`. Callers that open compare it first with the ref of the build.
   */
  readonly ref?: string | undefined;
}

/** The protected header, for the public key still without `epk`. The order of the members is part of the format. */
// A type and not an interface: jose requires an index signature, which only a type has implicitly.
export type Header = {
  /** `dir`: sealed with `C3_SECRET`. `ECDH-ES`: sealed with the public key. */
  alg: 'dir' | 'ECDH-ES';
  enc: 'A256GCM';
  kid: string;
  /** `c3/` and the purpose. */
  typ: string;
  /** The scope. */
  sub: string;
  /** The ref pattern. A value for all refs does not have this member, so values of earlier versions open. */
  ref?: string;
};

export function toHeader(alg: Header['alg'], kid: string, { scope, purpose, ref }: Binding): Header {
  const header: Header = { alg, enc: 'A256GCM', kid, typ: `c3/${formatPurpose(purpose)}`, sub: formatScope(scope) };
  return ref === undefined ? header : { ...header, ref };
}

/** Returns the header of a link to a build. No purpose has its `typ`, and no repository its empty `sub`. */
export function toLinkHeader(kid: string): Header {
  return { alg: 'dir', enc: 'A256GCM', kid, typ: 'c3/link', sub: '' };
}

/**
 * Returns the header as the first part of a compact JWE (RFC 7516 §7.1), base64url of its JSON without spaces. It is
 * the additional authenticated data: if one byte differs, the value does not open.
 *
 * @param ephemeralKey `epk.x` of a value sealed with the public key. `epk` comes last and its members are `x`, `crv`,
 *   `kty`, the order in which jose writes them.
 */
export function encodeHeader(header: Header, ephemeralKey?: string): string {
  const epk = ephemeralKey === undefined ? {} : { epk: { x: ephemeralKey, crv: 'X25519', kty: 'OKP' } };
  return Buffer.from(JSON.stringify({ ...header, ...epk })).toString('base64url');
}

/** Seals bytes under a header of `dir`. Returns `kid.iv.ciphertext.tag`. */
export async function sealBytes({ id, secretKey }: SealingKey, bytes: Uint8Array, header: Header): Promise<string> {
  const jwe = await new CompactEncrypt(bytes).setProtectedHeader(header).encrypt(secretKey);
  return [id, ...detachHeader(jwe, encodeHeader(header))].join('.');
}

/** Returns `[iv, ciphertext, tag]` of a compact JWE without an encrypted key. @throws {C3Error} INTERNAL */
export function detachHeader(jwe: string, expectedHeader: string): [string, string, string] {
  const [header, , iv, ciphertext, tag] = jwe.split('.');
  // The header is dropped here and rebuilt when the value is opened. If jose ever wrote it in another way, the value
  // could never be opened again. So sealing fails instead.
  if (header !== expectedHeader || !iv || !ciphertext || !tag) {
    throw new C3Error('INTERNAL', 'The sealed header is not the one that opening would rebuild; nothing was sealed');
  }
  return [iv, ciphertext, tag];
}

/**
 * Opens the parts of a token.
 *
 * @param parts four for a header of `dir`, five for one of `ECDH-ES`
 * @throws jose's errors
 */
export async function openBytes(key: SealingKey, parts: readonly string[], header: Header): Promise<Uint8Array> {
  const { alg } = header;
  const ephemeralKey = alg === 'dir' ? undefined : parts[1];
  const [iv, ciphertext, tag] = parts.slice(-3);
  const jwe = `${encodeHeader(header, ephemeralKey)}..${iv}.${ciphertext}.${tag}`;
  // One algorithm each and no compression: nothing in a token chooses how it is opened (RFC 8725 §3.1).
  const { plaintext } = await compactDecrypt(jwe, alg === 'dir' ? key.secretKey : key.privateKey, {
    keyManagementAlgorithms: [alg],
    contentEncryptionAlgorithms: ['A256GCM'],
    maxDecompressedLength: 0,
  });
  return plaintext;
}

/** Longest token that is read. 16 KiB of plaintext make a token of about 22,000 characters. */
const MAX_TOKEN_CHARACTERS: number = 24 * 1024;

const KEY_ID = /^[A-Za-z0-9_-]{2}$/;

/** Returns the parts of a token, the first of which is the key's id; none if a part is malformed. */
export function splitToken(token: string): readonly string[] {
  const parts = token.length > MAX_TOKEN_CHARACTERS ? [] : token.split('.');
  const [kid = '', ...encoded] = parts;
  return KEY_ID.test(kid) && encoded.every(isBase64Url) ? parts : [];
}

/**
 * Whether a part is canonical. Decoders ignore the unused bits of the last character, so that two texts could open
 * alike.
 */
function isBase64Url(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
}

/**
 * Fillers of {@link pack}. A hook's URL must be short (see `hook.ts`), and nearly all access tokens consist of
 * base64url's characters, six bits each. Such a text is *decoded*, so that its ciphertext in base64url is about as
 * long as the text and not a third longer.
 *
 * The six highest bits of the first byte are the form:
 * - 0: the byte is 0x00, and UTF-8 follows;
 * - 1…4: the bytes are base64url's decoding of a filler and the text. The filler has this number of characters, and
 *   makes the length a multiple of four: `B`, `CA`, `DAA` or `EAAA`.
 */
const FILLERS = ['B', 'CA', 'DAA', 'EAAA'] as const;

/** Converts a text to the bytes that are sealed. @param text well-formed Unicode (no lone surrogates) */
export function pack(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return Buffer.concat([Buffer.of(0), Buffer.from(text)]);
  const filler = FILLERS[3 - (text.length % 4)] ?? '';
  return Buffer.from(filler + text, 'base64url');
}

/**
 * Converts the bytes back to the text. @throws {RangeError | TypeError} for bytes that {@link pack} does not return
 */
export function unpack(bytes: Uint8Array): string {
  const form = (bytes[0] ?? 0xff) >> 2;
  if (bytes[0] === 0) return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(1));
  const filler = FILLERS[form - 1];
  const text = Buffer.from(bytes).toString('base64url');
  if (filler === undefined || bytes.length % 3 !== 0 || !text.startsWith(filler) || text === filler) {
    throw new RangeError('Not a packed text');
  }
  return text.slice(filler.length);
}
