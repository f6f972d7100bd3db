import { C3Error } from '../errors.ts';

/**
 * What a sealed value is for. It opens for no other purpose: a kubeconfig pasted into `secrets:` does not open there.
 */
export type Purpose =
  /** A forge's access token, in the URL of a webhook. `optional`: deliveries may come without a signature. */
  | { readonly kind: 'hook'; readonly signature?: 'optional' | undefined }
  /** A kubeconfig, `k8s:` in c3.yaml. */
  | { readonly kind: 'k8s' }
  /**
   * A Telegram destination, `telegram:` in c3.yaml. `operator`: without a bot's token, so that the operator's bot
   * writes to it. Only a holder of `C3_SECRET` can seal for it. Otherwise any user could make that bot write to any chat.
   * `/encrypt` cannot name this purpose, and a value sealed with the public key does not open for it.
   */
  | { readonly kind: 'telegram'; readonly bot?: 'operator' | undefined }
  /** One environment variable of the steps, `secrets: {NAME: …}` in c3.yaml. */
  | { readonly kind: 'secret'; readonly name: string };

const UNSIGNED_HOOK = 'hook:signature=optional';
const OPERATORS_TELEGRAM = 'telegram:bot=operator';

/** Limits the name of a secret, so that the sealed header and the messages about it are short. */
const MAX_SECRET_NAME_CHARACTERS = 100;

/**
 * Reads `hook`, `hook:signature=optional`, `k8s`, `telegram` or `secret:NAME`, where NAME is a shell variable's name
 * of at most 100 characters.
 *
 * @throws {C3Error} USAGE_INVALID for any other text
 */
export function parsePurpose(text: string): Purpose {
  if (text === 'hook' || text === 'k8s' || text === 'telegram') return { kind: text };
  if (text === UNSIGNED_HOOK) return { kind: 'hook', signature: 'optional' };
  const name = text.startsWith('secret:') ? text.slice('secret:'.length) : undefined;
  if (name === undefined) {
    throw new C3Error(
      'USAGE_INVALID',
      `Purpose "${text.slice(0, 120)}" is not one of hook, k8s, telegram, secret:NAME`,
    );
  }
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name.length > MAX_SECRET_NAME_CHARACTERS) {
    throw new C3Error('USAGE_INVALID', `Secret name "${name.slice(0, 120)}" is not a name of a shell variable`, {
      hint: `letters, digits and "_", no digit first, at most ${MAX_SECRET_NAME_CHARACTERS} characters, for example secret:DEPLOY_KEY`,
    });
  }
  return { kind: 'secret', name };
}

/**
 * Returns the purpose of a hook key whose deliveries need no signature, if `signature` is "optional". It is a purpose
 * of its own, so that only a key that was sealed for it opens with `signature=optional` in its URL (A4).
 *
 * @throws {C3Error} USAGE_INVALID if `signature` is another text, or the purpose is not a hook
 */
export function withSignature(purpose: Purpose, signature: string | undefined): Purpose {
  if (signature === undefined || signature === 'required') return purpose;
  if (signature !== 'optional') {
    throw new C3Error('USAGE_INVALID', `Signature "${signature.slice(0, 120)}" is not one of required, optional`);
  }
  if (purpose.kind !== 'hook') throw new C3Error('USAGE_INVALID', 'Only a hook has a signature');
  return { kind: 'hook', signature };
}

/** Formats a purpose. {@link parsePurpose} reads the result, except `telegram:bot=operator`. */
export function formatPurpose(purpose: Purpose): string {
  if (purpose.kind === 'secret') return `secret:${purpose.name}`;
  if (purpose.kind === 'telegram' && purpose.bot === 'operator') return OPERATORS_TELEGRAM;
  return purpose.kind === 'hook' && purpose.signature === 'optional' ? UNSIGNED_HOOK : purpose.kind;
}
