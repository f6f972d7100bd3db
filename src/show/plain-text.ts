import { trimEnd } from '../trim-end.ts';
import { PLAIN } from './style.ts';
import { SPECIAL, styleLine } from './styled-line.ts';

// oxlint-disable-next-line no-control-regex -- the escape character is what it looks for
const COLOURS = /\u001B\[[0-?]*m/g;

/**
 * Returns the text of {@link styleLine} without its styles. Fast when a line contains no control sequences but
 * colours.
 */
export function readLine(line: string): string {
  const text = line.replaceAll(COLOURS, '');
  if (text.search(SPECIAL) === -1) return text.toWellFormed();
  return styleLine(line, PLAIN)
    .spans.map((span) => span.text)
    .join('');
}

/**
 * Returns a program's output as plain lines, as a terminal shows them. Colours, titles and links are removed; `\r`,
 * `\b` and "erase line" take effect; cursor movements between lines are ignored. Tabs become four spaces, and several
 * blank lines become one. The text is well-formed Unicode with `\n` between lines, and has no blank line at either
 * end.
 */
export function toPlainText(output: string): string {
  const lines = output.split('\n').map((line) => readLine(line).replaceAll('\t', '    ').trimEnd());
  const kept = lines.filter((line, index) => line !== '' || (index > 0 && lines[index - 1] !== ''));
  return trimEnd(kept.join('\n').replace(/^\n+/, ''), '\n');
}

/**
 * Returns untrusted text as one line of at most `maxLength` UTF-16 units, without control characters, with single
 * spaces.
 */
export function toOneLine(text: string, maxLength: number): string {
  return clip(toPlainText(text).replace(/\s+/g, ' ').trim(), maxLength);
}

/** Cuts text to at most `maxLength` UTF-16 units. Cut text ends with `…` and never with half a surrogate pair. */
export function clip(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const cut = text.slice(0, Math.max(0, maxLength - 1));
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}
