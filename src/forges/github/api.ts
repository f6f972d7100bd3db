import { C3Error } from '../../errors.ts';
import { parseJson, readObject, readString } from '../../json.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { FileAnswer } from '../forge.ts';
import type { HttpAnswer, HttpCall, HttpClient } from '../http-client.ts';
import { toSingleLine } from '../text.ts';

/** A c3.yaml is at most this long (see the limits of the pipeline room). */
const MAX_FILE_BYTES = 64 * 1024;
/** Of any JSON answer. A repository's description is about 10 KiB. */
export const MAX_JSON_BYTES: number = 1024 * 1024;
/** Of GitHub's own words, quoted in ours. */
const MAX_QUOTE_LENGTH = 200;

/** One repository through GitHub's REST API. */
export interface GithubApi {
  readonly scope: Scope;
  /** GET below `/repos/OWNER/NAME`. `path` begins with a slash; each segment is encoded here. */
  get(path: string, signal: AbortSignal, options?: GetOptions): Promise<HttpAnswer>;
  send(
    call: Omit<HttpCall, 'headers' | 'owner'>,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<HttpAnswer>;
}

export interface GetOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** Of the answer. Default 1 MiB. */
  readonly maxBytes?: number;
}

export function createGithubApi(client: Pick<HttpClient, 'send'>, scope: Scope, token: string): GithubApi {
  const base = `/repos/${encodeURIComponent(scope.owner)}/${encodeURIComponent(scope.name)}`;
  const common = {
    authorization: `Bearer ${token}`,
    // GitHub answers 403 to a request without one.
    'user-agent': 'c3',
    'x-github-api-version': '2022-11-28',
  };
  const send: GithubApi['send'] = async (call, headers, signal) => {
    const answer = await client.send(
      { ...call, owner: base, path: base + call.path, headers: { ...common, ...headers } },
      signal,
    );
    if (answer.status === 401) {
      throw new C3Error('FORGE_UNAUTHORIZED', 'The forge does not accept the token sealed in the hook key', {
        hint: 'it may have expired or been revoked; make a new one and a new hook URL with it',
      });
    }
    return answer;
  };
  return {
    scope,
    send,
    get(path, signal, { query = {}, maxBytes = MAX_JSON_BYTES } = {}) {
      const search = new URLSearchParams(query).toString();
      const call = { method: 'GET', path: `${encodePath(path)}${search && `?${search}`}`, maxBytes } as const;
      return send(call, { accept: 'application/vnd.github+json' }, signal);
    },
  };
}

/** @see https://docs.github.com/en/rest/repos/contents#get-repository-content */
export async function readFile(api: GithubApi, path: string, options: ReadOptions): Promise<FileAnswer> {
  const answer = await api.send(
    {
      method: 'GET',
      path: `${encodePath(`/contents/${path}`)}?ref=${encodeURIComponent(options.sha)}`,
      maxBytes: MAX_FILE_BYTES,
    },
    { accept: 'application/vnd.github.raw+json' },
    options.signal,
  );
  // A directory or a submodule has no raw form: it comes as JSON, a file never does.
  if (answer.status === 404 || (answer.status === 200 && answer.mediaType === 'application/json')) {
    return { kind: 'missing' };
  }
  if (answer.status !== 200) {
    throw new C3Error(
      'FORGE_REFUSED',
      `Cannot read ${path} of ${formatScope(api.scope)} at ${options.sha.slice(0, 12)}: ${toDiagnosis(answer)}`,
      { hint: 'the token needs the right "Contents: read"' },
    );
  }
  if (answer.isCut) {
    return { kind: 'too-large', maxBytes: MAX_FILE_BYTES };
  }
  return { kind: 'found', text: new TextDecoder().decode(answer.body) };
}

export interface ReadOptions {
  readonly sha: string;
  readonly signal: AbortSignal;
}

/** `the forge answers 403 "Resource not accessible by personal access token"` */
export function toDiagnosis(answer: HttpAnswer): string {
  const json = answer.mediaType === 'application/json' ? parseJson(answer.body) : undefined;
  const message = readString(readObject(json)['message']);
  const words = message === undefined ? '' : ` "${toSingleLine(message, MAX_QUOTE_LENGTH)}"`;
  return `the forge answers ${answer.status}${words}`;
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
