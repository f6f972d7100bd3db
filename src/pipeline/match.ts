import type { Glob, Work } from './glob.ts';
import { parseGlob } from './glob.ts';

interface MatchOptions {
  readonly work?: Work;
  /** By their text, those that were compiled before. */
  readonly compiled?: Map<string, Glob>;
}

/**
 * Whether the last glob that matches is one without `!`. A list that begins with a `!` begins from everything: `['!main']`
 * is every branch but one.
 *
 * @param globs checked before: one that is wrong matches nothing
 */
export function createMatcher(
  globs: readonly string[],
  { work, compiled = new Map() }: MatchOptions = {},
): (text: string) => boolean {
  const list = globs.map((text) => {
    const { isNegative, pattern } = splitNegation(text);
    const glob = compiled.get(pattern) ?? parseGlob(pattern);
    compiled.set(pattern, glob);
    return { isNegative, glob };
  });
  const isEverything = list[0]?.isNegative ?? false;
  return (text) => {
    const last = list.findLast(({ glob }) => glob.kind === 'glob' && glob.matches(text, work));
    return last === undefined ? isEverything : !last.isNegative;
  };
}

/**
 * Whether a list of globs matches one of the texts; no, once no work is left. Equal lists cost once, however many conditions have
 * them: aliases make a thousand of one.
 */
export function createListMatcher(texts: readonly string[], work: Work): (globs: readonly string[]) => boolean {
  const compiled = new Map<string, Glob>();
  const answers = new Map<string, boolean>();
  return (globs) => {
    const key = JSON.stringify(globs);
    const known = answers.get(key);
    if (known !== undefined || work.left < 0) return known ?? false;
    const matches = createMatcher(globs, { work, compiled });
    const answer = texts.some((text) => work.left >= 0 && matches(text));
    answers.set(key, answer);
    return answer;
  };
}

/** `!docs/**` is `docs/**`, negated. A name that really begins with `!` is written `\!`. */
export function splitNegation(glob: string): { readonly isNegative: boolean; readonly pattern: string } {
  return glob.startsWith('!') ? { isNegative: true, pattern: glob.slice(1) } : { isNegative: false, pattern: glob };
}
