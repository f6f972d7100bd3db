/** What is shown of a commit, in UTF-16 units: as much as a line of a message or of a page takes. */
export const MAX_SUBJECT_LENGTH = 200;
export const MAX_AUTHOR_LENGTH = 100;

/** C0 and C1 controls, line and paragraph separators, and the marks that turn the direction of text: none belongs on one line. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** So much of a text is looked at: what is not printed costs time, and a stranger may send megabytes of it. */
const MAX_READ_LENGTH = 10_000;

/**
 * The first line of a text that a stranger wrote, fit to be shown on one line: trimmed, without control characters, well-formed,
 * and cut to `maxLength` UTF-16 units.
 */
export function toSingleLine(text: string, maxLength: number): string {
  const [firstLine = ''] = text
    .trimStart()
    .slice(0, MAX_READ_LENGTH)
    .split(/[\r\n\u2028\u2029]/, 1);
  return cutText(firstLine.toWellFormed().replaceAll(UNPRINTABLE, '').trim(), maxLength);
}

/** Cuts a text to `maxLength` UTF-16 units, the last one an ellipsis, never between the two halves of one character. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) {
    return text;
  }
  return `${text.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
