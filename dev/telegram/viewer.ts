import type { HtmlNode } from './html.ts';
import { newest, type StoredMessage, type World } from './world.ts';

/** A message on the page; `html` is safe to insert. */
export interface ViewedMessage {
  readonly key: string;
  readonly chat: string;
  readonly html: string;
  readonly time: string;
  readonly isEdited: boolean;
  /** Whether it was sent without sound. */
  readonly isSilent: boolean;
}

export function renderMessages(world: World): readonly ViewedMessage[] {
  return world.messages.filter(({ isDeleted }) => !isDeleted).map((message) => toViewed(world, message));
}

function toViewed(world: World, message: StoredMessage): ViewedMessage {
  const file = message.document === undefined ? '' : `<p class="file">📄 ${esc(message.document.fileName)}</p>`;
  const reply = message.replyTo === undefined ? '' : `<p class="reply">${renderReply(world, message)}</p>`;
  const { nodes, replyMarkup } = newest(message);
  return {
    key: `${message.chatId}.${message.messageId}`,
    chat: world.chats.get(message.chatId)?.title ?? String(message.chatId),
    html: `${reply}${file}<div class="text">${renderNodes(nodes)}</div>${renderButtons(replyMarkup)}`,
    time: new Date(message.versions[0].at).toISOString().slice(11, 16),
    isEdited: message.versions.length > 1,
    isSilent: message.isSilent,
  };
}

/** Returns the first line of the message that this one replies to. */
function renderReply(world: World, { chatId, replyTo }: StoredMessage): string {
  const original = world.messages.find((other) => other.chatId === chatId && other.messageId === replyTo);
  return esc(original === undefined ? '' : (newest(original).text.split('\n')[0] ?? ''));
}

/** As in Telegram, the line break after a block belongs to the block. */
function renderNodes(nodes: readonly HtmlNode[]): string {
  return nodes
    .map((node, index) => {
      const before = nodes[index - 1];
      const isAfterBlock = before?.kind === 'element' && (before.tag === 'blockquote' || before.tag === 'pre');
      return renderNode(isAfterBlock && node.kind === 'text' ? { ...node, text: node.text.replace(/^\n/, '') } : node);
    })
    .join('');
}

/** Renders the parsed tree, not the sent text: the output has only the tags and attributes below. */
function renderNode(node: HtmlNode): string {
  if (node.kind === 'text') return esc(node.text);
  const inner = renderNodes(node.children);
  switch (node.tag) {
    case 'a':
      return `<a href="${esc(node.attributes.get('href') ?? '')}" rel="noopener noreferrer">${inner}</a>`;
    case 'blockquote':
      return node.attributes.has('expandable')
        ? `<blockquote class="expandable" tabindex="0">${inner}</blockquote>`
        : `<blockquote>${inner}</blockquote>`;
    case 'tg-spoiler':
    case 'span':
      return `<span class="spoiler">${inner}</span>`;
    default:
      return `<${node.tag}>${inner}</${node.tag}>`;
  }
}

function renderButtons(markup: unknown): string {
  const rows = (markup as { inline_keyboard?: Button[][] } | undefined)?.inline_keyboard ?? [];
  const lines = rows.map((row) => row.map(renderButton).join(''));
  return lines.map((line) => `<div class="buttons">${line}</div>`).join('');
}

interface Button {
  readonly text: string;
  readonly url?: string;
  readonly style?: string;
}

function renderButton({ text, url, style = '' }: Button): string {
  return url === undefined
    ? `<button>${esc(text)}</button>`
    : `<a class="button ${esc(style)}" href="${esc(url)}" rel="noopener noreferrer">${esc(text)}</a>`;
}

