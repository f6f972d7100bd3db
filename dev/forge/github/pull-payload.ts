import type { Comment } from '../comments.ts';
import type { Pull } from '../pulls.ts';
import { toRepositoryJson, toUserJson } from './push-payload.ts';

type Json = Record<string, unknown>;

/** A pull request as the API and the payloads show it, with the commonly used fields. */
export function toPullJson(origin: string, pull: Pull): Json {
  const { repository, head, number } = pull;
  const api = `${origin}/api/v3/repos/${repository.fullName}`;
  const url = `${origin}/${repository.fullName}/pull/${number}`;
  const owner = head.repository?.owner ?? 'ghost';
  const time = toTime(pull.createdAt);
  return {
    url: `${api}/pulls/${number}`,
    id: pull.id,
    node_id: `PR_${pull.id}`,
    html_url: url,
    diff_url: `${url}.diff`,
    patch_url: `${url}.patch`,
    issue_url: `${api}/issues/${number}`,
    number,
    state: pull.state,
    locked: false,
    title: pull.title,
    user: toUserJson(origin, pull.author),
    body: null,
    created_at: time,
    updated_at: time,
    closed_at: pull.state === 'closed' ? time : null,
    merged_at: pull.isMerged ? time : null,
    merge_commit_sha: null,
    assignee: null,
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    labels: [],
    milestone: null,
    draft: pull.isDraft,
    merged: pull.isMerged,
    head: {
      label: `${owner}:${head.branch}`,
      ref: head.branch,
      sha: pull.sha,
      user: toUserJson(origin, owner),
      repo: head.repository === undefined ? null : toRepositoryJson(origin, head.repository),
    },
    base: {
      label: `${repository.owner}:${pull.base}`,
      ref: pull.base,
      // GitHub does not update it when the base branch moves.
      sha: '0'.repeat(40),
      user: toUserJson(origin, repository.owner),
      repo: toRepositoryJson(origin, repository),
    },
    author_association: head.repository === repository ? 'MEMBER' : 'FIRST_TIME_CONTRIBUTOR',
    auto_merge: null,
    active_lock_reason: null,
  };
}

/** The issue of a pull request, as comments show it. It has no commit. */
export function toIssueJson(origin: string, pull: Pull): Json {
  const api = `${origin}/api/v3/repos/${pull.repository.fullName}`;
  return {
    url: `${api}/issues/${pull.number}`,
    id: pull.id,
    number: pull.number,
    title: pull.title,
    state: pull.state,
    user: toUserJson(origin, pull.author),
    labels: [],
    pull_request: { url: `${api}/pulls/${pull.number}` },
    created_at: toTime(pull.createdAt),
  };
}

export function toCommentJson(origin: string, comment: Comment): Json {
  const api = `${origin}/api/v3/repos/${comment.pull.repository.fullName}`;
  return {
    url: `${api}/issues/comments/${comment.id}`,
    issue_url: `${api}/issues/${comment.pull.number}`,
    id: comment.id,
    user: toUserJson(origin, comment.author),
    body: comment.text,
    created_at: toTime(comment.createdAt),
    updated_at: toTime(comment.createdAt),
    author_association: 'NONE',
  };
}

/** GitHub's times have whole seconds. */
function toTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '');
}
