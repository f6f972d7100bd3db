import type { Comment } from '../comments.ts';
import { countCommits, resolveObject, tryGit } from '../git.ts';
import type { Pull } from '../pulls.ts';
import { countLines, listFiles } from './commit-json.ts';
import { toApiUrl, toRepositoryJson, toTime, toUserJson, type Json } from './repository-json.ts';

/** GitHub lists at most as many files of a pull request. */
const MAX_PULL_FILES = 3000;

/** A pull request as payloads and most answers show it. */
export async function toPullJson(origin: string, pull: Pull): Promise<Json> {
  const { repository, baseSha, sha } = pull;
  const files = await listPullFiles(origin, pull);
  const [additions, deletions] = countLines(files);
  return {
    ...toListedPullJson(origin, pull),
    merged: pull.isMerged,
    // GitHub computes it later.
    mergeable: null,
    rebaseable: null,
    mergeable_state: 'unknown',
    merged_by: pull.merge === undefined ? null : toUserJson(origin, pull.merge.by),
    comments: pull.comments,
    review_comments: 0,
    maintainer_can_modify: false,
    commits: await countCommits(repository.path, `${baseSha}..${sha}`),
    additions,
    deletions,
    changed_files: files.length,
  };
}

/** Lists the files that differ from the common ancestor of the head and the base branch. */
export async function listPullFiles(origin: string, { repository, base, baseSha, sha }: Pull): Promise<Json[]> {
  const { path } = repository;
  const target = (await resolveObject(path, `refs/heads/${base}`, 'commit')) ?? baseSha;
  const ancestor = await tryGit(path, ['merge-base', target, sha]);
  if (ancestor === undefined) return [];
  return await listFiles({ origin, repository }, { base: ancestor, head: sha, max: MAX_PULL_FILES });
}

/** A pull request as lists show it. */
export function toListedPullJson(origin: string, pull: Pull): Json {
  const { repository, head, number, merge } = pull;
  const closedAt = pull.closedAt === undefined ? null : toTime(pull.closedAt);
  return {
    ...toUrls(origin, pull),
    id: pull.id,
    node_id: `PR_${pull.id}`,
    number,
    state: pull.state,
    locked: false,
    title: pull.title,
    user: toUserJson(origin, pull.author),
    body: null,
    created_at: toTime(pull.createdAt),
    updated_at: toTime(pull.updatedAt),
    closed_at: closedAt,
    merged_at: pull.isMerged ? closedAt : null,
    merge_commit_sha: merge?.sha ?? null,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: [],
    milestone: null,
    draft: pull.isDraft,
    head: {
      // GitHub writes `unknown repository` on the page of a pull request whose fork is gone.
      label: head.repository === undefined ? head.branch : `${head.repository.owner}:${head.branch}`,
      ref: head.branch,
      sha: pull.sha,
      user: toUserJson(origin, head.repository?.owner ?? pull.author),
      repo: head.repository === undefined ? null : toRepositoryJson(origin, head.repository),
    },
    base: {
      label: `${repository.owner}:${pull.base}`,
      ref: pull.base,
      sha: pull.baseSha,
      user: toUserJson(origin, repository.owner),
      repo: toRepositoryJson(origin, repository),
    },
    author_association: toAssociation(pull, pull.author),
    auto_merge: null,
    active_lock_reason: null,
  };
}

function toUrls(origin: string, { repository, number, sha }: Pull): Json {
  const api = toApiUrl(origin, repository);
  const html = `${origin}/${repository.fullName}/pull/${number}`;
  const self = `${api}/pulls/${number}`;
  const issue = `${api}/issues/${number}`;
  const links = {
    comments: `${issue}/comments`,
    review_comments: `${self}/comments`,
    review_comment: `${api}/pulls/comments{/number}`,
    commits: `${self}/commits`,
    statuses: `${api}/statuses/${sha}`,
  };
  const all = Object.entries({ self, html, issue, ...links }).map(([name, href]) => [name, { href }]);
  return {
    url: self,
    html_url: html,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    issue_url: issue,
    ...Object.fromEntries(Object.entries(links).map(([name, href]) => [`${name}_url`, href])),
    _links: Object.fromEntries(all) as Json,
  };
}

/** The issue of a pull request, as comments show it. It has no commit. */
export function toIssueJson(origin: string, pull: Pull): Json {
  const { repository, number } = pull;
  const api = toApiUrl(origin, repository);
  const url = `${api}/issues/${number}`;
  const html_url = `${origin}/${repository.fullName}/pull/${number}`;
  const closedAt = pull.closedAt === undefined ? null : toTime(pull.closedAt);
  const merged_at = pull.isMerged ? closedAt : null;
  return {
    url,
    repository_url: api,
    labels_url: `${url}/labels{/name}`,
    comments_url: `${url}/comments`,
    events_url: `${url}/events`,
    html_url,
    id: pull.id,
    node_id: `PR_${pull.id}`,
    number,
    title: pull.title,
    user: toUserJson(origin, pull.author),
    labels: [],
    state: pull.state,
    locked: false,
    assignee: null,
    assignees: [],
    milestone: null,
    comments: pull.comments,
    created_at: toTime(pull.createdAt),
    updated_at: toTime(pull.updatedAt),
    closed_at: closedAt,
    author_association: toAssociation(pull, pull.author),
    active_lock_reason: null,
    draft: pull.isDraft,
    pull_request: {
      url: `${api}/pulls/${number}`,
      html_url,
      diff_url: `${html_url}.diff`,
      patch_url: `${html_url}.patch`,
      merged_at,
    },
    body: null,
    reactions: toReactions(url),
    timeline_url: `${url}/timeline`,
    performed_via_github_app: null,
    state_reason: null,
  };
}

export function toCommentJson(origin: string, comment: Comment): Json {
  const { id, pull, author } = comment;
  const api = toApiUrl(origin, pull.repository);
  const url = `${api}/issues/comments/${id}`;
  return {
    url,
    html_url: `${origin}/${pull.repository.fullName}/pull/${pull.number}#issuecomment-${id}`,
    issue_url: `${api}/issues/${pull.number}`,
    id,
    node_id: `IC_${id}`,
    user: toUserJson(origin, author),
    created_at: toTime(comment.createdAt),
    updated_at: toTime(comment.updatedAt),
    body: comment.text,
    author_association: toAssociation(pull, author),
    reactions: toReactions(url),
    performed_via_github_app: null,
  };
}

/** It never says what the user may do: only the permission of a collaborator does. */
function toAssociation({ repository, head, author }: Pull, login: string): string {
  if (login.toLowerCase() === repository.owner.toLowerCase()) return 'OWNER';
  if (login !== author) return 'NONE';
  return head.repository === repository ? 'COLLABORATOR' : 'FIRST_TIME_CONTRIBUTOR';
}

function toReactions(url: string): Json {
  const kinds = ['+1', '-1', 'laugh', 'hooray', 'confused', 'heart', 'rocket', 'eyes'];
  const counts = Object.fromEntries(kinds.map((kind) => [kind, 0]));
  return { url: `${url}/reactions`, total_count: 0, ...counts };
}
