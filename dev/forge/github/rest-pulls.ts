import { hasPermission, type User } from '../accounts.ts';
import { countCommits, isAncestor, resolveObject, runGit } from '../git.ts';
import type { Pull } from '../pulls.ts';
import type { Repository } from '../repositories.ts';
import { field, type ApiState, type Route, type RouteAnswer, type RouteCall } from '../route.ts';
import { refuse, refuseInvalid, toList } from './answers.ts';
import { listPullFiles, toListedPullJson, toPullJson } from './pull-payload.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');
const FORBIDDEN: RouteAnswer = refuse(403, 'Resource not accessible by personal access token');
const STATES: readonly unknown[] = ['open', 'closed', 'all'];

/** @see https://docs.github.com/en/rest/pulls/pulls */
export function createPullRoutes(state: ApiState): Route[] {
  const { origin, pulls } = state;
  const find = ({ repository, captures: [number] }: RouteCall): Pull | undefined =>
    pulls.find(repository, Number(number));
  return [
    route('GET', /^\/pulls$/, (call) => listPulls(state, call)),
    route('POST', /^\/pulls$/, (call) => openPull(state, call)),
    route('GET', /^\/pulls\/(\d+)$/, async (call) => {
      const pull = find(call);
      return pull === undefined ? NOT_FOUND : { status: 200, body: await toPullJson(origin, pull) };
    }),
    route('PATCH', /^\/pulls\/(\d+)$/, async (call) => {
      const pull = find(call);
      return pull === undefined ? NOT_FOUND : await changePull(state, call, pull);
    }),
    route('GET', /^\/pulls\/(\d+)\/files$/, async (call) => {
      const pull = find(call);
      return pull === undefined ? NOT_FOUND : await toList(await listPullFiles(origin, pull), call, (file) => file);
    }),
    route('PUT', /^\/pulls\/(\d+)\/merge$/, async (call) => {
      const pull = find(call);
      return pull === undefined ? NOT_FOUND : await mergePull(state, call, pull);
    }),
  ];
}

async function listPulls({ origin, pulls }: ApiState, call: RouteCall): Promise<RouteAnswer> {
  const { query, repository } = call;
  const state = query.get('state') ?? 'open';
  if (!STATES.includes(state)) return invalid('state', 'invalid');
  const [head, base] = [query.get('head'), query.get('base')];
  const isWanted = (pull: Pull): boolean =>
    (state === 'all' || pull.state === state) &&
    (base === null || pull.base === base) &&
    // GitHub ignores a head without an owner.
    (head === null || !head.includes(':') || head === `${pull.head.repository?.owner ?? ''}:${pull.head.branch}`);
  return await toList(pulls.list(repository).filter(isWanted), call, (pull) => toListedPullJson(origin, pull));
}

async function openPull({ origin, repositories, pulls }: ApiState, call: RouteCall): Promise<RouteAnswer> {
  const { repository, user, body } = call;
  const [head, base, title] = ['head', 'base', 'title'].map((name) => field(body, name));
  for (const [name, value] of Object.entries({ head, base, title })) {
    if (typeof value !== 'string' || value === '') return invalid(name, 'missing_field');
  }
  const [, owner = repository.owner, branch = ''] = /^(?:([^:]+):)?(.+)$/.exec(String(head)) ?? [];
  const from = repositories.find(owner, repository.name);
  const sha = from && (await resolveHead(from, branch));
  if (from === undefined || sha === undefined) return invalid('head', 'invalid');
  if (!hasPermission(user, from, 'write') && !hasPermission(user, repository, 'write')) return FORBIDDEN;
  const target = String(base);
  const baseSha = await resolveHead(repository, target);
  if (baseSha === undefined) return invalid('base', 'invalid');
  const isSame = (pull: Pull): boolean =>
    pull.state === 'open' && pull.base === target && pull.head.repository === from && pull.head.branch === branch;
  if (pulls.list(repository).some(isSame)) {
    return custom({ message: `A pull request already exists for ${from.owner}:${branch}.` });
  }
  // The base repository may lack the objects of the fork until the pull request is open.
  if (from !== repository) await runGit(repository.path, ['fetch', '--quiet', '--no-tags', from.path, sha]);
  if ((await countCommits(repository.path, `${baseSha}..${sha}`)) === 0) {
    const name = from === repository ? branch : `${from.owner}:${branch}`;
    return custom({
      message: `No commits between ${from === repository ? '' : `${repository.owner}:`}${target} and ${name}`,
    });
  }
  const isDraft = field(body, 'draft') === true;
  const options = { repository, head: { repository: from, branch }, base: target, title: String(title), isDraft };
  const pull = await pulls.open({ ...options, author: user.login });
  return { status: 201, body: await toPullJson(origin, pull) };
}

