/**
 * Removes those of `characters` that a text ends with. The expression `/[…]+$/` takes quadratic time if something
 * else follows them: a few seconds for 64 KiB (A12).
 */
export function trimEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
