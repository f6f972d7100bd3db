import { splitNegation } from '../glob.ts';

/**
 * Finds globs that are written as regular expressions. Only a name has characters that cannot be in it: the path of a
 * file can have any.
 */

const NO_REGULAR_EXPRESSIONS = 'c3 reads globs, not regular expressions';

/** Git allows none of these in the name of a branch or a tag; a star and a bracket only after a `\`. */
const FORBIDDEN = /\\[*?[\\]|[\^~: ]|\.\./;

/**
 * Says why a glob matches no branch and no tag: git forbids a character that the name would need.
 *
 * @see https://git-scm.com/docs/git-check-ref-format
 */
export function hintForbidden(glob: string): string | undefined {
  const { isNegative, pattern } = splitNegation(glob);
  // One of several alternatives that never matches does not make the others wrong.
  if (pattern.includes('{')) return undefined;
  const outsideSets = pattern.replaceAll(/\[[^[\]]*\]/g, '?');
  const [found] = FORBIDDEN.exec(outsideSets) ?? [];
  const character = found === undefined && /^\.|\/\./.test(outsideSets) ? '.' : found?.replace(/^\\/, '');
  if (character === undefined) return undefined;
  const where = character === '.' ? 'at the start of a name or after "/"' : 'in a name';
  const [, name] = /^\^([\w./-]+)\$?$/.exec(pattern) ?? [];
  const instead = name === undefined ? '' : `: write ${isNegative ? '!' : ''}${name}`;
  return `git does not allow "${character}" ${where}; ${NO_REGULAR_EXPRESSIONS}${instead}`;
}

/** `\d`, `(a|b)`, `.+`, `[0-9]+`, `[0-9]{2}`, `.*\.`, and `$` at the end. */
const LIKE_EXPRESSION = /\\[bBdDsSwW]|\([^()|]*\||[.)\]]\+|[)\]]\{\d|\.\*\\\.|\$$|^\^/;

/** `.*`, but not in `v1.*` and `*.*`. Files can begin with a dot. */
const ANY_IN_A_NAME = /[A-Za-z_)-]\.\*/;

/** Returns a hint for a glob that means something else as a regular expression, and probably should. */
export function hintExpression(glob: string, key: 'branch' | 'tag' | 'base' | 'path'): string | undefined {
  const { pattern } = splitNegation(glob);
  const isLike = LIKE_EXPRESSION.test(pattern) || (key !== 'path' && ANY_IN_A_NAME.test(pattern));
  return isLike ? `${NO_REGULAR_EXPRESSIONS}: write "*" for any characters, and "{a,b}" for one of several` : undefined;
}
