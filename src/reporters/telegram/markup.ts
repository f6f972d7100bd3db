import type { InlineKeyboardMarkup } from '@grammyjs/types';
import { escapeHtml } from '../../show/index.ts';
import { toOneLine } from '../../terminal/text.ts';

/**
 * A part of a message, as Telegram's HTML and as plain text. The reader sees `html` as `plain`, so both have the same
 * visible length.
 */
export interface Markup {
  readonly html: string;
  readonly plain: string;
}

/**
 * A longer link is omitted. Telegram limits the source of a message to 32 KiB. The worst case is below it: six links
 * and 4,096 characters of text that consist of "&" only, which takes five bytes in HTML.
 */
const MAX_URL_LENGTH = 400;

/**
 * Renders untrusted text. An invisible word joiner follows each `@`, because Telegram turns `@name` into a mention:
 * otherwise anybody who can push could notify anybody in the chat.
 */
export function text(content: string): Markup {
  const inert = content.replaceAll(/@(?=\w)/g, '@\u2060');
  return { html: escapeHtml(inert), plain: inert };
}

export function bold(content: string): Markup {
  return wrap('<b>', text(content), '</b>');
}

/** Renders code. Telegram makes no mentions in it, so it needs no word joiner and can be copied. */
export function code(content: string): Markup {
  return { html: `<code>${escapeHtml(content)}</code>`, plain: content };
}

export function quote(content: string): Markup {
  return wrap('<blockquote>', text(content), '</blockquote>');
}

export function expandableQuote(content: string): Markup {
  return wrap('<blockquote expandable>', text(content), '</blockquote>');
}

/** Links to a web address. Returns the content without a link for any other address, and for one that is too long. */
export function link(content: Markup, url: string): Markup {
  if (!URL.canParse(url)) return content;
  const { href, protocol } = new URL(url);
  if ((protocol !== 'https:' && protocol !== 'http:') || href.length > MAX_URL_LENGTH) return content;
  return wrap(`<a href="${escapeHtml(href)}">`, content, '</a>');
}

export function oneLine(content: string, maxLength: number): Markup {
  return text(toOneLine(content, maxLength));
}

/** Joins the parts that are neither undefined nor empty. */
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

/** The fields of `sendMessage` and `editMessageText` that hold the message itself. */
export interface MessageFields {
  readonly text: string;
  readonly parse_mode?: 'HTML';
  readonly link_preview_options: { readonly is_disabled: true };
  readonly reply_markup?: InlineKeyboardMarkup;
}

/** @param isPlain whether Telegram has refused the markup */
export function toMessageFields(
  { html, plain }: Markup,
  { isPlain, buttons }: { isPlain: boolean; buttons?: InlineKeyboardMarkup | undefined },
): MessageFields {
  return {
    ...(isPlain ? { text: plain } : { text: html, parse_mode: 'HTML' }),
    // Otherwise Telegram fetches the linked pages.
    link_preview_options: { is_disabled: true },
    // An edit without this field removes the buttons.
    ...(buttons === undefined ? {} : { reply_markup: buttons }),
  };
}
