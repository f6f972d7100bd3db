import { hasPermission } from '../accounts.ts';
import { findRoute, parseJson, type ApiAnswer, type ApiRequest, type ApiState, type Route } from '../route.ts';
import { FORBIDDEN, notFound, refuse, refuseParameters } from './answers.ts';
import { createContentRoutes } from './rest-content.ts';
import { createHookRoutes } from './rest-hooks.ts';
import { createMergeRequestRoutes } from './rest-merge-requests.ts';
import { createProjectRoutes } from './rest-project.ts';
import { createStatusRoutes } from './rest-statuses.ts';
import { toUserJson } from './users.ts';

/** Serves the part of GitLab's REST API that c3 and its set-up use. Unknown routes get 404 and are recorded. */
export function createRestApi(state: ApiState): (request: ApiRequest) => Promise<ApiAnswer> {
  const routes: readonly Route[] = [
    ...createProjectRoutes(state),
    ...createContentRoutes(state),
    ...createStatusRoutes(state),
    ...createMergeRequestRoutes(state),
    ...createHookRoutes(state),
  ];
  return async (request) => {
    const { user, query, headers } = request;
    // GitLab shows public data to everybody. Here a request without a token is a mistake.
    if (user === 'anonymous' || user === 'invalid') return refuse(401, '401 Unauthorized');
    if (request.path === '/user' && request.method === 'GET') {
      return { status: 200, body: toUserJson(state.origin, user.login) };
    }
    const [, id = '', rest = ''] = /^\/projects\/([^/]+)(\/.*)?$/.exec(request.path) ?? [];
    const match = findRoute(routes, request.method, rest);
    if (id === '' || match === undefined) return { status: 404, body: { error: '404 Not Found' }, isUnexpected: true };
    const path = decodeURIComponent(id);
    const at = path.lastIndexOf('/');
    const repository = state.repositories.find(path.slice(0, at), path.slice(at + 1));
    if (repository === undefined || !hasPermission(user, repository, 'read')) return notFound('Project');
    if (!hasPermission(user, repository, match.route.permission)) return FORBIDDEN;
    const body = request.body.length === 0 ? {} : parseJson(request.body);
    if (body === undefined) return refuseParameters('body is not valid JSON');
    const accept = String(headers['accept'] ?? '*/*');
    return match.route.handle({ repository, user, captures: match.captures, query, accept, body });
  };
}
