import { formatRef, type Ref } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import { parseGlob, type Work } from './glob.ts';
import { hintForbidden } from './read/name-glob.ts';

/**
 * Matches the form of a ref pattern: a literal prefix and a glob. It contains nothing that a reader cannot see, and no
 * single quote, so that messages, YAML and shells show it between single quotes as it is.
 */
export const REF_PATTERN: RegExp = /^refs\/(?:heads|tags)\/[^\p{Z}\p{Cc}\p{Cf}\p{Cs}']+$/u;

/**
 * Returns what is wrong with the ref pattern of a sealed value, a clause without a subject that quotes nothing;
 * undefined for a pattern such as `refs/heads/main` or `refs/tags/v*`. The prefix is literal, so that a pattern for branches never
 * matches a tag. The rest is a glob as in `when`: `*` does not match a slash, and `**` does.
 */
export function findRefMistake(pattern: string): string | undefined {
  if (!/^refs\/(?:heads|tags)\/./s.test(pattern)) return 'must be refs/heads/ or refs/tags/ and a name';
  if (!REF_PATTERN.test(pattern)) {
    return 'contains a space, an invisible character or a single quote; "?" matches any one character';
  }
  const glob = parseGlob(pattern);
  return glob.kind === 'invalid' ? `has an invalid glob: ${glob.message}` : undefined;
}

/**
 * Checks the ref pattern of a new sealed value.
 *
 * @param pattern undefined: the value is for all refs
 * @param purpose the kind of its purpose
 * @throws {C3Error} USAGE_INVALID
 */
export function checkRefPattern(pattern: string | undefined, purpose: string): void {
  if (pattern === undefined) return;
  if (purpose === 'hook') {
    throw new C3Error('USAGE_INVALID', 'A hook key cannot be sealed for a ref: its webhook reports every push', {
      hint: 'leave the ref out; `when` in c3.yaml selects the refs that are built',
    });
  }
  const mistake = findRefMistake(pattern);
  if (mistake === undefined) {
    const hint = hintForbidden(pattern.replace(/^refs\/(?:heads|tags)\//, ''));
    if (hint === undefined) return;
    throw new C3Error('USAGE_INVALID', `Ref "${pattern.slice(0, 120)}" can match no branch and no tag`, { hint });
  }
  const likely = suggestRef(pattern);
  throw new C3Error('USAGE_INVALID', `Ref "${pattern.slice(0, 120)}" ${mistake}`, {
    hint: likely === undefined ? 'for example refs/heads/main or refs/tags/v*' : `write ${likely}`,
  });
}

/** Returns what the user probably means; undefined if that is not clear. */
function suggestRef(text: string): string | undefined {
  const trimmed = text.trim();
  const [prefix = '', kind] = /^\/?(?:refs\/)?(?:(heads|tags|branch|tag)\/)?/.exec(trimmed) ?? [];
  const name = trimmed.slice(prefix.length);
  const isTag = kind === undefined ? /^v[\d*]/.test(name) : kind.startsWith('tag');
  const likely = `refs/${isTag ? 'tags' : 'heads'}/${name}`;
  return findRefMistake(likely) === undefined ? likely : undefined;
}

/**
 * Returns whether a value is for a ref. Returns false when no work is left.
 *
 * @param pattern checked before; undefined: the value is for all refs
 */
export function matchesRef(pattern: string | undefined, ref: Ref, work?: Work): boolean {
  if (pattern === undefined) return true;
  const glob = parseGlob(pattern);
  return glob.kind === 'glob' && glob.matches(formatRef(ref), work);
}
