import { compactDecrypt } from 'jose';

import { C3Error } from '../errors.ts';
import { checkPlaintext } from './check-plaintext.ts';
import { encodeHeader, toHeader, type Binding, type Header } from './header.ts';
import type { Keyring, SealingKey } from './keyring.ts';
import { unpack } from './pack.ts';
import { formatPurpose, type Purpose } from './purpose.ts';
import { formatScope } from './scope.ts';

export interface Opened {
  readonly plaintext: string;
  /** Whether it was sealed with another key than the first of `C3_SECRET`: it should be sealed again before that key goes. */
  readonly isOldKey: boolean;
}

/** Longest token that is looked at: 16 KiB of plaintext make one of about 22,000 characters. */
const MAX_TOKEN_CHARACTERS: number = 24 * 1024;

const KEY_ID = /^[A-Za-z0-9_-]{2}$/;

/**
 * Opens what {@link ./seal.ts} sealed, for the repository and the purpose it was sealed for.
 *
 * A value of another repository, of another purpose and a damaged one are told by the same sentence: who pastes a foreign
 * value learns nothing from the answer. That the key is unknown may be told, its id is public.
 *
 * @throws {C3Error} SEALED_INVALID
 */
export async function openSealed(keyring: Keyring, token: string, binding: Binding): Promise<Opened> {
  const hint = `seal it again with c3 encrypt --repo ${formatScope(binding.scope)} --for ${formatPurpose(binding.purpose)}`;
  const parts = splitToken(token);
  const isWhole = parts.length === 4 || parts.length === 5;
  const key = keyring.keys.find(({ id }) => id === parts[0]);
  if (isWhole && !key) {
    throw new C3Error('SEALED_INVALID', `${toSubject(binding)} was sealed with a key this c3 does not have`, { hint });
  }
  try {
    if (!isWhole || !key) throw new RangeError('Not a sealed value');
    if (parts.length === 5 && isOperators(binding.purpose))
      throw new RangeError('Anybody can seal with the public key');
    const bytes = await openBytes(key, parts, toHeader(parts.length === 4 ? 'dir' : 'ECDH-ES', key.id, binding));
    const plaintext = unpack(bytes);
    // Anyone may seal with the public key, unchecked. The other purposes have readers of their own; a token goes into a header.
    if (binding.purpose.kind === 'hook') checkPlaintext(binding.purpose, plaintext);
    return { plaintext, isOldKey: key !== keyring.keys[0] };
  } catch {
    // No cause: jose's words would tell the cases apart wherever causes are logged or shown.
    throw new C3Error(
      'SEALED_INVALID',
      `${toSubject(binding)} does not open for ${formatScope(binding.scope)}: it is damaged, or was sealed for another repository or purpose`,
      { hint },
    );
  }
}

/** Whether only who has `C3_SECRET` may seal for it. */
function isOperators(purpose: Purpose): boolean {
  return purpose.kind === 'telegram' && purpose.bot === 'operator';
}

/** The parts of a token whose form is right; of any other none. */
export function splitToken(token: string): readonly string[] {
  const parts = token.length > MAX_TOKEN_CHARACTERS ? [] : token.split('.');
  const [kid = '', ...encoded] = parts;
  return KEY_ID.test(kid) && encoded.every(isBase64Url) ? parts : [];
}

/**
 * @param parts of four for a header of `dir`, of five for one of `ECDH-ES`
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

/** One byte sequence, one spelling: decoders ignore the unused bits of a last character, so that two texts could open alike. */
function isBase64Url(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part;
}

const SUBJECTS: Readonly<Record<Exclude<Purpose['kind'], 'secret'>, string>> = {
  hook: 'The key in the hook URL',
  k8s: 'The sealed kubeconfig',
  telegram: 'The sealed Telegram destination',
};

function toSubject({ purpose }: Binding): string {
  return purpose.kind === 'secret' ? `The sealed secret ${purpose.name}` : SUBJECTS[purpose.kind];
}
