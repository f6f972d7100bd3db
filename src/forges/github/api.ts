import { parseJson, readObject, readString } from '../../json.ts';
import type { HttpResponse, ResponseHeaders } from '../http-client.ts';
import { toDiagnosis, type RestDialect } from '../rest-api.ts';

export const githubDialect: RestDialect = {
  toPath: ({ owner, name }) => `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`,
  toHeaders: (token) => ({
    authorization: `Bearer ${token}`,
    // GitHub answers 403 to a request without a user agent.
    'user-agent': 'c3',
    'x-github-api-version': '2022-11-28',
  }),
  accept: 'application/vnd.github+json',
  isRateLimit,
};

/**
 * Returns whether a response means that a rate limit is reached. GitHub sends 429, or 403 with `Retry-After`, or 403
 * with `x-ratelimit-remaining: 0` for the hourly limit. For a secondary limit only the message may say so.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
function isRateLimit({ status, headers, body }: LimitedResponse): boolean {
  if (status !== 403) return false;
  if (headers['retry-after'] !== undefined || headers['x-ratelimit-remaining'] === '0') return true;
  return /secondary rate limit|abuse detection/i.test(readString(readObject(parseJson(body))['message']) ?? '');
}

type LimitedResponse = { readonly status: number; readonly headers: ResponseHeaders; readonly body: Uint8Array };

/** Returns whether GitHub does not know the commit of a request: `No commit found for SHA: a1b2c3…`. */
export function isUnknownCommit(response: HttpResponse): boolean {
  return response.status === 422 && /no commit found/i.test(toDiagnosis(response));
}

/** Returns whether GitHub does not know a commit that it need not know: c3 asks once more, and continues without it. */
export function isFirstUnknown({ status }: HttpResponse, tries: number): boolean {
  return tries === 0 && (status === 404 || status === 422);
}
