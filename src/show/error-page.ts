import { STATUS_CODES } from 'node:http';
import { capitalize } from '../build/index.ts';
import { closeDocument, escapeHtml, openDocument, readBrowserFiles, toSecurityPolicy, type Page } from './html.ts';

const style = readBrowserFiles('page.css');
const contentSecurityPolicy = toSecurityPolicy(undefined, style, { isInteractive: false });

/** Renders an error for a browser: the words of the status, the sentence, and what to do. */
export function renderErrorPage(status: number, [sentence = '', ...hints]: readonly string[]): Page {
  const title = STATUS_CODES[status] ?? 'Error';
  const hint = hints.map((line) => `<p class="quiet">${escapeHtml(capitalize(line))}</p>\n`).join('');
  const html = `${openDocument({ title: `${title} · c3`, style })}<main class="narrow">
<p class="quiet">${status}</p>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(sentence)}</p>
${hint}<p><a href="/">What is c3?</a></p>
</main>
${closeDocument()}`;
  return { html, contentSecurityPolicy };
}
