import { C3Error, type ErrorCode } from '../errors.ts';
import { LimitError } from './limit-error.ts';

/** Which HTTP status a fault becomes. What is not listed is c3's own fault: 500. */
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
  REPOSITORY_MISMATCH: 403,
  CONTROL_REFUSED: 403,
  BUILD_ELSEWHERE: 409,
  BODY_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  DRAINING: 503,
};

/** One clear sentence, and a hint where there is one, as plain text: forges show it in their delivery log. */
export function toErrorAnswer(error: unknown): Response {
  if (!(error instanceof C3Error)) return answerText(500, 'c3 failed on this request; its log says why');
  const status = STATUS_BY_CODE[error.code] ?? 500;
  const answer = answerText(status, error.hint === undefined ? error.message : `${error.message}\n${error.hint}`);
  if (error instanceof LimitError) answer.headers.set('retry-after', String(error.retryAfterSeconds));
  return answer;
}

/** Plain text that nobody keeps or interprets. */
export function answerText(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: answerHeaders('text/plain; charset=utf-8') });
}

/** Nothing is kept, indexed, guessed at, framed, loaded or sent on, whatever a browser makes of the answer. */
export function answerHeaders(contentType: string): Record<string, string> {
  return {
    'content-type': contentType,
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-robots-tag': 'noindex, nofollow',
  };
}
