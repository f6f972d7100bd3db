import { C3Error, type ErrorCode } from '../errors.ts';
import { renderErrorPage, type Page } from '../show/index.ts';
import { LimitError } from './limits.ts';

/** The HTTP status of each fault. The status of every other code is 500. */
const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  USAGE_INVALID: 400,
  SCOPE_INVALID: 400,
  PLAINTEXT_INVALID: 400,
  PAYLOAD_INVALID: 400,
  BODY_UNREADABLE: 400,
  SEALED_INVALID: 401,
  FORGE_UNAUTHORIZED: 401,
  SIGNATURE_MISSING: 401,
  SIGNATURE_INVALID: 401,
  SCOPE_REFUSED: 403,
  FORGE_REFUSED: 403,
  REPOSITORY_MISMATCH: 403,
  CONTROL_REFUSED: 403,
  BUILD_ELSEWHERE: 409,
  BODY_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  FORGE_UNREACHABLE: 502,
  DRAINING: 503,
};

/** Converts an error to one sentence and the hint. Forges show it in their log of deliveries. */
export function toErrorResponse(error: unknown, request?: Request): Response {
  if (!(error instanceof C3Error)) return errorResponse(request, 500, ['c3 failed on this request; see its log']);
  const lines = error.hint === undefined ? [error.message] : [error.message, error.hint];
  const response = errorResponse(request, STATUS_BY_CODE[error.code] ?? 500, lines);
  if (error instanceof LimitError) response.headers.set('retry-after', String(error.retryAfterSeconds));
  return response;
}

/** Makes a page for a browser, and plain text for everybody else. */
export function errorResponse(request: Request | undefined, status: number, lines: readonly string[]): Response {
  if (!acceptsHtml(request)) return textResponse(status, lines.join('\n'));
  return pageResponse(status, renderErrorPage(status, lines));
}

export function pageResponse(status: number, { html, contentSecurityPolicy }: Page): Response {
  const headers = { ...responseHeaders('text/html; charset=utf-8'), 'content-security-policy': contentSecurityPolicy };
  return new Response(html, { status, headers });
}

export function acceptsHtml(request: Request | undefined): boolean {
  return request?.headers.get('accept')?.includes('text/html') === true;
}

/** Makes a response of one line or more. */
export function textResponse(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: responseHeaders('text/plain; charset=utf-8') });
}

/** Returns the headers of every response: no browser stores it, frames it, or guesses its type (A11). */
export function responseHeaders(contentType: string): Record<string, string> {
  return {
    'content-type': contentType,
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-robots-tag': 'noindex, nofollow',
  };
}
