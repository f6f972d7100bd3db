import type { InlineKeyboardMarkup } from '@grammyjs/types';
import type { Markup } from './markup.ts';

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
