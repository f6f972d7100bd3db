/* oxlint-disable no-control-regex -- control characters are what this file is about */

/** Stand for "erase to the end of the line" and "erase the line" after the sequences are gone; no input keeps its own. */
const ERASE_RIGHT = '\u0000';
const ERASE_LINE = '\u0001';

/** ECMA-48 §5.4 and §5.6. Every part is a negated class or a range, so that matching takes linear time on any input. */
const ERASE_RIGHT_SEQUENCE = /\u001B\[0?K/g;
const ERASE_LINE_SEQUENCE = /\u001B\[2K/g;
const STRINGS = /(?:\u001B\]|\u009D)[^\u0007\u001B\u009C\n]*(?:\u0007|\u001B\\|\u009C)?/g;
const DEVICE_STRINGS = /(?:\u001B[PX^_]|[\u0090\u0098\u009E\u009F])[^\u001B\u009C\n]*(?:\u001B\\|\u009C)?/g;
const CONTROL_SEQUENCES = /(?:\u001B\[|\u009B)[0-?]*[ -/]*[@-~]?/g;
const ESCAPES = /\u001B[ -/]*[0-~]?/g;
/** C0, DEL and C1 but for tab and newline; then what reorders text or breaks lines: bidi controls, U+2028, U+2029. */
const INVISIBLE = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g;
const CURSOR = /[\r\b\u0000\u0001]/;

/**
 * What a terminal would show of a program's output, as plain lines: colours, titles and links gone, `\r`, `\b` and "erase line"
 * carried out, no other control character left, tabs as four spaces, runs of blank lines as one, none at the ends. Well-formed
 * Unicode, `\n` between lines. Cursor movement between lines is ignored.
 */
export function toPlainText(tail: string): string {
  const lines = tail
    .toWellFormed()
    .replace(/[\u0000\u0001]/g, '')
    .replace(ERASE_RIGHT_SEQUENCE, ERASE_RIGHT)
    .replace(ERASE_LINE_SEQUENCE, ERASE_LINE)
    .replace(STRINGS, '')
    .replace(DEVICE_STRINGS, '')
    .replace(CONTROL_SEQUENCES, '')
    .replace(ESCAPES, '')
    // Without the look-behind, a line of nothing but carriage returns takes quadratic time.
    .replace(/(?<!\r)\r+\n/g, '\n')
    .split('\n')
    .map((line) => overwrite(line).replace(INVISIBLE, '').replaceAll('\t', '    ').trimEnd());
  const kept = lines.filter((line, index) => line !== '' || (index > 0 && lines[index - 1] !== ''));
  return kept.join('\n').replace(/^\n+|\n+$/g, '');
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

/** Carries out carriage returns, backspaces and erasures within one line. */
function overwrite(line: string): string {
  if (!CURSOR.test(line)) return line;
  const cells: string[] = [];
  let cursor = 0;
  for (const character of line) {
    if (character === '\r') cursor = 0;
    else if (character === '\b') cursor = Math.max(0, cursor - 1);
    else if (character === ERASE_RIGHT) cells.length = Math.min(cells.length, cursor);
    else if (character === ERASE_LINE) cells.fill(' ');
    else cells[cursor++] = character;
    // "erase to the right" may leave the cursor behind the end
    while (cells.length < cursor) cells.push(' ');
  }
  return cells.join('');
}