function esc(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const STYLE = `
:root { color-scheme: light dark; --back: #dfe6d5; --bubble: #fff; --ink: #101418; --dim: #7d8790; --accent: #2f7fc1; --quote: #e9f1f8; --code: #b3402e; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0e1621; --bubble: #182533; --ink: #f2f5f7; --dim: #7c8a97; --accent: #6ab3f3; --quote: #1f3347; --code: #e79d8e; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 24px 16px; background: var(--back); color: var(--ink);
  font: 15px/1.4 system-ui, "DejaVu Sans", "Noto Color Emoji", sans-serif; }
main { max-width: 520px; margin: 0 auto; }
.chat { margin: 16px 0 8px; text-align: center; font-size: 13px; color: var(--dim); }
.message { width: fit-content; max-width: 100%; margin: 6px 0; padding: 9px 13px 6px; border-radius: 14px 14px 14px 4px;
  background: var(--bubble); box-shadow: 0 1px 2px #0002; overflow-wrap: anywhere; }
.text { white-space: pre-wrap; }
.time { display: block; text-align: right; font-size: 11.5px; color: var(--dim); }
a { color: var(--accent); text-decoration: none; }
code, pre { font: 13px/1.4 "DejaVu Sans Mono", ui-monospace, monospace; color: var(--code); }
pre { margin: 4px 0; padding: 7px 10px; border-radius: 6px; border-left: 3px solid var(--accent); background: var(--quote); color: inherit; white-space: pre-wrap; }
blockquote { margin: 4px 0; padding: 5px 10px; border-radius: 6px; border-left: 3px solid var(--accent); background: var(--quote); font-size: 14px; }
.expandable { position: relative; padding-right: 26px; cursor: pointer; }
.expandable::after { content: "⌄"; position: absolute; right: 9px; bottom: 4px; color: var(--accent); font-weight: bold; }
.expandable:not(.open) { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; padding-bottom: 0; border-bottom: 5px solid var(--quote); }
.expandable.open::after { content: "⌃"; }
.spoiler:not(:hover) { background: currentColor; }
.reply { margin: 0 0 5px; padding: 2px 8px; border-left: 3px solid var(--accent); border-radius: 4px; background: var(--quote); font-size: 13px; }
.file { margin: 0 0 6px; color: var(--accent); }
.buttons { display: flex; gap: 4px; margin: 6px 0 2px; }
.buttons > * { flex: 1; padding: 7px; border: 0; border-radius: 7px; background: var(--quote); color: var(--accent); font: inherit; text-align: center; }
.buttons > .danger { background: #d64a3e; color: #fff; }
.empty { text-align: center; color: var(--dim); }
`;

/** Polls once a second. An opened quote stays open when its message changes. */
const SCRIPT = `
const main = document.querySelector('main');
const opened = new Set();
let shown = '';
main.addEventListener('click', (event) => {
  const quote = event.target.closest('.expandable');
  if (!quote) return;
  const key = quote.closest('.message').dataset.key;
  if (quote.classList.toggle('open')) opened.add(key); else opened.delete(key);
});
async function refresh() {
  const text = await (await fetch('messages')).text();
  if (text !== shown) {
    shown = text;
    let chat;
    main.replaceChildren(...JSON.parse(text).flatMap((message) => {
      const bubble = document.createElement('article');
      bubble.className = 'message';
      bubble.dataset.key = message.key;
      bubble.innerHTML = message.html;
      if (opened.has(message.key)) bubble.querySelectorAll('.expandable').forEach((quote) => quote.classList.add('open'));
      const time = document.createElement('span');
      time.className = 'time';
      time.textContent = (message.isSilent ? '' : '🔔 ') + (message.isEdited ? 'edited ' : '') + message.time;
      bubble.append(time);
      const isNew = message.chat !== chat;
      chat = message.chat;
      const title = document.createElement('div');
      title.className = 'chat';
      title.textContent = chat;
      return isNew ? [title, bubble] : [bubble];
    }));
  }
}
async function poll() {
  try { await refresh(); } catch {}
  setTimeout(poll, 1000);
}
poll();
`;

/** Returns the page at `/`. It loads nothing from other hosts. */
export function renderViewer(): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'">
<meta name="referrer" content="no-referrer">
<title>Telegram stand-in</title>
<style>${STYLE}</style>
<main><p class="empty">No message yet</p></main>
<script>${SCRIPT}</script>
</html>
`;
}