async function changePull({ origin, pulls }: ApiState, call: RouteCall, pull: Pull): Promise<RouteAnswer> {
  const { user, body } = call;
  if (!mayChange(user, pull)) return FORBIDDEN;
  const [state, base, title] = ['state', 'base', 'title'].map((name) => field(body, name) ?? undefined);
  if (state !== undefined && state !== 'open' && state !== 'closed') return invalid('state', 'invalid');
  if (title !== undefined && (typeof title !== 'string' || title === '')) return invalid('title', 'missing_field');
  if (base !== undefined) {
    const problem = await toBaseProblem(pull, { base, isClosed: state === 'closed' || pull.state === 'closed' });
    if (problem !== undefined) return problem;
  }
  const isReopened = state === 'open' && pull.state === 'closed';
  const obstacle = isReopened ? await toObstacle(pull) : undefined;
  if (obstacle !== undefined) return custom({ field: 'state', message: `state cannot be changed. ${obstacle}` });
  let changed = pull;
  if (state === 'closed' && pull.state === 'open') changed = await pulls.close(changed, { actor: user.login });
  if (isReopened) changed = await pulls.reopen(changed, user.login);
  const changes = { ...(typeof base === 'string' ? { base } : {}), ...(title === undefined ? {} : { title }) };
  return { status: 200, body: await toPullJson(origin, await pulls.edit(changed, changes, user.login)) };
}

async function toBaseProblem(
  { repository, head }: Pull,
  { base, isClosed }: { readonly base: unknown; readonly isClosed: boolean },
): Promise<RouteAnswer | undefined> {
  if (isClosed) {
    const message = 'Cannot change the base branch of a closed pull request.';
    return refuseInvalid({ resource: 'PullRequest', field: 'base', code: 'invalid', message });
  }
  const isSelf = head.repository === repository && head.branch === base;
  const isBranch = typeof base === 'string' && (await resolveHead(repository, base)) !== undefined;
  return isBranch && !isSelf ? undefined : invalid('base', 'invalid');
}

/** Returns why a closed pull request cannot be opened again. */
async function toObstacle({ repository, base, head, sha, isMerged }: Pull): Promise<string | undefined> {
  if (isMerged) return 'The pull request is already merged.';
  if (head.repository === undefined) return 'The repository that submitted this pull request has been deleted.';
  const now = await resolveHead(head.repository, head.branch);
  if (now === undefined) return `The ${head.branch} branch has been deleted.`;
  if ((await resolveHead(repository, base)) === undefined) return `The ${base} branch has been deleted.`;
  return (await isAncestor(head.repository.path, sha, now))
    ? undefined
    : `The ${head.branch} branch was force-pushed or recreated.`;
}

async function mergePull({ pulls }: ApiState, { user, repository, body }: RouteCall, pull: Pull): Promise<RouteAnswer> {
  if (!hasPermission(user, repository, 'write')) return FORBIDDEN;
  if (pull.state === 'closed' || pull.isDraft) return refuse(405, 'Pull Request is not mergeable');
  const sha = field(body, 'sha');
  if (sha !== undefined && sha !== pull.sha) {
    return refuse(409, 'Head branch was modified. Review and try the merge again.');
  }
  const merged = await pulls.merge(pull, user.login);
  return merged?.merge === undefined
    ? refuse(405, 'Pull Request is not mergeable')
    : { status: 200, body: { sha: merged.merge.sha, merged: true, message: 'Pull Request successfully merged' } };
}

/** Its author and those who may push may change it. */
function mayChange(user: User, { repository, author }: Pull): boolean {
  return user.login === author || hasPermission(user, repository, 'write');
}

function resolveHead({ path }: Repository, branch: string): Promise<string | undefined> {
  return resolveObject(path, `refs/heads/${branch}`, 'commit');
}

function invalid(name: string, code: 'invalid' | 'missing_field'): RouteAnswer {
  return refuseInvalid({ resource: 'PullRequest', field: name, code });
}

function custom(problem: { readonly field?: string; readonly message: string }): RouteAnswer {
  return refuseInvalid({ resource: 'PullRequest', code: 'custom', ...problem });
}

function route(method: Route['method'], pattern: RegExp, handle: Route['handle']): Route {
  return { method, pattern, permission: 'read', handle };
}
