import { C3Error, type C3ErrorOptions } from '../../errors.ts';
import { parseJson, readObject, readString } from '../../json.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { HttpClient, HttpRequest, HttpResponse, ResponseHeaders } from '../http-client.ts';
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
  send(request: Omit<HttpRequest, 'repository'>, signal: AbortSignal): Promise<HttpResponse>;
}

export interface GetOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** The limit of the response. Default 1 MiB. */
  readonly maxBytes?: number;
}

export function createGithubApi(client: Pick<HttpClient, 'send'>, scope: Scope, token: string): GithubApi {
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
      throw new C3Error('FORGE_UNAUTHORIZED', 'The forge does not accept the token sealed in the hook key', {
        hint: 'it may have expired or been revoked; make a new one and a new hook URL with it',
      });
    }
    return response;
  };
  return {
    scope,
    send,
    get(path, signal, { query = {}, maxBytes = MAX_JSON_BYTES } = {}) {
      const search = new URLSearchParams(query).toString();
      const encoded = `${encodePath(path)}${search && `?${search}`}`;
      return send(
        { method: 'GET', path: encoded, headers: { accept: 'application/vnd.github+json' }, maxBytes },
        signal,
      );
    },
  };
}

/**
 * Returns whether a response means that a rate limit is reached. GitHub sends 429, or 403 with `Retry-After`, or 403
 * with `x-ratelimit-remaining: 0` for the hourly limit.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export function isRateLimit(status: number, headers: ResponseHeaders): boolean {
  return status === 403 && (headers['retry-after'] !== undefined || headers['x-ratelimit-remaining'] === '0');
}

/** Returns an error such as `Cannot read c3.yaml of github.com/acme/shop: the forge answers 403 "…"`. */
export function toForgeError(action: string, response: HttpResponse, options: C3ErrorOptions): C3Error {
  return new C3Error('FORGE_REFUSED', `Cannot ${action}: ${toDiagnosis(response)}`, options);
}

/** Returns `the forge answers 403 "Resource not accessible by personal access token"`. */
export function toDiagnosis({ status, mediaType, body }: HttpResponse): string {
  const json = mediaType === 'application/json' ? parseJson(body) : undefined;
  const message = readString(readObject(json)['message']);
  return `the forge answers ${status}${message === undefined ? '' : ` "${toPrintableLine(message, MAX_QUOTE_LENGTH)}"`}`;
}

/** Returns `a1b2c3d4e5f6 in github.com/acme/shop`. */
export function describeCommit(scope: Scope, sha: string): string {
  return `${sha.slice(0, 12)} in ${formatScope(scope)}`;
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
