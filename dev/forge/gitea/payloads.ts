import type { Comment } from '../comments.ts';
import type { ForgeChange, Message, PullAction } from '../dialect.ts';
import { countCommits, readCommit, resolveObject, tryGit, type Commit } from '../git.ts';
import type { Pull } from '../pulls.ts';
import type { ReceivedPush, Repository } from '../repositories.ts';

type Json = Record<string, unknown>;

/** The most commits in a webhook, with default settings. */
const MAX_COMMITS = 30;

/** Makes the payloads of webhooks. A deletion of a ref is the event `delete`, and no push. */
export async function toMessage(origin: string, change: ForgeChange): Promise<Message | undefined> {
  switch (change.kind) {
    // Gitea sends nothing for a new webhook.
    case 'ping':
      return undefined;
    case 'push':
      return await toPush(origin, change.push, change.change);
    case 'pull': {
      const { pull, action } = change;
      const payload = {
        ...toAction(action),
        number: pull.number,
        pull_request: toPullJson(origin, pull),
        requested_reviewer: null,
        repository: toRepositoryJson(origin, pull.repository),
        sender: toUserJson(origin, pull.author),
        commit_id: '',
        review: null,
      };
      return { event: 'pull_request', payload };
    }
    case 'comment': {
      const { action, comment } = change;
      const payload = {
        action: action.kind,
        issue: toIssueJson(origin, comment.pull),
        comment: toCommentJson(origin, comment),
        ...(action.kind === 'edited' ? { changes: { body: { from: action.before } } } : {}),
        repository: toRepositoryJson(origin, comment.pull.repository),
        sender: toUserJson(origin, comment.author),
        is_pull: true,
      };
      return { event: 'issue_comment', payload };
    }
  }
}

function toAction(action: PullAction): Json {
  switch (action.kind) {
    case 'opened':
    case 'reopened':
    case 'closed':
    case 'synchronized':
      return { action: action.kind };
    case 'ready':
      return { action: 'edited', changes: { title: { from: 'WIP: a title' } } };
    case 'drafted':
      return { action: 'edited', changes: { title: { from: 'a title' } } };
    case 'base-changed':
      return { action: 'edited', changes: { ref: { from: action.before } } };
    case 'title-changed':
      return { action: 'edited', changes: { title: { from: action.before } } };
  }
}

export async function toPush(
  origin: string,
  push: ReceivedPush,
  change: ReceivedPush['changes'][number],
): Promise<Message> {
  const { repository } = push;
  const { ref, before, after } = change;
  const login = push.pusher ?? repository.owner;
  const shared = { repository: toRepositoryJson(origin, repository), sender: toUserJson(origin, login) };
  if (/^0+$/.test(after)) {
    const [, , kind = '', ...name] = ref.split('/');
    const ref_type = kind === 'tags' ? 'tag' : 'branch';
    return { event: 'delete', payload: { ref: name.join('/'), ref_type, pusher_type: 'user', ...shared } };
  }
  const head = (await resolveObject(repository.path, after, 'commit')) ?? after;
  const isNew = /^0+$/.test(before);
  const commits = isNew || ref.startsWith('refs/tags/') ? [] : await listCommits(repository, before, head);
  const url = `${origin}/${repository.fullName}`;
  const payload = {
    ref,
    before,
    after,
    compare_url: isNew ? '' : `${url}/compare/${before}...${after}`,
    commits: commits.slice(0, MAX_COMMITS).map((commit) => toCommitJson(url, commit)),
    total_commits: commits.length,
    head_commit: toCommitJson(url, await readCommit(repository.path, head)),
    pusher: toUserJson(origin, login),
    ...shared,
  };
  return { event: 'push', payload };
}

async function listCommits({ path }: Repository, before: string, after: string): Promise<Commit[]> {
  const isKnown = (await resolveObject(path, before, 'commit')) !== undefined;
  if (!isKnown || (await countCommits(path, `${before}..${after}`)) === 0) return [];
  const list = (await tryGit(path, ['rev-list', `${before}..${after}`, '--'])) ?? '';
  return await Promise.all(list.split('\n').map((sha) => readCommit(path, sha)));
}

function toCommitJson(url: string, { sha, message, author, committer, timestamp, ...files }: Commit): Json {
  const { added, removed, modified } = files;
  const people = [author, committer].map(({ name, email }) => ({ name, email, username: '' }));
  return {
    id: sha,
    message,
    url: `${url}/commit/${sha}`,
    author: people[0],
    committer: people[1],
    verification: null,
    timestamp,
    added,
    removed,
    modified,
  };
}

/** A repository as the API and the payloads show it, with the commonly used fields. */
export function toRepositoryJson(origin: string, repository: Repository): Json {
  const { id, name, fullName, owner, isPrivate, isFork, defaultBranch } = repository;
  return {
    id,
    owner: toUserJson(origin, owner),
    name,
    full_name: fullName,
    description: '',
    empty: false,
    private: isPrivate,
    internal: false,
    fork: isFork,
    html_url: `${origin}/${fullName}`,
    clone_url: `${origin}/${fullName}.git`,
    default_branch: defaultBranch,
    archived: false,
  };
}

export function toUserJson(origin: string, login: string): Json {
  return {
    id: 1,
    login,
    full_name: '',
    email: `${login}@noreply.example`,
    html_url: `${origin}/${login}`,
    username: login,
  };
}

export function toPullJson(origin: string, pull: Pull): Json {
  const { repository, head, number } = pull;
  const from = head.repository;
  return {
    id: pull.id,
    url: `${origin}/${repository.fullName}/pulls/${number}`,
    number,
    user: toUserJson(origin, pull.author),
    title: pull.isDraft ? `WIP: ${pull.title}` : pull.title,
    body: '',
    state: pull.state,
    draft: pull.isDraft,
    html_url: `${origin}/${repository.fullName}/pulls/${number}`,
    merged: pull.isMerged,
    base: {
      label: pull.base,
      ref: pull.base,
      sha: '0'.repeat(40),
      repo_id: repository.id,
      repo: toRepositoryJson(origin, repository),
    },
    head: {
      label: head.branch,
      // After the fork was deleted, the ref in the base repository.
      ref: from === undefined ? `refs/pull/${number}/head` : head.branch,
      sha: pull.sha,
      repo_id: from?.id ?? -1,
      repo: from === undefined ? null : toRepositoryJson(origin, from),
    },
    created_at: new Date(pull.createdAt).toISOString(),
  };
}

function toIssueJson(origin: string, pull: Pull): Json {
  const { repository, number, title, state, isMerged } = pull;
  return {
    id: pull.id,
    number,
    title,
    state,
    user: toUserJson(origin, pull.author),
    html_url: `${origin}/${repository.fullName}/pulls/${number}`,
    pull_request: { merged: isMerged, merged_at: null },
    repository: { id: repository.id, name: repository.name, owner: repository.owner, full_name: repository.fullName },
  };
}

export function toCommentJson(origin: string, comment: Comment): Json {
  const url = `${origin}/${comment.pull.repository.fullName}/pulls/${comment.pull.number}`;
  const time = new Date(comment.createdAt).toISOString().replace(/\.\d+/, '');
  return {
    id: comment.id,
    html_url: `${url}#issuecomment-${comment.id}`,
    pull_request_url: url,
    issue_url: '',
    user: toUserJson(origin, comment.author),
    body: comment.text,
    created_at: time,
    updated_at: time,
  };
}
