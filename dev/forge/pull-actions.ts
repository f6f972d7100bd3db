import type { PullAction } from './dialect.ts';
import { isAncestor, resolveObject, runGit } from './git.ts';
import { mergeBranches } from './merge-branches.ts';
import type { Pull } from './pulls.ts';
import type { ReceivedPush, Repository } from './repositories.ts';

/** What people do with a pull request. Each sends a webhook. `actor` is the author by default. */
export interface PullActions {
  /** Changes what people edit on the page of a pull request. */
  edit(pull: Pull, changes: Partial<Pick<Pull, 'base' | 'title' | 'isDraft'>>, actor?: string): Promise<Pull>;
  close(pull: Pull, options?: { readonly isMerged?: boolean; readonly actor?: string }): Promise<Pull>;
  /** Pushes a merge commit to the base branch. Returns undefined if there is a conflict. */
  merge(pull: Pull, actor?: string): Promise<Pull | undefined>;
  reopen(pull: Pull, actor?: string): Promise<Pull>;
}

/** Stores changed fields. With an action it sends a webhook. */
export type Update = (
  pull: Pull,
  part: Partial<Pull>,
  event?: { readonly action: PullAction; readonly actor?: string | undefined },
) => Promise<Pull>;

interface ActionOptions {
  /** Returns the pull request as it is now. */
  current(pull: Pull): Pull;
  readonly update: Update;
}

export function createPullActions({ current, update }: ActionOptions): PullActions {
  return {
    async edit(pull, { base, title, isDraft }, actor) {
      let changed = pull;
      if (title !== undefined && title !== pull.title) {
        changed = await update(pull, { title }, { action: { kind: 'title-changed', before: pull.title }, actor });
      }
      if (base !== undefined && base !== pull.base) {
        const baseSha = await readHead(pull.repository, base);
        if (baseSha === undefined) throw new Error(`cannot change a pull request: there is no branch ${base}`);
        const action: PullAction = { kind: 'base-changed', before: pull.base, beforeSha: pull.baseSha };
        changed = await update(pull, { base, baseSha }, { action, actor });
      }
      if (isDraft !== undefined && isDraft !== pull.isDraft) {
        changed = await update(pull, { isDraft }, { action: { kind: isDraft ? 'drafted' : 'ready' }, actor });
      }
      return changed;
    },
    close: (pull, { isMerged = false, actor } = {}) => close(update, pull, { part: { isMerged }, actor }),
    async merge(pull, actor = pull.author) {
      const { repository, base, sha } = current(pull);
      const merged = await mergeBranches(repository, { base, sha, title: `Merge pull request #${pull.number}` });
      if (merged === undefined) return undefined;
      const closed = await close(update, pull, { part: { isMerged: true, merge: { sha: merged, by: actor } }, actor });
      // A push, unlike a new ref, runs the hook that reports it.
      const push = ['push', '--quiet', repository.path, `${merged}:refs/heads/${base}`];
      await runGit(repository.path, push, { REMOTE_USER: actor });
      return closed;
    },
    reopen: (pull, actor) =>
      update(pull, { state: 'open', closedAt: undefined }, { action: { kind: 'reopened' }, actor }),
  };
}

interface Following {
  readonly push: ReceivedPush;
  readonly update: Update;
  /** Gives the base repository the new head. */
  share(pull: Pull): Promise<void>;
}

/** Applies one changed ref of a push to an open pull request: a new head, a merge, or the end of a branch. */
export async function follow(
  pull: Pull,
  { ref, before, after }: ReceivedPush['changes'][number],
  { push, update, share }: Following,
): Promise<void> {
  const { repository, pusher: actor } = push;
  const isHead = pull.head.repository === repository && ref === `refs/heads/${pull.head.branch}`;
  const isBase = pull.repository === repository && ref === `refs/heads/${pull.base}`;
  if ((isHead || isBase) && /^0+$/.test(after)) {
    await close(update, pull, { part: {}, actor });
  } else if (isHead) {
    await share({ ...pull, sha: after });
    const baseSha = (await readHead(pull.repository, pull.base)) ?? pull.baseSha;
    await update(pull, { sha: after, baseSha }, { action: { kind: 'synchronized', before }, actor });
  } else if (isBase && (await isAncestor(repository.path, pull.sha, after))) {
    const merge = { sha: after, by: actor ?? repository.owner };
    await close(update, pull, { part: { isMerged: true, merge }, actor });
  }
}

function close(
  update: Update,
  pull: Pull,
  { part, actor }: { readonly part: Partial<Pull>; readonly actor: string | undefined },
): Promise<Pull> {
  const closed: Partial<Pull> = { state: 'closed', closedAt: Date.now(), ...part };
  return update(pull, closed, { action: { kind: 'closed' }, actor });
}

export function readHead({ path }: Repository, branch: string): Promise<string | undefined> {
  return resolveObject(path, `refs/heads/${branch}`, 'commit');
}
