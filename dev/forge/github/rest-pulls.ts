import { hasPermission, type User } from '../accounts.ts';
import { resolveObject, tryGit } from '../git.ts';
import type { Pull } from '../pulls.ts';
import { field, type ApiState, type Route, type RouteAnswer, type RouteCall } from '../route.ts';
import { refuse, toPage } from './answers.ts';
import { toCommentJson, toPullJson } from './pull-payload.ts';
import { toUserJson } from './push-payload.ts';
import { listFiles } from './rest-content.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');

/** The routes of pull requests, of comments on them, and of what users may do. */
export function createPullRoutes({ origin, accounts, repositories, pulls }: ApiState): Route[] {
  const find = ({ repository, captures: [number] }: RouteCall): Pull | undefined =>
    pulls.find(repository, Number(number));
  const show = (pull: Pull | undefined, status = 200): RouteAnswer =>
    pull === undefined ? NOT_FOUND : { status, body: toPullJson(origin, pull) };
  return [
    route('GET', /^\/pulls$/, 'read', ({ repository, query }) => {
      const state = query.get('state') ?? 'open';
      const list = pulls.list(repository).filter((pull) => state === 'all' || pull.state === state);
      return { status: 200, body: toPage(list, query).map((pull) => toPullJson(origin, pull)) };
    }),
    route('GET', /^\/pulls\/(\d+)$/, 'read', (call) => show(find(call))),
    route('GET', /^\/pulls\/(\d+)\/files$/, 'read', async (call) => {
      const pull = find(call);
      if (pull === undefined) return NOT_FOUND;
      const { path } = call.repository;
      const base = await tryGit(path, ['merge-base', `refs/heads/${pull.base}`, pull.sha]);
      return base === undefined
        ? NOT_FOUND
        : { status: 200, body: toPage(await listFiles(path, base, pull.sha), call.query) };
    }),
    route('POST', /^\/pulls$/, 'read', async ({ repository, body, user }) => {
      const [head, base, title] = ['head', 'base', 'title'].map((name) => field(body, name));
      if (typeof head !== 'string' || typeof base !== 'string' || typeof title !== 'string') {
        return invalid('head, base and title are required');
      }
      const [, owner = repository.owner, branch = ''] = /^(?:([^:]+):)?(.+)$/.exec(head) ?? [];
      const from = repositories.find(owner, repository.name);
      const branches = [
        from && (await resolveObject(from.path, `refs/heads/${branch}`, 'commit')),
        await resolveObject(repository.path, `refs/heads/${base}`, 'commit'),
      ];
      if (from === undefined || branches.includes(undefined)) return invalid('the head or the base is not a branch');
      const isDraft = field(body, 'draft') === true;
      const opened = await pulls.open({
        repository,
        head: { repository: from, branch },
        base,
        title,
        author: user.login,
        isDraft,
      });
      return show(opened, 201);
    }),
    route('PATCH', /^\/pulls\/(\d+)$/, 'write', async (call) => {
      const pull = find(call);
      if (pull === undefined) return NOT_FOUND;
      const [state, base, title] = ['state', 'base', 'title'].map((name) => field(call.body, name));
      if (state === 'closed' && pull.state === 'open') return show(await pulls.close(pull));
      if (state === 'open' && pull.state === 'closed') return show(await pulls.reopen(pull));
      const changes = {
        ...(typeof base === 'string' ? { base } : {}),
        ...(typeof title === 'string' ? { title } : {}),
      };
      return show(await pulls.edit(pull, changes));
    }),
    ...createCommentRoutes({ origin, accounts, pulls }),
  ];
}

function createCommentRoutes({ origin, accounts, pulls }: Pick<ApiState, 'origin' | 'accounts' | 'pulls'>): Route[] {
  return [
    route('POST', /^\/issues\/(\d+)\/comments$/, 'read', async (call) => {
      const pull = pulls.find(call.repository, Number(call.captures[0]));
      const text = field(call.body, 'body');
      if (pull === undefined) return NOT_FOUND;
      if (typeof text !== 'string' || text === '') return invalid('body is required');
      const comment = await pulls.comment(pull, call.user.login, text);
      return { status: 201, body: toCommentJson(origin, comment) };
    }),
    route('GET', /^\/issues\/comments\/(\d+)$/, 'read', ({ repository, captures: [id] }) => {
      const comment = pulls.findComment(repository, Number(id));
      return comment === undefined ? NOT_FOUND : { status: 200, body: toCommentJson(origin, comment) };
    }),
    route('GET', /^\/collaborators\/([^/]+)\/permission$/, 'read', ({ repository, captures: [login = ''] }) => {
      const user = accounts.find(login);
      if (user === undefined) return refuse(404, `${login} is not a user`);
      const permission = toPermission(user, repository);
      const body = { permission, role_name: permission, user: toUserJson(origin, login) };
      return { status: 200, body };
    }),
  ];
}

/** @see https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user */
function toPermission(user: User, repository: RouteCall['repository']): string {
  const permission = (['admin', 'write', 'read'] as const).find((one) => hasPermission(user, repository, one));
  return permission ?? 'none';
}

function invalid(message: string): RouteAnswer {
  return refuse(422, 'Validation Failed', [{ resource: 'PullRequest', code: 'custom', message }]);
}

function route(
  method: Route['method'],
  pattern: RegExp,
  permission: Route['permission'],
  handle: Route['handle'],
): Route {
  return { method, pattern, permission, handle };
}
