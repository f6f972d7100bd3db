import type { LogLine } from '../logs/build-view.ts';
import { escapeHtml } from './html.ts';
import { PLAIN, readStyle, toRgb, type Style } from '../terminal/style.ts';
import { styleLine, type Span } from '../terminal/text.ts';

/** Lines in one list. A browser lays out only the lists that are on the screen. */
export const CHUNK_LINES = 200;

/**
 * Limits the HTML tags of a line to a multiple of what the program wrote. A line with a colour and a background for
 * each letter needs 3. A line that moves the cursor back and splits a link repeats the address in each piece, and
 * would need more.
 */
const MAX_TAGS_RATIO = 8;

/** A position between two lines of a log. */
export interface LinePosition {
  /** The number of lines before it. */
  readonly line: number;
  /** The style with which the next line begins. */
  readonly style: Style;
}

export const FIRST_LINE: LinePosition = { line: 0, style: PLAIN };

/** Lines of one list, `<li>…<li>…`. Lists begin with line 1, 201, 401, and so on. */
export interface LogChunk {
  /** The number of its first line, counted from 1. */
  readonly first: number;
  readonly html: string;
}

export interface RenderedLines {
  readonly chunks: readonly LogChunk[];
  /** The length of the HTML of all chunks, in UTF-16 units. */
  readonly length: number;
  readonly end: LinePosition;
}

/**
 * Renders lines with the ids `<step>-L<number>`. A line has `data-t` if its elapsed time differs from that of the
 * line before it.
 */
export function renderLines(
  lines: readonly LogLine[],
  { id, from }: { id: string; from: LinePosition },
): RenderedLines {
  const lists: { first: number; items: string[] }[] = [];
  let { line, style } = from;
  let seconds: number | undefined;
  for (const { text, seconds: written } of lines) {
    line += 1;
    if (lists.length === 0 || line % CHUNK_LINES === 1) lists.push({ first: line, items: [] });
    const time = written === undefined || written === seconds ? '' : ` data-t=${formatElapsed(written)}`;
    seconds = written;
    const styled = styleLine(text, style);
    style = styled.style;
    lists.at(-1)?.items.push(`<li id=${id}-L${line}${time}>${renderSpans(styled.spans, text.length)}`);
  }
  const chunks = lists.map(({ first, items }) => ({ first, html: items.join('') }));
  return { chunks, length: chunks.reduce((sum, { html }) => sum + html.length, 0), end: { line, style } };
}

/** Renders the beginning of a line that is not complete yet. */
export function renderPartial(text: string, { style }: LinePosition): string {
  return renderSpans(styleLine(text, style).spans, text.length);
}

/** Formats the time since the step's start: `0:07`, `1:02:03`. */
function formatElapsed(seconds: number): string {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const end = String(rest).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${end}` : `${minutes}:${end}`;
}

/**
 * Renders spans.
 *
 * @param length of the program's text. Beyond {@link MAX_TAGS_RATIO} times this length, the text has no tags
 */
function renderSpans(spans: readonly Span[], length: number): string {
  let html = '';
  let tagsLeft = MAX_TAGS_RATIO * length;
  let link: string | undefined;
  for (const { text, style, href } of spans) {
    const isPlain = tagsLeft <= 0;
    const wanted = isPlain ? undefined : href;
    if (wanted !== link) {
      const tag = `${link === undefined ? '' : '</a>'}${wanted === undefined ? '' : openLink(wanted)}`;
      html += tag;
      tagsLeft -= tag.length;
      link = wanted;
    }
    const classes = isPlain || style === PLAIN ? '' : toClasses(style);
    const inner = escapeHtml(text);
    if (classes === '') {
      html += inner;
    } else {
      html += `<span class=${classes}>${inner}</span>`;
      tagsLeft -= classes.length + SPAN_LENGTH;
    }
  }
  return link === undefined ? html : `${html}</a>`;
}

const SPAN_LENGTH = '<span class=></span>'.length;

function openLink(href: string): string {
  return `<a href="${escapeHtml(href)}" rel="noopener noreferrer nofollow">`;
}

/** Caches the classes of styles: most programs use few. */
const classCache = new Map<Style, string>();
const MAX_CACHED = 1_000;

function toClasses(style: Style): string {
  const cached = classCache.get(style);
  if (cached !== undefined) return cached;
  const classes = formatClasses(style);
  if (classCache.size >= MAX_CACHED) classCache.clear();
  classCache.set(style, classes);
  return classes;
}

/** Returns the value of a `class` attribute. The classes are those of build-page.css and of {@link formatPalette}. */
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

/**
 * The background of logs, on light pages too: programs choose colours for a dark terminal. Equals that of `.panel` in
 * build-page.css.
 */
const LOG_BACKGROUND: Rgb = [13, 17, 23];
/** The minimum for text. @see WCAG 2.2, 1.4.3 */
const MIN_CONTRAST = 4.5;

/** The first sixteen colours. Each terminal chooses its own; these are easy to read on {@link LOG_BACKGROUND}. */
const SIXTEEN =
  '6e7681 ff7b72 3fb950 d29922 58a6ff bc8cff 39c5cf c9d1d9 8b949e ffa198 56d364 e3b341 79c0ff d2a8ff 56d4dd ffffff'
    .split(' ')
    .map((hex) => hex.match(/../g)?.map((part) => Number.parseInt(part, 16)) as unknown as Rgb);

/**
 * Returns three classes for each of the 256 colours. `f1` is the colour as text on the log's background, made lighter
 * until it is readable. `b1` is the colour as a background, with black or white text. `r1` is the unchanged colour as
 * text on a background.
 */
export function formatPalette(): string {
  const colours = Array.from({ length: 256 }, (_, number) => ({ number, rgb: SIXTEEN[number] ?? toRgb(number) }));
  return [
    ...colours.map(
      ({ number, rgb }) =>
        `.b${number}{background:${toHex(rgb)};color:${luminance(rgb) > MIDDLE_LUMINANCE ? '#000' : '#fff'}}`,
    ),
    ...colours.map(({ number, rgb }) => `.f${number}{color:${toHex(lighten(rgb))}}.r${number}{color:${toHex(rgb)}}`),
  ].join('');
}

/** On a brighter background, black text has more contrast than white text. */
const MIDDLE_LUMINANCE = 0.179;

/** Mixes in as little white as is needed to make the colour readable. */
function lighten(rgb: Rgb): Rgb {
  const least = MIN_CONTRAST * (luminance(LOG_BACKGROUND) + 0.05) - 0.05;
  for (let part = 0; part < 20; part++) {
    const mixed = rgb.map((value) => Math.round(value + ((255 - value) * part) / 20)) as unknown as Rgb;
    if (luminance(mixed) >= least) return mixed;
  }
  return [255, 255, 255];
}

/** Returns the relative luminance of WCAG 2.2. */
function luminance(rgb: Rgb): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((value) =>
    value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function toHex(rgb: Rgb): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}
