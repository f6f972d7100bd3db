import { trimEnd } from '../trim-end.ts';
import { PLAIN } from './style.ts';
import { SPECIAL, styleLine } from './styled-line.ts';

// oxlint-disable-next-line no-control-regex -- the escape character is what it looks for
const COLOURS = /\u001B\[[0-?]*m/g;

/**
 * What a terminal would show of a program's output, as plain lines: colours, titles and links gone, `\r`, `\b` and "erase line"
 * carried out, no other control character left, tabs as four spaces, runs of blank lines as one, none at the ends. Well-formed
 * Unicode, `\n` between lines. Cursor movement between lines is ignored.
 */
export function toPlainText(tail: string): string {
  const lines = tail.split('\n').map((line) => readLine(line).replaceAll('\t', '    ').trimEnd());
  const kept = lines.filter((line, index) => line !== '' || (index > 0 && lines[index - 1] !== ''));
  return trimEnd(kept.join('\n').replace(/^\n+/, ''), '\n');
}

/** One line of text from anyone: control and bidi characters gone, white space as single blanks, at most `maxLength` UTF-16 units. */
export function toOneLine(text: string, maxLength: number): string {
  return clip(toPlainText(text).replace(/\s+/g, ' ').trim(), maxLength);
}

/** At most `maxLength` UTF-16 units, the last one `…` if something is gone; never half a surrogate pair. */
export function clip(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const cut = text.slice(0, Math.max(0, maxLength - 1));
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** The text of {@link styleLine} alone: at once where programs wrote nothing but colours between it, as most do. */
export function readLine(line: string): string {
  const text = line.replaceAll(COLOURS, '');
  if (text.search(SPECIAL) === -1) return text.toWellFormed();
  return styleLine(line, PLAIN)
    .spans.map((span) => span.text)
    .join('');
}
