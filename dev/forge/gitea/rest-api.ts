import { hasPermission, type User } from '../accounts.ts';
import type { Repository } from '../repositories.ts';
import { findRoute, parseJson, type ApiAnswer, type ApiRequest, type ApiState, type Route } from '../route.ts';
import { NOT_FOUND, refuse } from './answers.ts';
import { toRepositoryJson, toUserJson } from './payloads.ts';
import { createContentRoutes } from './rest-content.ts';
import { createHookRoutes } from './rest-hooks.ts';
import { createPullRoutes } from './rest-pulls.ts';
import { createStatusRoutes } from './rest-statuses.ts';

/** Serves the part of Gitea's REST API that c3 and its set-up use. Unknown routes get 404 and are recorded. */
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
    ...createContentRoutes(state),
    ...createStatusRoutes(state),
    ...createPullRoutes(state),
    ...createHookRoutes(state),
  ];
  return async (request) => {
    const { user, query, headers } = request;
    // Gitea shows public data to everybody. Here a request without a token is a mistake.
    if (user === 'anonymous') return refuse(401, 'token is required');
    if (user === 'invalid') return refuse(401, 'user does not exist [uid: 0, name: ]');
    if (request.path === '/user' && request.method === 'GET') {
      return { status: 200, body: toUserJson(state.origin, user.login) };
    }
    const [, owner = '', name = '', rest = ''] = /^\/repos\/([^/]+)\/([^/]+)(\/.*)?$/.exec(request.path) ?? [];
    const match = findRoute(routes, request.method, rest);
    if (owner === '' || match === undefined) return { ...NOT_FOUND, isUnexpected: true };
    const repository = state.repositories.find(decodeURIComponent(owner), decodeURIComponent(name));
    if (repository === undefined || !hasPermission(user, repository, 'read')) return NOT_FOUND;
    if (!hasPermission(user, repository, match.route.permission)) {
      return refuse(403, 'user should have a permission to write to a repo');
    }
    const body = request.body.length === 0 ? {} : parseJson(request.body);
    if (body === undefined) return refuse(422, 'Deserialization: invalid character');
    const accept = String(headers['accept'] ?? '*/*');
    return match.route.handle({ repository, user, captures: match.captures, query, accept, body });
  };
}

function toPermissions(user: User, repository: Repository): Record<string, boolean> {
  return {
    admin: hasPermission(user, repository, 'admin'),
    push: hasPermission(user, repository, 'write'),
    pull: true,
  };
}
