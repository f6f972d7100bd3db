import { readdirSync, readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import { renderDocumentPage } from '../show/index.ts';
import { acceptsHtml, errorResponse, pageResponse, textResponse } from './responses.ts';

/** The documents of this version, as the package contains them. */
const FOLDER = new URL('docs/', pathToFileURL(findPackageJSON(import.meta.url) ?? import.meta.filename));
const NAMES: ReadonlySet<string> = new Set(listDocuments());

function listDocuments(): string[] {
  try {
    return readdirSync(FOLDER).filter((name) => name.endsWith('.md'));
  } catch {
    return [];
  }
}

/** Handles `GET /docs/NAME`: a page for a browser, Markdown for others. Reads only files that the folder lists. */
export function handleDocument(request: Request, name: string): Response {
  if (!NAMES.has(name)) return errorResponse(request, 404, [`There is no document ${name} here`]);
  const text = readFileSync(new URL(name, FOLDER), 'utf8');
  return acceptsHtml(request) ? pageResponse(200, renderDocumentPage(name, text)) : textResponse(200, text.trimEnd());
}
