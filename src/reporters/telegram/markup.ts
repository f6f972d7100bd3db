import { toOneLine } from '../../show/index.ts';
import type { InlineKeyboardMarkup } from '@grammyjs/types';

/** A part of a message twice: as Telegram's HTML and as plain text. `plain` is also what the reader sees of `html`, so it has its length. */
export interface Markup {
  readonly html: string;
  readonly plain: string;
}

/**
 * A link is left out rather than cut. 1,000 of the worst characters ("&", five bytes in HTML) in each of two links, and 4,096 of
 * them in the text, stay below Telegram's limit on the source, 32 KiB.
 */
const MAX_URL_LENGTH = 1_000;

/** The one place where text becomes HTML. Telegram knows no other named entity than these four. */
function esc(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/**
 * Text that others wrote. Telegram makes live mentions of `@name`, and whoever can push could ring anybody in the chat; an
 * invisible word joiner after the sign keeps it text.
 */
export function text(content: string): Markup {
  const inert = content.replaceAll(/@(?=\w)/g, '@\u2060');
  return { html: esc(inert), plain: inert };
}

export function bold(content: string): Markup {
  return wrap('<b>', text(content), '</b>');
}

export function code(content: string): Markup {
  // Nothing is live inside code, so it stays as it is and can be copied.
  return { html: `<code>${esc(content)}</code>`, plain: content };
}

export function preformatted(content: string): Markup {
  return { html: `<pre>${esc(content)}</pre>`, plain: content };
}

export function expandableQuote(content: string): Markup {
  return wrap('<blockquote expandable>', text(content), '</blockquote>');
}

/** Without the link if the address is not one of the web or too long. */
export function link(content: Markup, url: string): Markup {
  if (!URL.canParse(url)) return content;
  const { href, protocol } = new URL(url);
  if ((protocol !== 'https:' && protocol !== 'http:') || href.length > MAX_URL_LENGTH) return content;
  return wrap(`<a href="${esc(href)}">`, content, '</a>');
}

export function oneLine(content: string, maxLength: number): Markup {
  return text(toOneLine(content, maxLength));
}

export function join(parts: readonly (Markup | undefined)[], separator: string): Markup {
  const present = parts.filter((part) => part !== undefined && part.plain !== '') as Markup[];
  return {
    html: present.map(({ html }) => html).join(separator),
    plain: present.map(({ plain }) => plain).join(separator),
  };
}

function wrap(before: string, content: Markup, after: string): Markup {
  return { html: `${before}${content.html}${after}`, plain: content.plain };
}

/** What Telegram is told of a message, but for its place. */
export interface Content {
  readonly text: string;
  readonly parse_mode?: 'HTML';
  readonly link_preview_options: { readonly is_disabled: true };
  readonly reply_markup?: InlineKeyboardMarkup;
}

export interface ContentOptions {
  /** Without markup, which Telegram has refused. */
  readonly isPlain: boolean;
  readonly buttons?: InlineKeyboardMarkup | undefined;
}

export function toContent({ html, plain }: Markup, { isPlain, buttons }: ContentOptions): Content {
  return {
    ...(isPlain ? { text: plain } : { text: html, parse_mode: 'HTML' }),
    // Telegram would otherwise fetch what is linked.
    link_preview_options: { is_disabled: true },
    // An edit without buttons takes them away.
    ...(buttons === undefined ? {} : { reply_markup: buttons }),
  };
}
