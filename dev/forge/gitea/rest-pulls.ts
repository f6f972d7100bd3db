import { hasPermission, type User } from '../accounts.ts';
import { tryGit } from '../git.ts';
import type { Pull } from '../pulls.ts';
import { field, type ApiState, type Route, type RouteCall } from '../route.ts';
import { NOT_FOUND, refuse, toPage } from './answers.ts';
import { toCommentJson, toPullJson, toUserJson } from './payloads.ts';
import { listFiles } from './rest-content.ts';

/** The routes of pull requests, of comments on them, and of what users may do. */
export function createPullRoutes({
  origin,
  accounts,
  pulls,
}: Pick<ApiState, 'origin' | 'accounts' | 'pulls'>): Route[] {
  const find = ({ repository, captures: [number] }: RouteCall): Pull | undefined =>
    pulls.find(repository, Number(number));
  return [
    get(/^\/pulls$/, ({ repository, query }) => {
      const state = query.get('state') ?? 'open';
      const list = pulls.list(repository).filter((pull) => state === 'all' || pull.state === state);
      return toPage(
        list.map((pull) => toPullJson(origin, pull)),
        query,
      );
    }),
    get(/^\/pulls\/(\d+)$/, (call) => {
      const pull = find(call);
      return pull === undefined ? NOT_FOUND : { status: 200, body: toPullJson(origin, pull) };
    }),
    get(/^\/pulls\/(\d+)\/files$/, async (call) => {
      const pull = find(call);
      if (pull === undefined) return NOT_FOUND;
      const { path } = call.repository;
      const base = await tryGit(path, ['merge-base', `refs/heads/${pull.base}`, pull.sha]);
      return base === undefined ? NOT_FOUND : toPage(await listFiles(path, base, pull.sha), call.query);
    }),
    {
      method: 'POST',
      pattern: /^\/issues\/(\d+)\/comments$/,
      permission: 'read',
      async handle(call) {
        const pull = find(call);
        const text = field(call.body, 'body');
        if (pull === undefined) return NOT_FOUND;
        if (typeof text !== 'string' || text === '') return refuse(422, '[Body]: Required');
        return { status: 201, body: toCommentJson(origin, await pulls.comment(pull, call.user.login, text)) };
      },
    },
    get(/^\/issues\/comments\/(\d+)$/, ({ repository, captures: [id] }) => {
      const comment = pulls.findComment(repository, Number(id));
      return comment === undefined ? NOT_FOUND : { status: 200, body: toCommentJson(origin, comment) };
    }),
    get(/^\/collaborators\/([^/]+)\/permission$/, ({ repository, user, captures: [login = ''] }) => {
      // A user may ask for the own right; the others' are for administrators of the repository.
      if (user.login !== login && !hasPermission(user, repository, 'admin')) {
        return refuse(403, 'Only admins can query all permissions, repo admins can query all repo permissions');
      }
      const found = accounts.find(login);
      if (found === undefined) return NOT_FOUND;
      const permission = toPermission(found, repository);
      return { status: 200, body: { permission, role_name: permission, user: toUserJson(origin, login) } };
    }),
  ];
}

function toPermission(user: User, repository: RouteCall['repository']): string {
  if (user.login === repository.owner) return 'owner';
  return (['admin', 'write', 'read'] as const).find((one) => hasPermission(user, repository, one)) ?? 'none';
}

function get(pattern: RegExp, handle: Route['handle']): Route {
  return { method: 'GET', pattern, permission: 'read', handle };
}
