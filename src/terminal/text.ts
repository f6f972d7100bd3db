/* oxlint-disable no-control-regex -- this file parses control characters */
import { trimEnd } from '../trim-end.ts';
import { applySgr, PLAIN, type Style } from './style.ts';

/** Text with one style. */
export interface Span {
  /** Well-formed Unicode. Contains no control characters except tabs, and no bidi controls. Not escaped. */
  readonly text: string;
  readonly style: Style;
  /** The address of a link that the program wrote (OSC 8): `http:` or `https:`, visible ASCII only. */
  readonly href: string | undefined;
}

export interface StyledLine {
  readonly spans: readonly Span[];
  /** The style with which the next line begins. */
  readonly style: Style;
}

/**
 * C0 except tab, DEL and C1; then what reorders text or breaks lines: bidi controls, U+2028, U+2029 and the byte
 * order mark.
 */
const SPECIAL = /[\u0000-\u0008\u000A-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g;
/**
 * The sequences of ECMA-48 §5.4 and §5.6, without their introducers. Each part is a character class, so matching
 * takes linear time.
 */
const CONTROL_SEQUENCE = /([0-?]*)([ -/]*)([@-~]?)/y;
/** Sets colours and attributes: the most frequent control sequence, matched without groups because that is faster. */
const COLOUR = /[0-;]*m/y;
const OPERATING_SYSTEM_COMMAND = /([^\u0007\u001B\u009C]*)(?:\u0007|\u001B\\|\u009C)?/y;
const DEVICE_STRING = /[^\u001B\u009C]*(?:\u001B\\|\u009C)?/y;
const ESCAPE = /[ -/]*[0-~]?/y;
const LINK = /^8;[^;]*;(.*)$/;
/** Excludes white space and the characters that are special in HTML. The length is what browsers accept. */
const WEB_ADDRESS = /^https?:\/\/[!#-;=?-~]{1,2000}$/i;

/**
 * How far the cursor may move beyond the text. Programs that align to the right ask for column 999 and mean the edge
 * of the screen.
 */
const MAX_GAP_COLUMN = 240;

/**
 * Returns what a terminal shows of one line of output. Colours and attributes become styles, and web links are kept.
 * `\r`, `\b`, cursor movements within the line and erasures take effect. Other control sequences are removed. Takes
 * linear time and space.
 *
 * @param line without its line end; "\r" at its end has no effect
 * @param style the style at the end of the previous line
 */
export function styleLine(line: string, style: Style): StyledLine {
  const row = new Row(style);
  const text = trimEnd(line, '\r').toWellFormed();
  let at = 0;
  SPECIAL.lastIndex = 0;
  for (let match = SPECIAL.exec(text); match; match = SPECIAL.exec(text)) {
    if (match.index > at) row.write(text.slice(at, match.index));
    at = applyControl(row, text, match.index);
    SPECIAL.lastIndex = at;
  }
  if (at < text.length) row.write(at === 0 ? text : text.slice(at));
  return { spans: row.toSpans(), style: row.style };
}

/** Applies the control character at `at`, with its sequence. Returns the index after it. */
function applyControl(row: Row, text: string, at: number): number {
  const isEscape = text[at] === '\u001B';
  // The escape character with one of @ to _ is another form of a C1 control.
  const control = isEscape ? text.charCodeAt(at + 1) + 0x40 : text.charCodeAt(at);
  if (isEscape && !(control >= 0x80 && control <= 0x9f)) return skip(ESCAPE, text, at + 1);
  const next = isEscape ? at + 2 : at + 1;
  switch (control) {
    case 0x08:
      row.moveBy(-1);
      return next;
    case 0x0d:
      row.moveTo(0);
      return next;
    case 0x9b:
      return applySequence(row, text, next);
    case 0x9d:
      return applyCommand(row, text, next);
    case 0x90:
    case 0x98:
    case 0x9e:
    case 0x9f:
      return skip(DEVICE_STRING, text, next);
    default:
      return next;
  }
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  pattern.exec(text);
  return pattern.lastIndex;
}

function applySequence(row: Row, text: string, at: number): number {
  COLOUR.lastIndex = at;
  if (COLOUR.test(text)) {
    row.style = applySgr(row.style, text.slice(at, COLOUR.lastIndex - 1));
    return COLOUR.lastIndex;
  }
  CONTROL_SEQUENCE.lastIndex = at;
  const [, parameters = '', intermediates, final = ''] = CONTROL_SEQUENCE.exec(text) ?? [];
  const count = Math.min(Number.parseInt(parameters, 10) || 0, Number.MAX_SAFE_INTEGER);
  // Sequences that begin with one of <=>? are private and have other meanings.
  if (intermediates !== '' || /[<=>?]/.test(parameters)) return CONTROL_SEQUENCE.lastIndex;
  if (final === 'C') row.moveBy(Math.max(1, count));
  if (final === 'D') row.moveBy(-Math.max(1, count));
  if (final === 'G') row.moveTo(count - 1);
  if (/[JK]/.test(final) && count === 0) row.eraseRight();
  if (/[JK]/.test(final) && count === 2) row.eraseAll();
  return CONTROL_SEQUENCE.lastIndex;
}

function applyCommand(row: Row, text: string, at: number): number {
  OPERATING_SYSTEM_COMMAND.lastIndex = at;
  const [, command = ''] = OPERATING_SYSTEM_COMMAND.exec(text) ?? [];
  const [, address] = LINK.exec(command) ?? [];
  if (address !== undefined) row.href = WEB_ADDRESS.test(address) ? address : undefined;
  return OPERATING_SYSTEM_COMMAND.lastIndex;
}

/** A line while it is written. It consists of spans until the cursor first moves, and of cells after that. */
class Row {
  style: Style;
  href: string | undefined;
  readonly #spans: Span[] = [];
  #cells: Span[] | undefined;
  #cursor = 0;

  constructor(style: Style) {
    this.style = style;
  }

  write(text: string): void {
    const { style, href } = this;
    const cells = this.#cells;
    if (!cells) return append(this.#spans, { text, style, href });
    while (cells.length < this.#cursor) cells.push(BLANK);
    for (const character of text) cells[this.#cursor++] = { text: character, style, href };
  }

  moveBy(columns: number): void {
    this.#toCells();
    this.moveTo(this.#cursor + columns);
  }

  /** Moves the cursor to a column, counted from 0. */
  moveTo(column: number): void {
    const cells = this.#toCells();
    const furthest = Math.max(cells.length, this.#cursor, MAX_GAP_COLUMN);
    this.#cursor = Math.max(0, Math.min(column, furthest));
  }

  eraseRight(): void {
    const cells = this.#toCells();
    cells.length = Math.min(cells.length, this.#cursor);
  }

  eraseAll(): void {
    this.#toCells().length = 0;
    // Limits the blanks that the next text needs, which could otherwise grow with each erasure.
    this.#cursor = Math.min(this.#cursor, MAX_GAP_COLUMN);
  }

  toSpans(): readonly Span[] {
    const spans: Span[] = [];
    for (const cell of this.#cells ?? []) append(spans, cell);
    return this.#cells ? spans : this.#spans;
  }

  #toCells(): Span[] {
    if (!this.#cells) {
      this.#cells = this.#spans.flatMap((span) => Array.from(span.text, (text) => ({ ...span, text })));
      this.#cursor = this.#cells.length;
    }
    return this.#cells;
  }
}

/** Appends a span, or extends the last one if the style and the link are equal. */
function append(spans: Span[], span: Span): void {
  const last = spans.at(-1);
  if (last?.style === span.style && last.href === span.href)
    spans[spans.length - 1] = { ...span, text: last.text + span.text };
  else spans.push(span);
}

const BLANK: Span = { text: ' ', style: PLAIN, href: undefined };

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
