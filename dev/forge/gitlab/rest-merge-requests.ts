import { resolveObject } from '../git.ts';
import type { Comment } from '../comments.ts';
import type { Pull } from '../pulls.ts';
import { field, type ApiState, type Route, type RouteAnswer, type RouteCall } from '../route.ts';
import { notFound, refuseParameters, toPage } from './answers.ts';
import { toPullState, toTitle } from './payloads.ts';
import { toUserJson } from './users.ts';

type Json = Record<string, unknown>;

const DRAFT = /^Draft: /;

/** The routes of merge requests and of comments on them. */
export function createMergeRequestRoutes({ origin, pulls }: Pick<ApiState, 'origin' | 'pulls'>): Route[] {
  const find = ({ repository, captures: [number] }: RouteCall): Pull | undefined =>
    pulls.find(repository, Number(number));
  const show = (pull: Pull | undefined, status = 200): RouteAnswer =>
    pull === undefined ? notFound('Not found') : { status, body: toPullJson(origin, pull) };
  return [
    route('GET', /^\/merge_requests$/, ({ repository, query }) => {
      const state = query.get('state') ?? 'all';
      const list = pulls.list(repository).filter((pull) => state === 'all' || toPullState(pull) === state);
      return toPage(
        list.map((pull) => toPullJson(origin, pull)),
        query,
      );
    }),
    route('GET', /^\/merge_requests\/(\d+)$/, (call) => show(find(call))),
    route('POST', /^\/merge_requests$/, async ({ repository, body, user }) => {
      const [branch, base, title] = ['source_branch', 'target_branch', 'title'].map((name) => field(body, name));
      if (typeof branch !== 'string' || typeof base !== 'string' || typeof title !== 'string') {
        return refuseParameters('source_branch, target_branch or title is missing');
      }
      const heads = await Promise.all(
        [branch, base].map((name) => resolveObject(repository.path, `refs/heads/${name}`, 'commit')),
      );
      if (heads.includes(undefined)) return refuseParameters('a branch does not exist');
      const pull = await pulls.open({
        repository,
        head: { repository, branch },
        base,
        title: title.replace(DRAFT, ''),
        author: user.login,
        isDraft: DRAFT.test(title),
      });
      return show(pull, 201);
    }),
    route('PUT', /^\/merge_requests\/(\d+)$/, async (call) => {
      const pull = find(call);
      if (pull === undefined) return show(undefined);
      const [event, base, title] = ['state_event', 'target_branch', 'title'].map((name) => field(call.body, name));
      if (event === 'close' && pull.state === 'open') return show(await pulls.close(pull));
      if (event === 'reopen' && pull.state === 'closed') return show(await pulls.reopen(pull));
      const draft = typeof title === 'string' ? { title: title.replace(DRAFT, ''), isDraft: DRAFT.test(title) } : {};
      return show(await pulls.edit(pull, { ...draft, ...(typeof base === 'string' ? { base } : {}) }));
    }),
    route('POST', /^\/merge_requests\/(\d+)\/notes$/, async (call) => {
      const pull = find(call);
      const text = field(call.body, 'body');
      if (pull === undefined) return show(undefined);
      if (typeof text !== 'string' || text === '') return refuseParameters('body is missing');
      const comment = await pulls.comment(pull, call.user.login, text);
      return { status: 201, body: toNoteJson(origin, comment) };
    }),
    route('GET', /^\/merge_requests\/(\d+)\/notes\/(\d+)$/, ({ repository, captures: [number, id] }) => {
      const comment = pulls.findComment(repository, Number(id));
      return comment === undefined || comment.pull.number !== Number(number)
        ? notFound('Note')
        : { status: 200, body: toNoteJson(origin, comment) };
    }),
  ];
}

/** @see https://docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request */
function toPullJson(origin: string, pull: Pull): Json {
  const { repository, head } = pull;
  const time = new Date(pull.createdAt).toISOString();
  return {
    id: pull.id,
    iid: pull.number,
    project_id: repository.id,
    title: toTitle(pull),
    description: '',
    state: toPullState(pull),
    created_at: time,
    updated_at: time,
    target_branch: pull.base,
    source_branch: head.branch,
    author: toUserJson(origin, pull.author),
    source_project_id: head.repository?.id ?? null,
    target_project_id: repository.id,
    draft: pull.isDraft,
    work_in_progress: pull.isDraft,
    sha: pull.sha,
    merge_status: 'unchecked',
    web_url: `${origin}/${repository.fullName}/-/merge_requests/${pull.number}`,
  };
}

/** @see https://docs.gitlab.com/api/notes/#retrieve-a-merge-request-note */
function toNoteJson(origin: string, comment: Comment): Json {
  const time = new Date(comment.createdAt).toISOString();
  return {
    id: comment.id,
    body: comment.text,
    attachment: null,
    author: toUserJson(origin, comment.author),
    created_at: time,
    updated_at: time,
    system: false,
    noteable_id: comment.pull.id,
    noteable_type: 'MergeRequest',
    noteable_iid: comment.pull.number,
    project_id: comment.pull.repository.id,
    resolvable: false,
    internal: false,
  };
}

function route(method: Route['method'], pattern: RegExp, handle: Route['handle']): Route {
  return { method, pattern, permission: 'read', handle };
}
