import { countCommits, readCommit, resolveObject, tryGit, type Commit } from '../git.ts';
import type { ForgeChange, Message, PullAction } from '../dialect.ts';
import type { Comment } from '../comments.ts';
import type { Pull } from '../pulls.ts';
import type { Repository } from '../repositories.ts';
import { toHookUser, toUserId } from './users.ts';

type Json = Record<string, unknown>;

/** GitLab lists no more commits of a push. */
const MAX_COMMITS = 20;

/** GitLab sends nothing for a push of more branches, or of more tags. */
const MAX_REFS = 3;

/** @see https://docs.gitlab.com/user/project/integrations/webhook_events/ */
export async function toMessage(origin: string, change: ForgeChange): Promise<Message | undefined> {
  switch (change.kind) {
    case 'ping':
      return undefined;
    case 'push': {
      const isTag = change.change.ref.startsWith('refs/tags/');
      const refs = change.push.changes.filter(({ ref }) => ref.startsWith('refs/tags/') === isTag);
      if (refs.length > MAX_REFS) return undefined;
      return { event: isTag ? 'tag_push_events' : 'push_events', payload: await toPushPayload(origin, change) };
    }
    case 'pull':
      return { event: 'merge_requests_events', payload: await toPullPayload(origin, change.pull, change.action) };
    case 'comment':
      // GitLab sends nothing for a deleted comment.
      if (change.action.kind === 'deleted') return undefined;
      return { event: 'note_events', payload: await toNotePayload(origin, change.comment, change.action.kind) };
  }
}

/** A project as payloads show it. */
function toHookProject(origin: string, repository: Repository): Json {
  const { id, name, fullName, owner, isPrivate, defaultBranch } = repository;
  const url = `${origin}/${fullName}`;
  const ssh = `git@${new URL(origin).hostname}:${fullName}.git`;
  return {
    id,
    name,
    description: null,
    web_url: url,
    avatar_url: null,
    git_ssh_url: ssh,
    git_http_url: `${url}.git`,
    namespace: owner,
    visibility_level: isPrivate ? 0 : 20,
    path_with_namespace: fullName,
    default_branch: defaultBranch,
    ci_config_path: null,
    homepage: url,
    url: ssh,
    ssh_url: ssh,
    http_url: `${url}.git`,
  };
}

function toHookRepository(origin: string, { name, fullName }: Repository): Json {
  const url = `${origin}/${fullName}`;
  return { name, url: `${url}.git`, description: null, homepage: url };
}

async function toPushPayload(origin: string, { push, change }: Extract<ForgeChange, { kind: 'push' }>): Promise<Json> {
  const { repository } = push;
  const { before, after, ref } = change;
  const isTag = ref.startsWith('refs/tags/');
  // Of an annotated tag, `after` is the tag object and `checkout_sha` is the commit.
  const head = /^0+$/.test(after) ? undefined : await resolveObject(repository.path, after, 'commit');
  const { commits, count } = await listCommits(repository, change, isTag ? undefined : head);
  const shown = isTag && head !== undefined ? [await readCommit(repository.path, head)] : commits;
  const kind = isTag ? 'tag_push' : 'push';
  const login = push.pusher ?? repository.owner;
  return {
    object_kind: kind,
    event_name: kind,
    before,
    after,
    ref,
    ref_protected: repository.protectedBranches.has(ref.slice('refs/heads/'.length)),
    checkout_sha: head ?? null,
    message: null,
    user_id: toUserId(login),
    user_name: login,
    user_username: login,
    user_email: '',
    user_avatar: null,
    project_id: repository.id,
    project: toHookProject(origin, repository),
    commits: shown.map((commit) => toCommitJson(`${origin}/${repository.fullName}`, commit)),
    total_commits_count: isTag ? shown.length : count,
    push_options: {},
    repository: toHookRepository(origin, repository),
  };
}

/** Lists the newest new commits, the oldest first. A new branch has those that the default branch does not have. */
async function listCommits(
  { path, defaultBranch }: Repository,
  { before, ref }: { readonly before: string; readonly ref: string },
  head: string | undefined,
): Promise<{ readonly commits: readonly Commit[]; readonly count: number }> {
  const isNew = /^0+$/.test(before);
  const other = isNew ? `refs/heads/${defaultBranch}` : before;
  const isKnown = ref !== other && (await resolveObject(path, other, 'commit')) !== undefined;
  if (head === undefined || (!isNew && !isKnown)) return { commits: [], count: 0 };
  const range = isKnown ? `${other}..${head}` : head;
  const list = await tryGit(path, ['rev-list', `--max-count=${MAX_COMMITS}`, range, '--']);
  const shas = (list ?? '').split('\n').filter((sha) => sha !== '');
  const commits = await Promise.all(shas.toReversed().map((sha) => readCommit(path, sha)));
  return { commits, count: await countCommits(path, range) };
}

