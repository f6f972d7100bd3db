import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Page {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

const SPECIAL = /[&<>"]/;

/** For text and for attributes in double quotes. */
export function escapeHtml(text: string): string {
  if (!SPECIAL.test(text)) return text;
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Data for the page's own script: nothing in it ends the element, or begins a comment. */
export function toDataElement(id: string, data: unknown): string {
  const json = JSON.stringify(data).replaceAll('<', String.raw`\u003c`);
  return `<script type="application/json" id="${id}">${json}</script>`;
}

/** Of `browser/`, as it is sent. */
export function readBrowserFile(name: string): string {
  return readFileSync(new URL(`./browser/${name}`, import.meta.url), 'utf8');
}

/** What a page needs beside its own script and style. */
export interface Needs {
  /** An icon as a data URI. */
  readonly hasIcon?: boolean;
  /** The script asks this c3, forms may be sent to it. */
  readonly hasRequests?: boolean;
}

/** Allows the page's own script and style, by their hashes, what it needs, and nothing else. */
export function toSecurityPolicy(
  script: string,
  style: string,
  { hasIcon = false, hasRequests = false }: Needs = {},
): string {
  return [
    "default-src 'none'",
    `script-src '${toHash(script)}'`,
    `style-src '${toHash(style)}'`,
    ...(hasIcon ? ['img-src data:'] : []),
    ...(hasRequests ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    `form-action '${hasRequests ? 'self' : 'none'}'`,
    "frame-ancestors 'none'",
  ].join('; ');
}

function toHash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
