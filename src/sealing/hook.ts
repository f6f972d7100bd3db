import { createHmac } from 'node:crypto';

import { C3Error } from '../errors.ts';
import type { Binding } from './header.ts';
import { formatScope, formatShortScope, parseShortScope, type Scope } from './scope.ts';

/**
 * GitHub has been reported to cut a webhook's URL here (caprover/caprover#2079), so c3 stays below where it can: with a token
 * of 93 characters the base URL and `repo=` may be 100 characters long together, with a key sealed by the public key 56.
 */
export const MAX_HOOK_URL_CHARACTERS = 255;

/**
 * The secret that the forge signs its deliveries with: `base64url(HMAC-SHA256(token, "c3-webhook-v1\n" + scope))`, 43
 * characters. Derived, so that c3 keeps nothing, and unknown to who has only read the hook URL.
 */
export function deriveWebhookSecret(accessToken: string, scope: Scope): string {
  return createHmac('sha256', accessToken)
    .update(`c3-webhook-v1\n${formatScope(scope)}`)
    .digest('base64url');
}

/**
 * `https://c3.example/hook?key=…&repo=acme/shop`. The repository is in clear because the key opens only with it; it cannot be
 * changed, since the key is sealed for it. `github.com/` is left out. `&signature=optional` follows where the key is for that.
 *
 * @param baseUrl c3's public base URL, without a slash at its end
 * @param key what `seal` made for the purpose `hook`
 */
export function formatHookUrl(baseUrl: string, key: string, { scope, purpose }: Binding): string {
  // `/` and `:` may stand in a query as they are (RFC 3986 §3.4), and a scope holds nothing else that needs an escape.
  const isUnsigned = purpose.kind === 'hook' && purpose.signature === 'optional';
  return `${baseUrl}/hook?key=${key}&repo=${formatShortScope(scope)}${isUnsigned ? '&signature=optional' : ''}`;
}

export interface HookQuery {
  readonly key: string;
  readonly scope: Scope;
  /** A claim, until the key has opened for it. */
  readonly signature: 'optional' | undefined;
}

/**
 * Reads `key`, `repo` and `signature` from a hook's query. Whether the key opens is told by `openSealed`.
 *
 * @throws {C3Error} SEALED_INVALID when the key is missing, doubled or not whole; SCOPE_INVALID when the repository is
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
