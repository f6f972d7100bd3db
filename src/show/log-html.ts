import type { LogLine } from '../logs/build-view.ts';
import { PLAIN, readStyle, toRgb, type Style } from './style.ts';
import { styleLine, type Span } from './styled-line.ts';
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

type Rgb = readonly [number, number, number];

/** Behind every log, on light pages too: programs choose their colours for a dark terminal. As `--log` in build-page.css. */
const GROUND: Rgb = [13, 17, 23];
const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];
/** WCAG 2.2, 1.4.3: of text. */
const MIN_CONTRAST = 4.5;

/** The sixteen that every terminal chooses for itself; these are easy to read on {@link GROUND}. */
const SIXTEEN: readonly Rgb[] = [
  [110, 118, 129],
  [255, 123, 114],
  [63, 185, 80],
  [210, 153, 34],
  [88, 166, 255],
  [188, 140, 255],
  [57, 197, 207],
  [201, 209, 217],
  [139, 148, 158],
  [255, 161, 152],
  [86, 211, 100],
  [227, 179, 65],
  [121, 192, 255],
  [210, 168, 255],
  [86, 212, 221],
  [255, 255, 255],
];

/**
 * A class for each colour of a terminal: `f1` to write with it on the log's ground, made lighter where it could not be read there;
 * `b1` as a background, with black or white text on it; `r1` to write with it on another background, as it is.
 */
export function formatPalette(): string {
  const colours = Array.from({ length: 256 }, (_, number) => ({ number, rgb: SIXTEEN[number] ?? toRgb(number) }));
  return [
    ...colours.map(({ number, rgb }) => `.b${number}{background:${toHex(rgb)};color:${toTextColour(rgb)}}`),
    ...colours.map(({ number, rgb }) => {
      const lighter = lighten(rgb);
      if (lighter === rgb) return `.f${number},.r${number}{color:${toHex(rgb)}}`;
      return `.f${number}{color:${toHex(lighter)}}.r${number}{color:${toHex(rgb)}}`;
    }),
  ].join('');
}

function toTextColour(background: Rgb): string {
  return contrast(background, BLACK) > contrast(background, WHITE) ? '#000' : '#fff';
}

/** As little white as makes it readable. */
function lighten(rgb: Rgb): Rgb {
  for (let part = 0; part <= 20; part++) {
    const [red, green, blue] = rgb.map((value) => Math.round(value + ((255 - value) * part) / 20)) as unknown as Rgb;
    const mixed: Rgb = part === 0 ? rgb : [red, green, blue];
    if (contrast(mixed, GROUND) >= MIN_CONTRAST) return mixed;
  }
  return WHITE;
}

/** WCAG 2.2, "contrast ratio". */
function contrast(one: Rgb, other: Rgb): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(rgb: Rgb): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((value) =>
    value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function toHex(rgb: Rgb): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
