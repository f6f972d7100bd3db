/* oxlint-disable no-control-regex -- control characters are what this file is about */
import { applySgr, type Style } from './style.ts';

/** Text of one look. */
export interface Span {
  /** Well-formed, without control characters but for tabs, without bidi controls. Not escaped for anything. */
  readonly text: string;
  readonly style: Style;
  /** `http:` or `https:`, of a link that the program made (OSC 8); of visible ASCII alone. */
  readonly href: string | undefined;
}

export interface StyledLine {
  readonly spans: readonly Span[];
  /** With which the next line begins. */
  readonly style: Style;
}

/** C0 but for tab, DEL, C1; then what reorders text or breaks lines: bidi controls, U+2028, U+2029, and the byte order mark. */
export const SPECIAL: RegExp =
  /[\u0000-\u0008\u000A-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069\uFEFF]/g;
/** ECMA-48 §5.4 and §5.6, each from behind its introducer. Every part is a class or a range: matching takes linear time on any input. */
const CONTROL_SEQUENCE = /([0-?]*)([ -/]*)([@-~]?)/y;
/** What nearly all of them are, without what a match costs that is taken apart. */
const COLOUR = /[0-;]*m/y;
const OPERATING_SYSTEM_COMMAND = /([^\u0007\u001B\u009C]*)(?:\u0007|\u001B\\|\u009C)?/y;
const DEVICE_STRING = /[^\u001B\u009C]*(?:\u001B\\|\u009C)?/y;
const ESCAPE = /[ -/]*[0-~]?/y;
const LINK = /^8;[^;]*;(.*)$/;
/** No white space, nothing that HTML or a shell takes for more than a character; browsers go no further than this. */
const WEB_ADDRESS = /^https?:\/\/[!#-;=?-~]{1,2000}$/i;

/** The cursor may jump so far beyond the text: programs that align to the right ask for column 999, and mean the edge of a screen. */
const MAX_GAP_COLUMN = 240;

/**
 * What a terminal would show of one line of output. Colours and attributes become styles, links to the web stay, `\r`, `\b`, moves
 * of the cursor within the line and erasures are carried out; all else that a terminal obeys is left out. Linear in time and space.
 *
 * @param line without its line end; "\r" at its end does nothing
 * @param style that the line before it left
 */
export function styleLine(line: string, style: Style): StyledLine {
  const row = new Row(style);
  const text = withoutReturns(line).toWellFormed();
  let at = 0;
  SPECIAL.lastIndex = 0;
  for (let match = SPECIAL.exec(text); match; match = SPECIAL.exec(text)) {
    if (match.index > at) row.write(text.slice(at, match.index));
    at = obey(row, text, match.index);
    SPECIAL.lastIndex = at;
  }
  if (at < text.length) row.write(at === 0 ? text : text.slice(at));
  return { spans: row.toSpans(), style: row.style };
}

/** Of Windows line ends. A pattern would take quadratic time on a line of carriage returns. */
function withoutReturns(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === '\r') end--;
  return line.slice(0, end);
}

/** Carries out what begins with the control character at `at`. @returns the place after it */
function obey(row: Row, text: string, at: number): number {
  const next = at + 1;
  switch (text[at]) {
    case '\r':
      row.moveTo(0);
      return next;
    case '\b':
      row.moveBy(-1);
      return next;
    case '\u009B':
      return control(row, text, next);
    case '\u009D':
      return command(row, text, next);
    case '\u0090':
    case '\u0098':
    case '\u009E':
    case '\u009F':
      return skip(DEVICE_STRING, text, next);
    case '\u001B':
      return escape(row, text, next);
    default:
      return next;
  }
}

function escape(row: Row, text: string, at: number): number {
  switch (text[at]) {
    case '[':
      return control(row, text, at + 1);
    case ']':
      return command(row, text, at + 1);
    case 'P':
    case 'X':
    case '^':
    case '_':
      return skip(DEVICE_STRING, text, at + 1);
    default:
      return skip(ESCAPE, text, at);
  }
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  pattern.exec(text);
  return pattern.lastIndex;
}

function control(row: Row, text: string, at: number): number {
  COLOUR.lastIndex = at;
  if (COLOUR.test(text)) {
    row.style = applySgr(row.style, text.slice(at, COLOUR.lastIndex - 1));
    return COLOUR.lastIndex;
  }
  CONTROL_SEQUENCE.lastIndex = at;
  const [, parameters = '', intermediates, final] = CONTROL_SEQUENCE.exec(text) ?? [];
  // Private sequences begin with one of <=>? and mean other things.
  if (intermediates === '' && !/[<=>?]/.test(parameters)) perform(row, final, parameters);
  return CONTROL_SEQUENCE.lastIndex;
}

function perform(row: Row, final: string | undefined, parameters: string): void {
  const count = Math.min(Number.parseInt(parameters, 10) || 0, Number.MAX_SAFE_INTEGER);
  switch (final) {
    case 'm':
      row.style = applySgr(row.style, parameters);
      return;
    case 'C':
      row.moveBy(Math.max(1, count));
      return;
    case 'D':
      row.moveBy(-Math.max(1, count));
      return;
    case 'G':
      row.moveTo(count - 1);
      return;
    case 'J':
    case 'K':
      if (count === 0) row.eraseRight();
      else if (count === 2) row.eraseAll();
      return;
    default:
  }
}

function command(row: Row, text: string, at: number): number {
  OPERATING_SYSTEM_COMMAND.lastIndex = at;
  const [, words = ''] = OPERATING_SYSTEM_COMMAND.exec(text) ?? [];
  const [, address] = LINK.exec(words) ?? [];
  if (address !== undefined) row.href = WEB_ADDRESS.test(address) ? address : undefined;
  return OPERATING_SYSTEM_COMMAND.lastIndex;
}

/** The line as it comes to be: spans while text only follows text, cells from the first move of the cursor on. */
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
    if (!this.#cells) {
      append(this.#spans, { text, style, href });
      return;
    }
    const cells = this.#cells;
    while (cells.length < this.#cursor) cells.push(BLANK);
    for (const character of text) cells[this.#cursor++] = { text: character, style, href };
  }

  moveBy(columns: number): void {
    this.#toCells();
    this.moveTo(this.#cursor + columns);
  }

  /** Columns count from 0. */
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
    // What is written next would fill all that was erased with blanks, again and again.
    this.#cursor = Math.min(this.#cursor, MAX_GAP_COLUMN);
  }

  toSpans(): readonly Span[] {
    if (!this.#cells) return this.#spans;
    const spans: Span[] = [];
    let [text, look] = ['', BLANK];
    for (const cell of this.#cells) {
      if (cell.style !== look.style || cell.href !== look.href) {
        if (text !== '') spans.push({ ...look, text });
        [text, look] = ['', cell];
      }
      text += cell.text;
    }
    if (text !== '') spans.push({ ...look, text });
    return spans;
  }

  #toCells(): Span[] {
    if (!this.#cells) {
      this.#cells = this.#spans.flatMap((span) => Array.from(span.text, (text) => ({ ...span, text })));
      this.#cursor = this.#cells.length;
    }
    return this.#cells;
  }
}

/** What looks like the last span becomes part of it. */
function append(spans: Span[], span: Span): void {
  const last = spans.at(-1);
  if (last?.style === span.style && last.href === span.href)
    spans[spans.length - 1] = { ...span, text: last.text + span.text };
  else spans.push(span);
}

const BLANK: Span = { text: ' ', style: 0, href: undefined };
