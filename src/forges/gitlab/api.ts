import type { HttpResponse } from '../http-client.ts';
import { type GetOptions, MAX_JSON_BYTES, type RestApi, type RestDialect } from '../rest-api.ts';

/**
 * GitLab takes the whole path of a project as one segment. Access tokens of every kind work as bearer tokens.
 *
 * @see https://docs.gitlab.com/api/rest/#namespaced-paths
 * @see https://docs.gitlab.com/api/rest/authentication/
 */
export const gitlabDialect: RestDialect = {
  toPath: ({ owner, name }) => `/projects/${encodeURIComponent(`${owner}/${name}`)}`,
  toHeaders: (token) => ({ authorization: `Bearer ${token}`, 'user-agent': 'c3' }),
  accept: 'application/json',
};

/** What a token needs for everything that c3 does. A hint. */
export const RIGHTS_HINT = 'the token needs the scope "api" and at least the role Developer';

export interface SegmentOptions extends Pick<GetOptions, 'maxBytes' | 'isLate'> {
  /** A name can have several values. */
  readonly query?: readonly (readonly [name: string, value: string])[];
}

/** Sends a GET request for JSON. Encodes each segment with its slashes: a branch or a file is one segment. */
export function getSegments(
  api: RestApi,
  segments: readonly string[],
  signal: AbortSignal,
  { query = [], maxBytes = MAX_JSON_BYTES, isLate }: SegmentOptions = {},
): Promise<HttpResponse> {
  const search = new URLSearchParams(query.map(([name, value]): [string, string] => [name, value])).toString();
  const path = `${toSegments(segments)}${search && `?${search}`}`;
  return api.send({ method: 'GET', path, headers: { accept: gitlabDialect.accept }, maxBytes, isLate }, signal);
}

/** Returns `/repository/branches/release%2F1.x`. */
export function toSegments(segments: readonly string[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('');
}

/** Returns whether GitLab does not know a commit that it need not know: c3 asks once more, and continues without it. */
export function isFirstUnknown({ status }: HttpResponse, tries: number): boolean {
  return tries === 0 && status === 404;
}
