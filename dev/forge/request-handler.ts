import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasPermission, type Accounts } from './accounts.ts';
import type { Faults } from './faults.ts';
import type { Repositories } from './repositories.ts';
import type { ApiAnswer, ApiRequest } from './route.ts';
import type { SmartHttp } from './smart-http.ts';

/** A request to the forge, without its body and token. */
export interface LoggedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** 0: the connection ended before the response. */
  readonly status: number;
  /** `undefined` without a valid token. */
  readonly login: string | undefined;
  /** The route is unknown. */
  readonly isUnexpected: boolean;
}

/** The maximum body of an API request. */
const MAX_BODY_BYTES = 1024 * 1024;
export interface HandlerParts {
  readonly origin: string;
  readonly accounts: Accounts;
  readonly repositories: Repositories;
  readonly faults: Faults;
  readonly git: SmartHttp;
  /** The path of the API, `/api/v3`. */
  readonly apiPath: string;
  answerApi(request: ApiRequest): Promise<ApiAnswer>;
  readonly signal: AbortSignal;
  /** Called once for each request, when it is answered or cut. */
  onRequest(request: LoggedRequest): void;
}

/** Passes a request to a fault, to git or to the API. */
export function createRequestHandler(
  parts: HandlerParts,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { origin, accounts, repositories, faults, git, apiPath, signal } = parts;
  return async function serve(request, response) {
    const { pathname, search, searchParams } = new URL(request.url ?? '/', origin);
    const user = accounts.authenticate(toCredentials(request.headers));
    let isUnexpected = false;
    response.once('close', () => {
      const { method = 'GET', url: path = '/' } = request;
      const login = typeof user === 'string' ? undefined : user.login;
      const status = response.headersSent ? response.statusCode : 0;
      parts.onRequest({ method, path, status, login, isUnexpected });
    });
    if (await faults.apply(request, response, signal)) {
      return;
    }
    const [, owner, name, service] =
      /^\/(.+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(pathname) ?? [];
    if (owner !== undefined && name !== undefined && service !== undefined) {
      const repository = repositories.find(owner, name);
      const moved = repository === undefined ? repositories.findMoved(owner, name) : undefined;
      if (moved !== undefined && user !== 'invalid' && hasPermission(user, moved, 'read')) {
        request.resume();
        response.writeHead(301, { location: `${origin}/${moved.fullName}.git/${service}${search}` }).end();
        return;
      }
      await git.serve(request, response, { repository, service, query: search });
      return;
    }
    const body = await readBody(request);
    const { method = 'GET', headers } = request;
    const path = pathname.startsWith(`${apiPath}/`) ? pathname.slice(apiPath.length) : '';
    const answer = await parts.answerApi({ method, path, query: searchParams, headers, user, body });
    isUnexpected = answer.isUnexpected === true;
    const contentType = answer.contentType ?? 'application/json; charset=utf-8';
    response.writeHead(answer.status, { 'content-type': contentType, ...answer.headers });
    if (answer.status === 204) response.end();
    else response.end(answer.contentType === undefined ? JSON.stringify(answer.body) : answer.body);
  };
}

/** GitLab's clients send a token in its own header. */
function toCredentials(headers: IncomingMessage['headers']): string | undefined {
  const own = headers['private-token'];
  return headers.authorization ?? (typeof own === 'string' ? `Bearer ${own}` : undefined);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) {
      throw new Error('the request body is too large');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
