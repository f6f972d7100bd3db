import { C3Error } from '../errors.ts';
import { trimEnd } from '../trim-end.ts';

/**
 * A repository, to which sealed values are bound: lower-case `host/owner/name`, without `.git`. The owner may contain
 * slashes (GitLab groups).
 */
export interface Scope {
  readonly host: string;
  readonly owner: string;
  readonly name: string;
}

/**
 * Longest text that is read. A host of 259, an owner of 200 and a name of 100 characters with `https://` are shorter.
 */
const MAX_SCOPE_CHARACTERS = 600;

const SCOPE =
  /^([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?)\/([a-z0-9._/-]{1,200})\/([a-z0-9._-]{1,100})$/i;

/**
 * Reads `HOST/OWNER/NAME` in any case, with or without `https://` (`http://`) and `.git`.
 *
 * @throws {C3Error} SCOPE_INVALID for any other text
 */
export function parseScope(text: string): Scope {
  const address = text.slice(0, MAX_SCOPE_CHARACTERS + 1).trim();
  let bare = trimEnd(address.replace(/^https?:\/\//i, ''), '/');
  while (/\.git$/i.test(bare)) bare = bare.slice(0, -'.git'.length);
  // Lower case comes after the match, since it turns some letters outside ASCII into ASCII: the Kelvin sign into a
  // "k".
  const [, host, owner, name] = (SCOPE.exec(bare) ?? []).map((part) => part.toLowerCase());
  const segments = [...(owner?.split('/') ?? ['']), name ?? ''];
  const isTooLong = text.length > MAX_SCOPE_CHARACTERS;
  if (isTooLong || !host || !owner || !name || segments.some((segment) => /^\.{0,2}$/.test(segment))) {
    throw new C3Error('SCOPE_INVALID', `Repository "${text.slice(0, 120)}" is not of the form HOST/OWNER/NAME`, {
      hint: 'for example github.com/acme/shop',
    });
  }
  return { host, owner, name };
}

/** Formats `host/owner/name`, the only spelling that is sealed, signed and compared. */
export function formatScope(scope: Scope): string {
  return `${scope.host}/${scope.owner}/${scope.name}`;
}

/** The host that a short scope leaves out. */
const DEFAULT_HOST = 'github.com';

/**
 * Formats `acme/shop` for `github.com/acme/shop`, for texts that must be short. Formats other scopes as {@link
 * formatScope}.
 */
export function formatShortScope(scope: Scope): string {
  const isShort = scope.host === DEFAULT_HOST && !scope.owner.includes('/');
  return isShort ? `${scope.owner}/${scope.name}` : formatScope(scope);
}

/**
 * Reads what {@link formatShortScope} and {@link formatScope} write.
 *
 * @throws {C3Error} SCOPE_INVALID
 */
export function parseShortScope(text: string): Scope {
  return parseScope(text.split('/').length === 2 ? `${DEFAULT_HOST}/${text}` : text);
}
