import { hasPermission, type User } from '../accounts.ts';
import type { Repository } from '../repositories.ts';
import { toApiUrl, toOwnUserJson, toRepositoryJson, type Json } from './repository-json.ts';
import { createCommentRoutes } from './rest-comments.ts';
import { createCompareRoutes } from './rest-compare.ts';
import { createContentRoutes } from './rest-content.ts';
import { createFileRoutes } from './rest-files.ts';
import { createHookRoutes } from './rest-hooks.ts';
import { createPullRoutes } from './rest-pulls.ts';
import { createStatusRoutes } from './rest-statuses.ts';
import { refuse } from './answers.ts';
import {
  findRoute,
  parseJson,
  type ApiAnswer,
  type ApiRequest,
  type ApiState,
  type Route,
  type RouteAnswer,
} from '../route.ts';

/** The routes below the path of a repository. */
export function createRoutes(state: ApiState): readonly Route[] {
  return [
    {
      method: 'GET',
      pattern: /^$/,
      permission: 'read',
      handle: ({ repository, user }) => {
        const counts = { network_count: 0, subscribers_count: 0 };
        const permissions = toPermissions(user, repository);
        return { status: 200, body: { ...toRepositoryJson(state.origin, repository), permissions, ...counts } };
      },
    },
    ...createContentRoutes(state),
    ...createCompareRoutes(state),
    ...createFileRoutes(state),
    ...createStatusRoutes(state),
    ...createPullRoutes(state),
    ...createCommentRoutes(state),
    ...createHookRoutes(state),
  ];
}

/** Serves the part of GitHub's REST API that c3 and its set-up use. Unknown routes get 404 and are recorded. */
export function createRestApi(state: ApiState): (request: ApiRequest) => Promise<ApiAnswer> {
  const routes = createRoutes(state);
  return async (request) => {
    const { user } = request;
    if (!request.headers['user-agent']) {
      return refuse(
        403,
        'Request forbidden by administrative rules. Please make sure your request has a User-Agent header',
      );
    }
    // GitHub shows public data to everybody. Here a request without a token is a mistake.
    if (user === 'anonymous' || user === 'invalid') {
      return refuse(401, user === 'anonymous' ? 'Requires authentication' : 'Bad credentials');
    }
    if (request.path === '/user' && request.method === 'GET') {
      return { status: 200, body: toOwnUserJson(state.origin, user.login) };
    }
    const { repository, rest, isMoved, isKnown } = findTarget(state, request.path);
    // A client may encode the slashes of a ref.
    const match = findRoute(routes, request.method, rest.replaceAll(/%2f/gi, '/'));
    if (!isKnown || match === undefined) {
      return { ...refuse(404, 'Not Found'), isUnexpected: true };
    }
    if (repository === undefined || !hasPermission(user, repository, 'read')) {
      return refuse(404, 'Not Found');
    }
    if (isMoved) return toMoved(state.origin, repository, rest);
    if (!hasPermission(user, repository, match.route.permission)) {
      return refuse(403, 'Resource not accessible by personal access token');
    }
    const body = request.method === 'GET' ? undefined : parseJson(request.body);
    if (request.method !== 'GET' && body === undefined && request.body.length > 0) {
      return refuse(400, 'Problems parsing JSON');
    }
    const { query, headers } = request;
    const accept = String(headers['accept'] ?? '*/*');
    const url = `${toApiUrl(state.origin, repository)}${rest}`;
    return match.route.handle({ repository, user, captures: match.captures, query, url, accept, body });
  };
}

/** Finds the repository of a path: by its name, by a former name, or by its id as redirects have it. */
function findTarget(
  { repositories }: ApiState,
  path: string,
): { repository: Repository | undefined; rest: string; isMoved: boolean; isKnown: boolean } {
  const [, id, byId = ''] = /^\/repositories\/(\d+)(\/.*)?$/.exec(path) ?? [];
  if (id !== undefined) {
    return { repository: repositories.findById(Number(id)), rest: byId, isMoved: false, isKnown: true };
  }
  const [, ownerText, nameText = '', rest = ''] = /^\/repos\/([^/]+)\/([^/]+)(\/.*)?$/.exec(path) ?? [];
  if (ownerText === undefined) return { repository: undefined, rest: '', isMoved: false, isKnown: false };
  const [owner, name] = [decodeURIComponent(ownerText), decodeURIComponent(nameText)];
  const found = repositories.find(owner, name);
  const repository = found ?? repositories.findMoved(owner, name);
  return { repository, rest, isMoved: found === undefined && repository !== undefined, isKnown: true };
}

/** Answers a request with a former name. @see https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects */
function toMoved(origin: string, { id }: Repository, rest: string): RouteAnswer {
  const url = `${origin}/api/v3/repositories/${id}${rest}`;
  const { body } = refuse(301, 'Moved Permanently');
  return { status: 301, body: { ...(body as Json), url }, headers: { location: url } };
}

function toPermissions(user: User, repository: Repository): Record<string, boolean> {
  return {
    admin: hasPermission(user, repository, 'admin'),
    maintain: hasPermission(user, repository, 'admin'),
    push: hasPermission(user, repository, 'write'),
    triage: hasPermission(user, repository, 'write'),
    pull: true,
  };
}
