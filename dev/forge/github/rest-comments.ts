import { hasPermission, type User } from '../accounts.ts';
import type { Comment } from '../comments.ts';
import { field, type ApiState, type Route, type RouteAnswer, type RouteCall } from '../route.ts';
import { refuse, refuseInvalid } from './answers.ts';
import { toCommentJson } from './pull-payload.ts';
import { toUserJson } from './repository-json.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');
/** GitHub's longest comment. */
const MAX_BODY_LENGTH = 65_536;

type State = Pick<ApiState, 'origin' | 'accounts' | 'pulls'>;

/**
 * The routes of comments, and of what their authors may do.
 *
 * @see https://docs.github.com/en/rest/issues/comments
 */
export function createCommentRoutes(state: State): Route[] {
  const { origin, pulls } = state;
  return [
    route('POST', /^\/issues\/(\d+)\/comments$/, async ({ repository, user, body, captures: [number] }) => {
      const pull = pulls.find(repository, Number(number));
      if (pull === undefined) return NOT_FOUND;
      const text = readText(body);
      if (typeof text !== 'string') return text;
      return { status: 201, body: toCommentJson(origin, await pulls.comment(pull, user.login, text)) };
    }),
    route('GET', /^\/issues\/comments\/(\d+)$/, ({ repository, captures: [id] }) => {
      const comment = pulls.findComment(repository, Number(id));
      return comment === undefined ? NOT_FOUND : { status: 200, body: toCommentJson(origin, comment) };
    }),
    route('PATCH', /^\/issues\/comments\/(\d+)$/, (call) =>
      change(state, call, async (comment) => {
        const text = readText(call.body);
        if (typeof text !== 'string') return text;
        const changed = await pulls.editComment(comment, text, call.user.login);
        return { status: 200, body: toCommentJson(origin, changed) };
      }),
    ),
    route('DELETE', /^\/issues\/comments\/(\d+)$/, (call) =>
      change(state, call, async (comment) => {
        await pulls.deleteComment(comment, call.user.login);
        return { status: 204, body: undefined };
      }),
    ),
    route('GET', /^\/collaborators\/([^/]+)\/permission$/, (call) => readPermission(state, call)),
  ];
}

/** Its author and those who may push may change a comment. */
async function change(
  { pulls }: State,
  { repository, user, captures: [id] }: RouteCall,
  apply: (comment: Comment) => Promise<RouteAnswer>,
): Promise<RouteAnswer> {
  const comment = pulls.findComment(repository, Number(id));
  if (comment === undefined) return NOT_FOUND;
  const mayChange = comment.author === user.login || hasPermission(user, repository, 'write');
  return mayChange ? await apply(comment) : refuse(403, 'Resource not accessible by personal access token');
}

/** @see https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user */
function readPermission({ origin, accounts }: State, call: RouteCall): RouteAnswer {
  const {
    repository,
    captures: [login = ''],
  } = call;
  if (!hasPermission(call.user, repository, 'write')) {
    return refuse(403, 'Must have push access to view collaborator permission.');
  }
  const user = accounts.find(login);
  if (user === undefined) return refuse(404, `${login} is not a user`);
  const permission = toPermission(user, repository);
  const role_name = user.roleName ?? permission;
  const mayPush = permission === 'write' || permission === 'admin';
  const permissions = {
    pull: permission !== 'none',
    triage: mayPush || role_name === 'triage',
    push: mayPush,
    maintain: permission === 'admin' || role_name === 'maintain',
    admin: permission === 'admin',
  };
  const shown = { ...toUserJson(origin, user.login), permissions, role_name };
  return { status: 200, body: { permission, role_name, user: shown } };
}

function toPermission(user: User, repository: RouteCall['repository']): string {
  const permission = (['admin', 'write', 'read'] as const).find((one) => hasPermission(user, repository, one));
  return permission ?? 'none';
}

function readText(body: unknown): string | RouteAnswer {
  const text = field(body, 'body');
  const shared = { resource: 'IssueComment', field: 'body' } as const;
  if (typeof text !== 'string' || text.trim() === '') return refuseInvalid({ ...shared, code: 'missing_field' });
  if (text.length <= MAX_BODY_LENGTH) return text;
  const message = `body is too long (maximum is ${MAX_BODY_LENGTH} characters)`;
  return refuseInvalid({ ...shared, code: 'custom', message });
}

function route(method: Route['method'], pattern: RegExp, handle: Route['handle']): Route {
  return { method, pattern, permission: 'read', handle };
}
