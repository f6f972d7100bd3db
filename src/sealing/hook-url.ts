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
 * scope))`, 43 characters. So c3 stores nothing, and somebody who has only the hook URL cannot sign (A4).
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
  const hint = 'copy the whole hook URL that c3 encrypt printed into the webhook';
  const [key, ...otherKeys] = params.getAll('key');
  const [repo, ...otherRepos] = params.getAll('repo');
  if (!key) throw new C3Error('SEALED_INVALID', 'The hook URL has no key', { hint });
  if (otherKeys.length > 0) throw new C3Error('SEALED_INVALID', 'The hook URL has more than one key', { hint });
  if (!/^[\w-]+(\.[\w-]+){3,4}$/.test(key)) {
    throw new C3Error('SEALED_INVALID', 'The key in the hook URL is not whole: the URL looks truncated', { hint });
  }
  if (!repo) {
    throw new C3Error('SCOPE_INVALID', 'The hook URL has no repository: the URL looks truncated', { hint });
  }
  if (otherRepos.length > 0) throw new C3Error('SCOPE_INVALID', 'The hook URL has more than one repository', { hint });
  const signatures = params.getAll('signature');
  if (signatures.some((signature) => signature !== 'optional') || signatures.length > 1) {
    throw new C3Error('SEALED_INVALID', 'The hook URL asks for a signature otherwise than "signature=optional"', {
      hint,
    });
  }
  return {
    key,
    scope: parseShortScope(repo),
    signature: signatures.length === 1 ? 'optional' : undefined,
  };
}
