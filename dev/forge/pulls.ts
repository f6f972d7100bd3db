import type { Changes } from './changes.ts';
import { createComments, type Comments } from './comments.ts';
import type { ForgeChange } from './dialect.ts';
import { runGit } from './git.ts';
import { createPullActions, follow, readHead, type PullActions, type Update } from './pull-actions.ts';
import type { ReceivedPush, Repository } from './repositories.ts';

/** A pull request. Its fields change. */
export interface Pull {
  readonly id: number;
  readonly number: number;
  /** The repository that it wants to change. */
  readonly repository: Repository;
  readonly base: string;
  /** The head of `base` when the pull request was opened, or got its newest commit or another base. */
  readonly baseSha: string;
  /** `repository` is undefined after the fork was deleted. */
  readonly head: { readonly repository: Repository | undefined; readonly branch: string };
  readonly sha: string;
  readonly title: string;
  /** The login of the user who opened it. */
  readonly author: string;
  readonly isDraft: boolean;
  readonly state: 'open' | 'closed';
  readonly isMerged: boolean;
  /** Undefined unless it was merged by {@link Pulls.merge}, or by a push of its head to the base. */
  readonly merge: { readonly sha: string; readonly by: string } | undefined;
  /** The number of its comments. */
  readonly comments: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Epoch milliseconds. */
  readonly updatedAt: number;
  /** Epoch milliseconds. */
  readonly closedAt: number | undefined;
}

export interface NewPull {
  readonly repository: Repository;
  readonly head: { readonly repository: Repository; readonly branch: string };
  readonly title?: string;
  /** Default: the default branch. */
  readonly base?: string;
  readonly author: string;
  readonly isDraft?: boolean;
}

/** The pull requests of all repositories, and their comments. Each change sends its webhooks. */
export interface Pulls extends PullActions, Comments {
  open(options: NewPull): Promise<Pull>;
  find(repository: Repository, number: number): Pull | undefined;
  /** The newest first. */
  list(repository: Repository): readonly Pull[];
  /** Moves the heads that a push has changed, and closes what it merged. */
  pushed(push: ReceivedPush): Promise<void>;
  /** Removes a fork from the pull requests that come from it. */
  forget(fork: Repository): void;
}

interface PullsOptions {
  readonly changes: Changes;
  toRef(number: number): string;
  send(change: Exclude<ForgeChange, { kind: 'ping' | 'push' }>): Promise<void>;
}

export function createPulls({ changes, toRef, send }: PullsOptions): Pulls {
  const pulls: Pull[] = [];
  const current = (pull: Pull): Pull => pulls.find(({ id }) => id === pull.id) ?? pull;
  const update: Update = async (pull, part, event) => {
    const changed: Pull = { ...current(pull), ...part, updatedAt: Date.now() };
    pulls[pulls.findIndex(({ id }) => id === pull.id)] = changed;
    changes.announce();
    if (event) await send({ kind: 'pull', action: event.action, pull: changed, actor: event.actor ?? pull.author });
    return changed;
  };
  const share = (pull: Pull): Promise<void> => shareHead(pull, toRef(pull.number));

  return {
    async open(options) {
      const number = pulls.filter((pull) => pull.repository === options.repository).length + 1;
      const pull = await toPull(options, { id: pulls.length + 1, number });
      await share(pull);
      pulls.push(pull);
      await send({ kind: 'pull', action: { kind: 'opened' }, pull, actor: pull.author });
      return pull;
    },
    find: (repository, number) => pulls.find((pull) => pull.repository === repository && pull.number === number),
    list: (repository) => pulls.filter((pull) => pull.repository === repository).toReversed(),
    ...createPullActions({ current, update }),
    ...createComments({
      find: current,
      count: (pull, change) => update(pull, { comments: current(pull).comments + change }),
      send,
    }),
    async pushed(push) {
      for (const change of push.changes) {
        // What a push brought before a pull request was opened is part of it.
        const isFollowing = ({ state, createdAt }: Pull): boolean =>
          state === 'open' && Math.floor(push.receivedAt) > createdAt;
        for (const pull of pulls.filter(isFollowing)) await follow(pull, change, { push, update, share });
      }
    },
    forget(fork) {
      for (const [index, pull] of pulls.entries()) {
        if (pull.head.repository === fork) {
          pulls[index] = { ...pull, head: { repository: undefined, branch: pull.head.branch } };
        }
      }
    },
  };
}

async function toPull(options: NewPull, ids: Pick<Pull, 'id' | 'number'>): Promise<Pull> {
  const { repository, head, base = repository.defaultBranch, author, isDraft = false } = options;
  const sha = await readHead(head.repository, head.branch);
  const baseSha = await readHead(repository, base);
  if (sha === undefined || baseSha === undefined) {
    throw new Error(`cannot open a pull request: there is no branch ${sha === undefined ? head.branch : base}`);
  }
  const now = Date.now();
  return {
    ...ids,
    repository,
    base,
    baseSha,
    head,
    sha,
    title: options.title ?? `Merge ${head.branch}`,
    author,
    isDraft,
    state: 'open',
    isMerged: false,
    merge: undefined,
    comments: 0,
    createdAt: now,
    updatedAt: now,
    closedAt: undefined,
  };
}

/** Fetches the head into the base repository. */
async function shareHead({ repository, head, sha }: Pull, ref: string): Promise<void> {
  if (head.repository !== undefined && head.repository !== repository) {
    await runGit(repository.path, ['fetch', '--quiet', '--no-tags', head.repository.path, sha]);
  }
  await runGit(repository.path, ['update-ref', ref, sha]);
}
