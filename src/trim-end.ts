/**
 * A text without those of `characters` that it ends with. Not by `/[…]+$/`: where something else follows, that takes the square of
 * how many there are, and 64 KiB of them a few seconds.
 */
export function trimEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
