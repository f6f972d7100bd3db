import { C3Error, type C3ErrorOptions } from '../../errors.ts';
import { parseJson, readArray, readObject, readString } from '../../json.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { HttpResponse, ResponseHeaders } from '../http-client.ts';
import type { PatientClient, PatientRequest } from '../patient-client.ts';
import { toPrintableLine } from '../untrusted-text.ts';

/** The limit of a JSON response. A repository's description has about 10 KiB. */
export const MAX_JSON_BYTES: number = 1024 * 1024;
/** The limit of GitHub's own message in c3's message. */
const MAX_QUOTE_LENGTH = 200;

/** One repository in GitHub's REST API. Paths start with a slash, below `/repos/OWNER/NAME`. */
export interface GithubApi {
  readonly scope: Scope;
  /** Sends a GET request for JSON. Encodes each segment of `path`. */
  get(path: string, signal: AbortSignal, options?: GetOptions): Promise<HttpResponse>;
  /** Sends a request whose path is encoded. @throws {C3Error} FORGE_UNREACHABLE, FORGE_UNAUTHORIZED */
  send(request: Omit<PatientRequest, 'repository'>, signal: AbortSignal): Promise<HttpResponse>;
}

export interface GetOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** The limit of the response. Default 1 MiB. */
  readonly maxBytes?: number;
  /** See {@link PatientRequest}. */
  readonly isLate?: PatientRequest['isLate'];
}

export function createGithubApi(client: PatientClient, scope: Scope, token: string): GithubApi {
  const base = `/repos/${encodeURIComponent(scope.owner)}/${encodeURIComponent(scope.name)}`;
  const common = {
    authorization: `Bearer ${token}`,
    // GitHub answers 403 to a request without a user agent.
    'user-agent': 'c3',
    'x-github-api-version': '2022-11-28',
  };
  const send: GithubApi['send'] = async ({ path, headers, ...rest }, signal) => {
    const request = { ...rest, repository: base, path: base + path, headers: { ...common, ...headers } };
    const response = await client.send(request, signal);
    if (response.status === 401) {
      throw new C3Error('FORGE_UNAUTHORIZED', 'The forge does not accept the token', {
        hint: 'it may have expired or been revoked; make a new one and a new hook URL with it',
      });
    }
    return response;
  };
  return {
    scope,
    send,
    get(path, signal, { query = {}, maxBytes = MAX_JSON_BYTES, isLate } = {}) {
      const search = new URLSearchParams(query).toString();
      const encoded = `${encodePath(path)}${search && `?${search}`}`;
      return send(
        { method: 'GET', path: encoded, headers: { accept: 'application/vnd.github+json' }, maxBytes, isLate },
        signal,
      );
    },
  };
}

/**
 * Returns whether a response means that a rate limit is reached. GitHub sends 429, or 403 with `Retry-After`, or 403
 * with `x-ratelimit-remaining: 0` for the hourly limit. For a secondary limit only the message may say so.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export function isRateLimit({ status, headers, body }: LimitedResponse): boolean {
  if (status !== 403) return false;
  if (headers['retry-after'] !== undefined || headers['x-ratelimit-remaining'] === '0') return true;
  return /secondary rate limit|abuse detection/i.test(readString(readObject(parseJson(body))['message']) ?? '');
}

type LimitedResponse = { readonly status: number; readonly headers: ResponseHeaders; readonly body: Uint8Array };

/**
 * Returns an error such as `Cannot read c3.yaml of github.com/acme/shop: the forge answers 403 "…"`.
 *
 * @param missingRight a hint. GitHub answers 403, or 404 to hide what the token may not see
 */
export function toForgeError(action: string, response: HttpResponse, missingRight: string): C3Error {
  const options: C3ErrorOptions = [403, 404].includes(response.status) ? { hint: missingRight } : {};
  return new C3Error('FORGE_REFUSED', `Cannot ${action}: ${toDiagnosis(response)}`, options);
}

/** Returns whether GitHub does not know the commit of a request: `No commit found for SHA: a1b2c3…`. */
export function isUnknownCommit(response: HttpResponse): boolean {
  return response.status === 422 && /no commit found/i.test(toDiagnosis(response));
}

/** Returns whether GitHub does not know a commit that it need not know: c3 asks once more, and continues without it. */
export function isFirstUnknown({ status }: HttpResponse, tries: number): boolean {
  return tries === 0 && (status === 404 || status === 422);
}

/**
 * Returns `the forge answers 403 "Resource not accessible by personal access token"`. The reason for 422 is in the
 * list `errors`.
 */
export function toDiagnosis({ status, mediaType, body }: HttpResponse): string {
  const json = mediaType === 'application/json' ? readObject(parseJson(body)) : {};
  const details = readArray(json['errors']).map((error) => readString(readObject(error)['message']) ?? '');
  const message = [readString(json['message']), ...details].filter(Boolean).join(': ') || undefined;
  return `the forge answers ${status}${message === undefined ? '' : ` "${toPrintableLine(message, MAX_QUOTE_LENGTH)}"`}`;
}

/** Returns `a1b2c3d4e5f6 in github.com/acme/shop`. */
export function describeCommit(scope: Scope, sha: string): string {
  return `${sha.slice(0, 12)} in ${formatScope(scope)}`;
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
