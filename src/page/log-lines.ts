import type { LogLine } from '../engine/build-view.ts';
import { PLAIN, readStyle, styleLine, type Span, type Style } from '../terminal/index.ts';
import { escapeHtml } from './html.ts';

/** Lines of one list: a browser lays out the lists that are seen, and no other. */
export const CHUNK_LINES = 200;

/**
 * Tags of a line, to what the program wrote for it. One that gives each letter a colour and a background of its own comes to 3; but
 * who goes back in a line and cuts a link into pieces gets its address for every piece.
 */
const MAX_TAGS_RATIO = 8;

/** Where a log is, between two lines. */
export interface LinePlace {
  /** How many lines came before. */
  readonly line: number;
  /** That the line before it left. */
  readonly style: Style;
}

export const FIRST_LINE: LinePlace = { line: 0, style: PLAIN };

/** Lines of one list, `<li>…<li>…`; lists begin with the lines 1, 201, 401, and so on. */
export interface LogChunk {
  /** Number of the first of these lines, from 1. */
  readonly first: number;
  readonly html: string;
}

export interface RenderedLines {
  readonly chunks: readonly LogChunk[];
  /** Of the HTML of all chunks, in UTF-16 units. */
  readonly length: number;
  readonly end: LinePlace;
}

/** Numbers, colours and escapes lines. Each has the id `<step>-L<number>`, and `data-t` where the elapsed time differs from the line's before. */
export function renderLines(lines: readonly LogLine[], { id, from }: { id: string; from: LinePlace }): RenderedLines {
  const chunks: LogChunk[] = [];
  let { line, style } = from;
  let seconds: number | undefined;
  let chunk: { first: number; items: string[] } | undefined;
  for (const { text, seconds: written } of lines) {
    line += 1;
    if (!chunk || line % CHUNK_LINES === 1) {
      if (chunk) chunks.push(close(chunk));
      chunk = { first: line, items: [] };
    }
    const time = written === undefined || written === seconds ? '' : ` data-t=${formatElapsed(written)}`;
    seconds = written;
    const styled = styleLine(text, style);
    style = styled.style;
    chunk.items.push(`<li id=${id}-L${line}${time}>${renderSpans(styled.spans, text.length)}`);
  }
  if (chunk) chunks.push(close(chunk));
  const length = chunks.reduce((sum, { html }) => sum + html.length, 0);
  return { chunks, length, end: { line, style } };
}

/** What there is of a line that has not ended. */
export function renderPartial(text: string, { style }: LinePlace): string {
  return renderSpans(styleLine(text, style).spans, text.length);
}

function close({ first, items }: { first: number; items: readonly string[] }): LogChunk {
  return { first, html: items.join('') };
}

/** `0:07`, `1:02:03`: as wide as the last one. */
function formatElapsed(seconds: number): string {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const end = String(rest).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${end}` : `${minutes}:${end}`;
}

/** @param length of what the program wrote: tags beyond its multiple are left out, and the text goes on without them */
function renderSpans(spans: readonly Span[], length: number): string {
  let html = '';
  let room = MAX_TAGS_RATIO * length;
  let link: string | undefined;
  for (const { text, style, href } of spans) {
    const isPlain = room <= 0;
    const wanted = isPlain ? undefined : href;
    if (wanted !== link) {
      const tag = `${link === undefined ? '' : '</a>'}${wanted === undefined ? '' : openLink(wanted)}`;
      html += tag;
      room -= tag.length;
      link = wanted;
    }
    const classes = isPlain || style === PLAIN ? '' : toClasses(style);
    const inner = escapeHtml(text);
    if (classes === '') {
      html += inner;
    } else {
      html += `<span class=${classes}>${inner}</span>`;
      room -= classes.length + SPAN_LENGTH;
    }
  }
  return link === undefined ? html : `${html}</a>`;
}

const SPAN_LENGTH = '<span class=></span>'.length;

function openLink(href: string): string {
  return `<a href="${escapeHtml(href)}" rel="noopener noreferrer nofollow">`;
}

/** Programs use few styles; those of one that uses all are not kept. */
const known = new Map<Style, string>();
const MAX_KNOWN = 1_000;

function toClasses(style: Style): string {
  const found = known.get(style);
  if (found !== undefined) return found;
  const classes = formatClasses(style);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(style, classes);
  return classes;
}

/** The value of an attribute: classes of the stylesheet and of `formatPalette`. */
function formatClasses(style: Style): string {
  const { foreground, background, attributes } = readStyle(style);
  const isInverse = attributes.includes('inverse');
  const [text, ground] = isInverse ? [background, foreground] : [foreground, background];
  const colours =
    ground === undefined && !isInverse
      ? [text === undefined ? undefined : `f${text}`]
      : [ground === undefined ? 'inverse' : `b${ground}`, text === undefined ? undefined : `r${text}`];
  const others = attributes.filter((attribute) => attribute !== 'inverse');
  const names = [...colours, ...others].filter((name) => name !== undefined);
  return names.length < 2 ? names.join('') : `"${names.join(' ')}"`;
}
