import { parseGlob } from './glob.ts';

/**
 * Whether the last glob that matches is one without `!`. A list that begins with a `!` begins from everything: `['!main']`
 * is every branch but one.
 *
 * @param globs checked before: one that is wrong matches nothing
 */
export function createMatcher(globs: readonly string[]): (text: string) => boolean {
  const compiled = globs.map((glob) => {
    const { isNegative, pattern } = splitNegation(glob);
    return { isNegative, glob: parseGlob(pattern) };
  });
  const isEverything = compiled[0]?.isNegative ?? false;
  return (text) => {
    const last = compiled.findLast(({ glob }) => glob.kind === 'glob' && glob.matches(text));
    return last === undefined ? isEverything : !last.isNegative;
  };
}

/** `!docs/**` is `docs/**`, negated. A name that really begins with `!` is written `\!`. */
export function splitNegation(glob: string): { readonly isNegative: boolean; readonly pattern: string } {
  return glob.startsWith('!') ? { isNegative: true, pattern: glob.slice(1) } : { isNegative: false, pattern: glob };
}
