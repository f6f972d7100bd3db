import { createHmac } from 'node:crypto';

import { C3Error } from '../errors.ts';
import type { Binding } from './token.ts';
import { formatScope, formatShortScope, parseShortScope, type Scope } from './scope.ts';

/**
 * GitHub was reported to cut the URL of a webhook here (caprover/caprover#2079). With a token of 93 characters, the
 * base URL and `repo=` may have 100 characters together, or 56 if the key was sealed with the public key.
 */
export const MAX_HOOK_URL_CHARACTERS = 255;

/**
 * Derives the secret with which the forge signs its deliveries: `base64url(HMAC-SHA256(token, "c3-webhook-v1\n" +
 * scope))`, 43 characters. So c3 stores nothing, and a user who has only the hook URL cannot sign (A4).
 */
export function deriveWebhookSecret(accessToken: string, scope: Scope): string {
  return createHmac('sha256', accessToken)
    .update(`c3-webhook-v1\n${formatScope(scope)}`)
    .digest('base64url');
}

/**
 * Formats `https://c3.example/hook?key=…&repo=acme/shop`, with `&signature=optional` if the key is for that.
 * `github.com/` is left out. The key opens only for the repository in the URL.
 *
 * @param baseUrl c3's public base URL, without a slash at its end
 * @param key sealed for the purpose `hook`
 */
export function formatHookUrl(baseUrl: string, key: string, { scope, purpose }: Binding): string {
  // A query may contain `/` and `:` (RFC 3986 §3.4), and a scope contains nothing else that needs an escape.
  const isUnsigned = purpose.kind === 'hook' && purpose.signature === 'optional';
  return `${baseUrl}/hook?key=${key}&repo=${formatShortScope(scope)}${isUnsigned ? '&signature=optional' : ''}`;
}

export interface HookQuery {
  readonly key: string;
  readonly scope: Scope;
  /** Only a claim, until the key has opened for it. */
  readonly signature: 'optional' | undefined;
}

/**
 * Reads `key`, `repo` and `signature` from a hook's query. `openSealed` decides whether the key opens.
 *
 * @throws {C3Error} SEALED_INVALID if the key is missing, repeated or incomplete; SCOPE_INVALID if the repository is
 */
export function parseHookQuery(params: URLSearchParams): HookQuery {
  const [key = '', ...otherKeys] = params.getAll('key');
  const [repo = '', ...otherRepos] = params.getAll('repo');
  const [signature, ...otherSignatures] = params.getAll('signature');
  function refuse(code: 'SEALED_INVALID' | 'SCOPE_INVALID', message: string): never {
    throw new C3Error(code, message, { hint: 'copy the whole hook URL that c3 encrypt printed into the webhook' });
  }
  if (key === '') refuse('SEALED_INVALID', 'The hook URL has no key');
  if (otherKeys.length > 0) refuse('SEALED_INVALID', 'The hook URL has more than one key');
  if (!/^[\w-]+(\.[\w-]+){3,4}$/.test(key)) {
    refuse('SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated');
  }
  if (repo === '') refuse('SCOPE_INVALID', 'The hook URL has no repository: the URL looks truncated');
  if (otherRepos.length > 0) refuse('SCOPE_INVALID', 'The hook URL has more than one repository');
  if ((signature ?? 'optional') !== 'optional' || otherSignatures.length > 0) {
    refuse('SEALED_INVALID', 'The hook URL asks for a signature otherwise than "signature=optional"');
  }
  return { key, scope: parseShortScope(repo), signature: signature === undefined ? undefined : 'optional' };
}
