import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Page {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

const SPECIAL = /[&<>"]/;

/** Escapes text for an element's content and for an attribute in double quotes. */
export function escapeHtml(text: string): string {
  if (!SPECIAL.test(text)) return text;
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export interface DocumentOptions {
  readonly title: string;
  readonly style: string;
  /** More elements of the head. Default: none. */
  readonly head?: string;
}

/** Renders a page up to its `main`. */
export function openDocument({ title, style, head = '' }: DocumentOptions): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
${head}<style>${style}</style>
</head>
<body>
`;
}

/** Renders the end of a page, with its script if it has one. */
export function closeDocument(script?: string): string {
  return `${script === undefined ? '' : `<script type="module">${script}</script>\n`}</body>\n</html>\n`;
}

/** Renders data for the page's script. No data can end the element or begin a comment. */
export function toDataElement(id: string, data: unknown): string {
  const json = JSON.stringify(data).replaceAll('<', String.raw`\u003c`);
  return `<script type="application/json" id="${id}">${json}</script>`;
}

/** Reads files of `browser/`, joined. */
export function readBrowserFiles(...names: readonly string[]): string {
  return names.map((name) => readFileSync(new URL(`./browser/${name}`, import.meta.url), 'utf8')).join('');
}

/**
 * Returns a policy that allows the page's own script and style, by their hashes. `isInteractive` also allows an icon,
 * requests to this c3 and forms.
 */
export function toSecurityPolicy(
  script: string | undefined,
  style: string,
  { isInteractive }: { isInteractive: boolean },
): string {
  return [
    "default-src 'none'",
    ...(script === undefined ? [] : [`script-src '${toHash(script)}'`]),
    `style-src '${toHash(style)}'`,
    ...(isInteractive ? ['img-src data:', "connect-src 'self'"] : []),
    "base-uri 'none'",
    `form-action '${isInteractive ? 'self' : 'none'}'`,
    "frame-ancestors 'none'",
  ].join('; ');
}

function toHash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
