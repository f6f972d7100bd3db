import { C3Error, type C3ErrorOptions } from '../errors.ts';
import { parseJson, readArray, readObject, readString } from '../json.ts';
import { formatScope, type Scope } from '../sealing/scope.ts';
import {
  createHttpClient,
  DEFAULT_RETRY_POLICY,
  type HttpClient,
  type HttpClientOptions,
  type HttpResponse,
  type RetryPolicy,
} from './http-client.ts';
import { createPatientClient, PAUSES_MS, type PatientClient, type PatientRequest } from './patient-client.ts';
import type { ForgeEntry, OpenOptions } from './forge.ts';
import { toPrintableLine } from './untrusted-text.ts';

/** The limit of a JSON response. A repository's description has about 10 KiB. */
export const MAX_JSON_BYTES: number = 1024 * 1024;
/** The maximum length of a c3.yaml. The pipeline room has the same limit. */
export const MAX_FILE_BYTES: number = 64 * 1024;
/** The limit of the forge's own message in c3's message. */
const MAX_QUOTE_LENGTH = 200;

/** One repository in a forge's REST API. Paths start with a slash, below that of the repository. */
export interface RestApi {
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

/** How a forge expects requests. */
export interface RestDialect {
  /** The encoded path of a repository, below the base of the API: `/repos/acme/shop`. */
  toPath(scope: Scope): string;
  /** Headers of every request. */
  toHeaders(token: string): Readonly<Record<string, string>>;
  /** The media type of JSON. */
  readonly accept: string;
  readonly isRateLimit?: HttpClientOptions['isRateLimit'];
}

export interface ForgeOptions extends Pick<ForgeEntry, 'origin' | 'apiBase'> {
  readonly retryPolicy?: RetryPolicy;
  /** Default: {@link PAUSES_MS}. */
  readonly pausesMs?: readonly number[];
}

/** The connections to one forge, shared by all its repositories. */
export interface ForgeClients {
  openApi(scope: Scope, token: string, options: Required<Pick<OpenOptions, 'isConfirmed'>> & OpenOptions): RestApi;
  /** Sends requests for git, which are tried once: the container fetches where that is not enough. */
  chooseGit(isConfirmed: () => boolean): Pick<HttpClient, 'send'>;
  close(): Promise<void>;
}

export function createForgeClients(options: ForgeOptions, dialect: RestDialect): ForgeClients {
  const { origin, apiBase, retryPolicy, pausesMs = PAUSES_MS } = options;
  const apiClients = createClientPair(apiBase, { retryPolicy, isRateLimit: dialect.isRateLimit });
  const gitClients = createClientPair(origin, {
    retryPolicy: { ...(retryPolicy ?? DEFAULT_RETRY_POLICY), retryDelaysMs: [] },
  });
  return {
    openApi(scope, token, { isConfirmed, patienceMs }) {
      checkToken(token);
      const client = createPatientClient(apiClients.choose(isConfirmed, patienceMs), { pausesMs, isConfirmed });
      return createRestApi(client, dialect, { scope, token });
    },
    chooseGit: (isConfirmed) => gitClients.choose(isConfirmed),
    async close() {
      await Promise.all([apiClients.close(), gitClients.close()]);
    },
  };
}

/** Creates the API of one repository. `client` sends its requests. */
export function createRestApi(
  client: PatientClient,
  dialect: RestDialect,
  { scope, token }: { readonly scope: Scope; readonly token: string },
): RestApi {
  const base = dialect.toPath(scope);
  const common = dialect.toHeaders(token);
  const send: RestApi['send'] = async ({ path, headers, ...rest }, signal) => {
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
      return send({ method: 'GET', path: encoded, headers: { accept: dialect.accept }, maxBytes, isLate }, signal);
    },
  };
}

/**
 * Shared by all tokens that the forge has not accepted yet. A stranger can send such tokens and slow requests (A12).
 */
const MAX_UNCONFIRMED_CONNECTIONS = 8;
const MAX_UNCONFIRMED_CALLS = 2;

interface ClientPair {
  /** Returns a client for one repository. */
  choose(isConfirmed: () => boolean, patienceMs?: number): Pick<HttpClient, 'send'>;
  close(): Promise<void>;
}

/** Creates a client for tokens that the forge has accepted, and one for the others. */
function createClientPair(baseUrl: string, options: HttpClientOptions): ClientPair {
  const confirmed = createHttpClient(baseUrl, options);
  const unconfirmed = createHttpClient(baseUrl, {
    ...options,
    maxConnections: MAX_UNCONFIRMED_CONNECTIONS,
    maxCallsPerRepository: MAX_UNCONFIRMED_CALLS,
  });
  return {
    choose: (isConfirmed, patienceMs) => ({
      send: (request, signal) => (isConfirmed() ? confirmed : unconfirmed).send({ ...request, patienceMs }, signal),
    }),
    async close() {
      await Promise.all([confirmed.close(), unconfirmed.close()]);
    },
  };
}

function checkToken(token: string): void {
  // Other characters are not valid in a header, and an error of the HTTP client would quote them.
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    const message =
      'The token sealed in the hook key contains spaces, line breaks or other characters that no token has';
    throw new C3Error('FORGE_UNAUTHORIZED', message, { hint: 'seal it again, without any other text' });
  }
}

/** Runs a call whose answer a build does not need. Returns undefined if the forge is not reachable. */
export async function orUnknown<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof C3Error && error.code === 'FORGE_UNREACHABLE') return undefined;
    throw error;
  }
}

/**
 * Returns an error such as `Cannot read c3.yaml of github.com/acme/shop: the forge answers 403 "…"`.
 *
 * @param missingRight a hint. Forges answer 403, or 404 to hide what the token may not see
 */
export function toForgeError(action: string, response: HttpResponse, missingRight: string): C3Error {
  const options: C3ErrorOptions = [403, 404].includes(response.status) ? { hint: missingRight } : {};
  return new C3Error('FORGE_REFUSED', `Cannot ${action}: ${toDiagnosis(response)}`, options);
}

/**
 * Returns `the forge answers 403 "Resource not accessible by personal access token"`. GitHub has the reason for 422 in
 * the list `errors`; GitLab has it in `message` or in `error`, as a text or as lists by field.
 */
export function toDiagnosis({ status, mediaType, body }: HttpResponse): string {
  const json = mediaType === 'application/json' ? readObject(parseJson(body)) : {};
  const details = readArray(json['errors']).map((error) => readString(readObject(error)['message']) ?? '');
  const texts = [json['message'], json['error']].map((text) => readString(text) ?? toFieldTexts(text));
  const message = [...texts, ...details].filter(Boolean).join(': ') || undefined;
  return `the forge answers ${status}${message === undefined ? '' : ` "${toPrintableLine(message, MAX_QUOTE_LENGTH)}"`}`;
}

function toFieldTexts(fields: unknown): string {
  return Object.entries(readObject(fields))
    .map(([field, texts]) => `${field} ${readArray(texts).map(readString).join(', ')}`)
    .join('; ');
}

/** Returns `a1b2c3d4e5f6 in github.com/acme/shop`. */
export function describeCommit(scope: Scope, sha: string): string {
  return `${sha.slice(0, 12)} in ${formatScope(scope)}`;
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
