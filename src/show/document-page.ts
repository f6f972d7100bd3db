import { closeDocument, escapeHtml, openDocument, readBrowserFiles, toSecurityPolicy, type Page } from './html.ts';

const style = readBrowserFiles('page.css');
const contentSecurityPolicy = toSecurityPolicy(undefined, style, { isInteractive: false });

const LINK = /\[([^[\]]{1,200})\]\(([a-z0-9-]{1,50}\.md)(?:#[\w-]{1,100})?\)/gi;

/** Renders a document of c3 as its Markdown, with links to the other documents. */
export function renderDocumentPage(name: string, markdown: string): Page {
  const text = escapeHtml(markdown).replaceAll(LINK, '<a href="$2">$1</a>');
  const html = `${openDocument({ title: `${name} · c3`, style })}<main>
<p><a href="/">c3</a> / <a href="README.md">docs</a></p>
<pre class="document">${text}</pre>
</main>
${closeDocument()}`;
  return { html, contentSecurityPolicy };
}
