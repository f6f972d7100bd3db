import { isAncestor, readCommit, readCommits, resolveObject, type Commit } from '../git.ts';
import type { ReceivedPush, Repository } from '../repositories.ts';
import { toRepositoryJson, toUserJson, type Json } from './repository-json.ts';

/** GitHub lists at most as many. */
const MAX_COMMITS = 2048;

/**
 * Creates the body of a `push` webhook from the real repository.
 *
 * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
 */
export async function toPushPayload(
  origin: string,
  push: ReceivedPush,
  change: ReceivedPush['changes'][number],
): Promise<Json> {
  const { repository } = push;
  const { path } = repository;
  const { before, after, ref } = change;
  const isCreated = /^0+$/.test(before);
  const isDeleted = /^0+$/.test(after);
  // An annotated tag's `after` is the tag object; `head_commit` is the commit.
  const head = isDeleted ? undefined : await resolveObject(path, after, 'commit');
  const url = `${origin}/${repository.fullName}`;
  const login = push.pusher ?? repository.owner;
  const commits =
    head === undefined || isCreated || !ref.startsWith('refs/heads/') ? [] : await listCommits(path, before, head);
  return {
    ref,
    before,
    after,
    base_ref: null,
    created: isCreated,
    deleted: isDeleted,
    forced: !isCreated && !isDeleted && !(await isAncestor(path, before, after)),
    compare: `${url}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`,
    commits: commits.map((commit) => toCommitJson(url, commit)),
    head_commit: head === undefined ? null : toCommitJson(url, await readCommit(path, head)),
    repository: toPushedRepository(origin, repository, push),
    pusher: { name: login, email: `${login}@example.invalid` },
    sender: toUserJson(origin, login),
  };
}

/** Lists what a push added to a branch, the oldest first. */
async function listCommits(path: string, before: string, after: string): Promise<Commit[]> {
  const isKnown = (await resolveObject(path, before, 'commit')) !== undefined;
  return isKnown ? await readCommits(path, `${before}..${after}`, MAX_COMMITS) : [];
}

function toCommitJson(url: string, commit: Commit): Json {
  const { sha, tree, message, timestamp, added, removed, modified } = commit;
  return {
    id: sha,
    tree_id: tree,
    distinct: true,
    message,
    timestamp,
    url: `${url}/commit/${sha}`,
    author: { ...commit.author, username: commit.author.name },
    committer: { ...commit.committer, username: commit.committer.name },
    added,
    removed,
    modified,
  };
}

/** The repository of a push differs from that of other events: two times are numbers, and the owner has a name. */
function toPushedRepository(origin: string, repository: Repository, { receivedAt }: ReceivedPush): Json {
  const { owner, defaultBranch, createdAt } = repository;
  return {
    ...toRepositoryJson(origin, repository),
    owner: { name: owner, email: null, ...toUserJson(origin, owner) },
    created_at: Math.floor(createdAt / 1000),
    pushed_at: Math.floor(receivedAt / 1000),
    stargazers: 0,
    master_branch: defaultBranch,
  };
}