function toCommitJson(url: string, commit: Commit): Json {
  const { sha: id, message, timestamp, author, added, removed, modified } = commit;
  const [title] = message.split('\n', 1);
  return { id, message, title, timestamp, url: `${url}/-/commit/${id}`, author, added, modified, removed };
}

/** The title as GitLab shows it: a draft is a merge request whose title begins so. */
export function toTitle({ isDraft, title }: Pull): string {
  return isDraft ? `Draft: ${title}` : title;
}

export function toPullState({ state, isMerged }: Pull): string {
  return isMerged ? 'merged' : state === 'open' ? 'opened' : 'closed';
}

async function toPullAttributes(origin: string, pull: Pull): Promise<Json> {
  const { repository, head } = pull;
  const url = `${origin}/${repository.fullName}`;
  const {
    added: _added,
    removed: _removed,
    modified: _modified,
    ...commit
  } = toCommitJson(url, await readCommit(repository.path, pull.sha));
  const time = new Date(pull.createdAt).toISOString();
  return {
    id: pull.id,
    iid: pull.number,
    author_id: toUserId(pull.author),
    created_at: time,
    updated_at: time,
    description: '',
    draft: pull.isDraft,
    work_in_progress: pull.isDraft,
    merge_commit_sha: null,
    merge_status: 'unchecked',
    source_branch: head.branch,
    source_project_id: head.repository?.id ?? null,
    target_branch: pull.base,
    target_project_id: repository.id,
    source: head.repository === undefined ? null : toHookProject(origin, head.repository),
    target: toHookProject(origin, repository),
    state: toPullState(pull),
    title: toTitle(pull),
    last_commit: commit,
    url: `${url}/-/merge_requests/${pull.number}`,
  };
}

async function toPullPayload(origin: string, pull: Pull, action: PullAction): Promise<Json> {
  return {
    object_kind: 'merge_request',
    event_type: 'merge_request',
    user: toHookUser(pull.author),
    project: toHookProject(origin, pull.repository),
    repository: toHookRepository(origin, pull.repository),
    object_attributes: {
      ...(await toPullAttributes(origin, pull)),
      ...(action.kind === 'synchronized' ? { oldrev: action.before } : {}),
      action: toActionName(pull, action),
    },
    labels: [],
    changes: toChanges(pull, action),
  };
}

function toActionName(pull: Pull, action: PullAction): string {
  switch (action.kind) {
    case 'opened':
      return 'open';
    case 'reopened':
      return 'reopen';
    case 'closed':
      return pull.isMerged ? 'merge' : 'close';
    default:
      return 'update';
  }
}

function toChanges(pull: Pull, action: PullAction): Json {
  switch (action.kind) {
    case 'base-changed':
      return { target_branch: { previous: action.before, current: pull.base } };
    case 'title-changed':
      return { title: { previous: toTitle({ ...pull, title: action.before }), current: toTitle(pull) } };
    case 'ready':
    case 'drafted':
      return {
        draft: { previous: !pull.isDraft, current: pull.isDraft },
        title: { previous: toTitle({ ...pull, isDraft: !pull.isDraft }), current: toTitle(pull) },
      };
    default:
      return {};
  }
}

async function toNotePayload(origin: string, comment: Comment, kind: 'created' | 'edited'): Promise<Json> {
  const { pull } = comment;
  const { repository } = pull;
  const time = new Date(comment.createdAt).toISOString().replace('T', ' ').replace(/\..*/, ' UTC');
  return {
    object_kind: 'note',
    event_type: 'note',
    user: toHookUser(comment.author),
    project_id: repository.id,
    project: toHookProject(origin, repository),
    repository: toHookRepository(origin, repository),
    object_attributes: {
      id: comment.id,
      note: comment.text,
      noteable_type: 'MergeRequest',
      noteable_id: pull.id,
      author_id: toUserId(comment.author),
      created_at: time,
      updated_at: time,
      project_id: repository.id,
      system: false,
      action: kind === 'created' ? 'create' : 'update',
      url: `${origin}/${repository.fullName}/-/merge_requests/${pull.number}#note_${comment.id}`,
    },
    merge_request: await toPullAttributes(origin, pull),
  };
}
