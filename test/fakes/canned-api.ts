import type { HttpResponse } from '../../src/forges/http-client.ts';
import type { RestApi } from '../../src/forges/rest-api.ts';

/** An answer of a forge in a test. `text`: the bytes of a file instead of JSON. */
export interface Canned {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
}

export interface CannedRequest {
  readonly method: string;
  /** Decoded, with its query: `/repository/branches/a/b?x=1`. */
  readonly path: string;
  readonly body: unknown;
}

export interface CannedApi extends RestApi {
  readonly requests: readonly CannedRequest[];
}

export const ok = (body: unknown): Canned => ({ status: 200, body });
export const failed = (status: number, message: unknown = 'no'): Canned => ({ status, body: { message } });

/**
 * Answers by method and path, `POST /statuses/abc`; `GET` may be left out. A list gives its answers in turn, the last
 * one again and again. A path without a query also answers requests with one. Anything else is 404.
 */
export function createCannedApi(
  scope: RestApi['scope'],
  answers: Readonly<Record<string, Canned | readonly Canned[]>>,
): CannedApi {
  const requests: CannedRequest[] = [];
  const counts = new Map<string, number>();
  const answer = (method: string, encoded: string, body: unknown): Promise<HttpResponse> => {
    const path = decodeURIComponent(encoded.replaceAll('+', ' '));
    requests.push({ method, path, body });
    const names = [path, path.split('?', 1)[0] ?? ''].map((name) => (method === 'GET' ? name : `${method} ${name}`));
    const name = names.find((one) => answers[one] !== undefined) ?? '';
    const list = [answers[name] ?? failed(404)].flat();
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    const { status, body: json, text } = list[count] ?? list.at(-1) ?? failed(404);
    return Promise.resolve({
      status,
      mediaType: text === undefined ? 'application/json' : 'text/plain',
      body: Buffer.from(text ?? JSON.stringify(json)),
      isCut: false,
    });
  };
  return {
    scope,
    requests,
    get(path, _signal, { query = {} } = {}) {
      const search = new URLSearchParams(query).toString();
      return answer('GET', `${path}${search && `?${search}`}`, undefined);
    },
    send: ({ method, path, body }) => answer(method, path, body === undefined ? undefined : JSON.parse(body)),
  };
}
