import type { Changes } from './changes.ts';
import { createComments, type Comments } from './comments.ts';
import type { ForgeChange, PullAction } from './dialect.ts';
import { resolveObject, runGit } from './git.ts';
import type { ReceivedPush, Repository } from './repositories.ts';

/** A pull request. Its fields change. */
export interface Pull {
  readonly id: number;
  readonly number: number;
  /** The repository that it wants to change. */
  readonly repository: Repository;
  readonly base: string;
  /** `repository` is undefined after the fork was deleted. */
  readonly head: { readonly repository: Repository | undefined; readonly branch: string };
  readonly sha: string;
  readonly title: string;
  /** The login of the user who opened it. */
  readonly author: string;
  readonly isDraft: boolean;
  readonly state: 'open' | 'closed';
  readonly isMerged: boolean;
  /** Epoch milliseconds. */
  readonly createdAt: number;
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
export interface Pulls extends Comments {
  open(options: NewPull): Promise<Pull>;
  find(repository: Repository, number: number): Pull | undefined;
  list(repository: Repository): readonly Pull[];
  /** Changes what people edit on the page of a pull request. */
  edit(pull: Pull, changes: Partial<Pick<Pull, 'base' | 'title' | 'isDraft'>>): Promise<Pull>;
  close(pull: Pull, options?: { readonly isMerged?: boolean }): Promise<Pull>;
  reopen(pull: Pull): Promise<Pull>;
  /** Moves the heads that a push has changed. */
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

  async function update(pull: Pull, part: Partial<Pull>, action?: PullAction): Promise<Pull> {
    const index = pulls.findIndex(({ id }) => id === pull.id);
    const changed = { ...pulls[index], ...part } as Pull;
    pulls[index] = changed;
    changes.announce();
    if (action) await send({ kind: 'pull', action, pull: changed });
    return changed;
  }

  return {
    async open({ repository, head, base = repository.defaultBranch, author, isDraft = false, ...options }) {
      const sha = await resolveObject(head.repository.path, `refs/heads/${head.branch}`, 'commit');
      if (sha === undefined) throw new Error(`cannot open a pull request: there is no branch ${head.branch}`);
      const number = pulls.filter((pull) => pull.repository === repository).length + 1;
      const title = options.title ?? `Merge ${head.branch}`;
      const fixed = { id: pulls.length + 1, number, repository, createdAt: Date.now() };
      const pull: Pull = { ...fixed, head, base, sha, title, author, isDraft, state: 'open', isMerged: false };
      await share(pull, toRef(number));
      pulls.push(pull);
      await send({ kind: 'pull', action: { kind: 'opened' }, pull });
      return pull;
    },
    find: (repository, number) => pulls.find((pull) => pull.repository === repository && pull.number === number),
    list: (repository) => pulls.filter((pull) => pull.repository === repository).toReversed(),
    async edit(pull, { base, title, isDraft }) {
      let changed = pull;
      if (title !== undefined && title !== pull.title) {
        changed = await update(pull, { title }, { kind: 'title-changed', before: pull.title });
      }
      if (base !== undefined && base !== pull.base) {
        changed = await update(pull, { base }, { kind: 'base-changed', before: pull.base });
      }
      if (isDraft !== undefined && isDraft !== pull.isDraft) {
        changed = await update(pull, { isDraft }, { kind: isDraft ? 'drafted' : 'ready' });
      }
      return changed;
    },
    close: (pull, { isMerged = false } = {}) => update(pull, { state: 'closed', isMerged }, { kind: 'closed' }),
    reopen: (pull) => update(pull, { state: 'open' }, { kind: 'reopened' }),
    ...createComments({ find: (pull) => pulls.find(({ id }) => id === pull.id) ?? pull, send }),
    async pushed({ repository, changes: refs }) {
      for (const { ref, after, before } of refs) {
        const moved = pulls.filter(
          ({ state, head }) =>
            state === 'open' && head.repository === repository && ref === `refs/heads/${head.branch}`,
        );
        for (const pull of moved) {
          if (/^0+$/.test(after)) {
            await update(pull, { state: 'closed' }, { kind: 'closed' });
            continue;
          }
          await share({ ...pull, sha: after }, toRef(pull.number));
          await update(pull, { sha: after }, { kind: 'synchronized', before });
        }
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

/** Fetches the head into the base repository. */
async function share({ repository, head, sha }: Pull, ref: string): Promise<void> {
  if (head.repository !== undefined && head.repository !== repository) {
    await runGit(repository.path, ['fetch', '--quiet', '--no-tags', head.repository.path, sha]);
  }
  await runGit(repository.path, ['update-ref', ref, sha]);
}
