import { hasPermission, type User } from '../accounts.ts';
import { toRepositoryJson, toUserJson } from './push-payload.ts';
import type { Repository } from '../repositories.ts';
import { createContentRoutes } from './rest-content.ts';
import { createHookRoutes } from './rest-hooks.ts';
import { createPullRoutes } from './rest-pulls.ts';
import { createStatusRoutes } from './rest-statuses.ts';
import { refuse } from './answers.ts';
import { findRoute, parseJson, type ApiAnswer, type ApiRequest, type ApiState, type Route } from '../route.ts';

/** Serves the part of GitHub's REST API that c3 and its set-up use. Unknown routes get 404 and are recorded. */
export function createRestApi(state: ApiState): (request: ApiRequest) => Promise<ApiAnswer> {
  const routes: readonly Route[] = [
    {
      method: 'GET',
      pattern: /^$/,
      permission: 'read',
      handle: ({ repository, user }) => ({
        status: 200,
        body: { ...toRepositoryJson(state.origin, repository), permissions: toPermissions(user, repository) },
      }),
    },
    ...createContentRoutes(),
    ...createStatusRoutes(state),
    ...createPullRoutes(state),
    ...createHookRoutes(state),
  ];
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
      return { status: 200, body: toUserJson(state.origin, user.login) };
    }
    const [, owner = '', name = '', rest = ''] = /^\/repos\/([^/]+)\/([^/]+)(\/.*)?$/.exec(request.path) ?? [];
    const match = findRoute(routes, request.method, rest);
    if (owner === '' || match === undefined) {
      return { ...refuse(404, 'Not Found'), isUnexpected: true };
    }
    const repository = state.repositories.find(decodeURIComponent(owner), decodeURIComponent(name));
    if (repository === undefined || !hasPermission(user, repository, 'read')) {
      return refuse(404, 'Not Found');
    }
    if (!hasPermission(user, repository, match.route.permission)) {
      return refuse(403, 'Resource not accessible by personal access token');
    }
    const body = request.method === 'GET' ? undefined : parseJson(request.body);
    if (request.method !== 'GET' && body === undefined && request.body.length > 0) {
      return refuse(400, 'Problems parsing JSON');
    }
    const { query, headers } = request;
    const accept = String(headers['accept'] ?? '*/*');
    return match.route.handle({ repository, user, captures: match.captures, query, accept, body });
  };
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
