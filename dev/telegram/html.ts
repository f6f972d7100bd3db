/**
 * Parses Telegram's HTML strictly. It refuses the same input as the real API, with the same texts. It also refuses
 * what the real API silently drops (unknown attributes, entities inside `pre` and `code`): that is a mistake of the
 * sender.
 *
 * @see https://core.telegram.org/bots/api#html-style
 */

export type HtmlNode =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'element';
      readonly tag: string;
      readonly attributes: ReadonlyMap<string, string>;
      readonly children: HtmlNode[];
    };

export interface ParsedHtml {
  /** The visible text. The limits count its UTF-16 length. */
  readonly text: string;
  readonly nodes: readonly HtmlNode[];
}

/** `message` is what follows "Bad Request: can't parse entities: ". */
export class HtmlError extends Error {}

/** The known tags and their attributes. */
const TAGS: Readonly<Record<string, readonly string[]>> = {
  b: [],
  strong: [],
  i: [],
  em: [],
  u: [],
  ins: [],
  s: [],
  strike: [],
  del: [],
  span: ['class'],
  'tg-spoiler': [],
  a: ['href'],
  code: ['class'],
  pre: [],
  blockquote: ['expandable'],
};
const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"' };
const LINK_PROTOCOLS = new Set(['http:', 'https:', 'tg:', 'mailto:', 'tel:']);

type Element = Extract<HtmlNode, { kind: 'element' }>;
const TOKEN =
  /<(\/?)([a-zA-Z0-9-]*)((?:[^<>"]|"[^"]*")*)(>?)|&(?:#(x[0-9a-fA-F]{1,6}|[0-9]{1,7})|([a-zA-Z][a-zA-Z0-9]*));|[^<&]+|&/y;

/** @throws {HtmlError} with the API's sentence */
export function parseTelegramHtml(source: string): ParsedHtml {
  const root: HtmlNode[] = [];
  const open: Element[] = [];
  let text = '';
  for (let offset = 0; offset < source.length; offset = TOKEN.lastIndex) {
    TOKEN.lastIndex = offset;
    const [whole, slash, name, attributes, end, numeric, entity] = TOKEN.exec(source) ?? [''];
    if (whole === '') throw new HtmlError(`Unclosed start tag at byte offset ${toBytes(source, offset)}`);
    const at = toBytes(source, offset);
    const siblings = open.at(-1)?.children ?? root;
    if (slash === undefined) {
      const piece = toText(whole, { numeric, entity, at });
      text += piece;
      siblings.push({ kind: 'text', text: piece });
    } else if (end !== '>') {
      throw new HtmlError(`Unclosed ${slash === '/' ? 'end' : 'start'} tag at byte offset ${at}`);
    } else if (slash === '/') {
      closeElement(open, (name ?? '').toLowerCase(), at);
    } else {
      const element = toElement((name ?? '').toLowerCase(), attributes ?? '', at);
      checkNesting(element, open);
      siblings.push(element);
      open.push(element);
    }
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined) throw new HtmlError(`Can't find end tag corresponding to start tag "${unclosed.tag}"`);
  return { text, nodes: root };
}

function toText(
  whole: string,
  { numeric, entity, at }: { numeric: string | undefined; entity: string | undefined; at: number },
): string {
  if (numeric !== undefined) {
    const code = numeric.startsWith('x') ? Number.parseInt(numeric.slice(1), 16) : Number(numeric);
    if (code === 0 || code > 0x10_ff_ff || (code >= 0xd8_00 && code <= 0xdf_ff)) {
      throw new HtmlError(`Unsupported character reference "${whole}" at byte offset ${at}`);
    }
    return String.fromCodePoint(code);
  }
  if (entity !== undefined) {
    const character = NAMED[entity];
    if (character === undefined) throw new HtmlError(`Unsupported entity "${whole}" at byte offset ${at}`);
    return character;
  }
  if (whole === '&') throw new HtmlError(`Unescaped "&" at byte offset ${at}`);
  if (whole.includes('>')) throw new HtmlError(`Unescaped ">" at byte offset ${at}`);
  return whole;
}

function closeElement(open: Element[], tag: string, at: number): void {
  const last = open.pop();
  if (last === undefined) throw new HtmlError(`Unexpected end tag at byte offset ${at}`);
  if (last.tag !== tag) {
    throw new HtmlError(`Unmatched end tag at byte offset ${at}, expected "</${last.tag}>", found "</${tag}>"`);
  }
}

function toElement(tag: string, source: string, at: number): Element {
  const allowed = Object.hasOwn(TAGS, tag) ? TAGS[tag] : undefined;
  if (allowed === undefined) throw new HtmlError(`Unsupported start tag "${tag}" at byte offset ${at}`);
  const attributes = new Map<string, string>();
  const rest = source.replaceAll(/\s+([a-z-]+)(?:="([^"]*)")?/g, (_, name: string, value: string | undefined) => {
    attributes.set(
      name,
      (value ?? '').replaceAll(/&(lt|gt|amp|quot);/g, (_, entity: string) => NAMED[entity] ?? ''),
    );
    return '';
  });
  const unknown = [...attributes.keys()].find((name) => !allowed.includes(name));
  if (rest.trim() !== '' || unknown !== undefined) {
    throw new HtmlError(`Unsupported attribute "${unknown ?? rest.trim()}" in the tag "${tag}" at byte offset ${at}`);
  }
  if (tag === 'span' && attributes.get('class') !== 'tg-spoiler') {
    throw new HtmlError(`Tag "span" must have class "tg-spoiler" at byte offset ${at}`);
  }
  if (tag === 'a' && !isLink(attributes.get('href') ?? '')) {
    throw new HtmlError(`Tag "a" must have a link as "href" at byte offset ${at}`);
  }
  return { kind: 'element', tag, attributes, children: [] };
}

function isLink(href: string): boolean {
  return URL.canParse(href) && LINK_PROTOCOLS.has(new URL(href).protocol);
}

function checkNesting(element: Element, open: readonly Element[]): void {
  const { tag } = element;
  const parent = open.at(-1);
  if (tag === 'code' && element.attributes.has('class')) {
    if (parent?.tag === 'pre' && parent.children.length === 0) return;
    throw new HtmlError('Tag "code" with a class must be the only content of "pre"');
  }
  const around = open.find((outer) => outer.tag === 'pre' || outer.tag === 'code');
  if (around !== undefined) throw new HtmlError(`Tag "${tag}" inside "${around.tag}"`);
  if (open.some((outer) => outer.tag === tag)) throw new HtmlError(`Tag "${tag}" inside "${tag}"`);
}

function toBytes(source: string, offset: number): number {
  return Buffer.byteLength(source.slice(0, offset));
}
