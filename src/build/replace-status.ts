import { type CommitStatus, readCommitStatus } from './commit-status.ts';

/** The statuses of a repository's commits. A `Repository` of the forge has them. */
export interface StatusStore {
  /** Newest first. */
  listStatuses(sha: string, signal: AbortSignal): AsyncIterable<CommitStatus>;
  setStatus(sha: string, status: CommitStatus, signal: AbortSignal): Promise<void>;
}

/** GitHub accepts 1,000 statuses of a context at a commit. */
const MAX_STATUSES = 990;

/** The higher one is worse. */
const RANKS: Readonly<Record<CommitStatus['state'], number>> = { success: 0, pending: 1, failure: 2, error: 2 };

/**
 * Sets the status of a build. Branches at the same commit share a context, and none may hide that another failed or
 * still runs (threat model A2). So a build whose state is better than the newest one of another ref has its status in a
 * context of its own, `c3/push (main)`.
 *
 * @param known the statuses of the commit, newest first; default: those that the forge has now
 * @throws {C3Error} the forge's refusal
 */
export async function replaceStatus(
  store: StatusStore,
  sha: string,
  { status, signal, ...options }: { status: CommitStatus; known?: readonly CommitStatus[]; signal: AbortSignal },
): Promise<void> {
  const known = options.known ?? (await Array.fromAsync(store.listStatuses(sha, signal)));
  // A forge keeps a limited number of statuses, and the last ones are for results.
  const count = known.filter(({ context }) => context === status.context).length;
  if (status.state === 'pending' && count >= MAX_STATUSES) return;
  const contexts = chooseContexts(known, status);
  const hidden = contexts.includes(status.context) ? undefined : findHidden(known, status);
  if (hidden) await store.setStatus(sha, { ...hidden, context: status.context }, signal);
  for (const context of contexts) await store.setStatus(sha, { ...status, context }, signal);
}

/**
 * Finds the status of another ref that the build's own "pending" hides in the shared context. That happens when the
 * other build ends while this one begins.
 */
function findHidden(known: readonly CommitStatus[], next: CommitStatus): CommitStatus | undefined {
  const { buildId, ending } = readCommitStatus(next);
  const shown = known.find(({ context }) => context === next.context);
  if (ending === undefined || shown?.state !== 'pending' || readCommitStatus(shown).buildId !== buildId)
    return undefined;
  return findNewestOfOthers(known, next).toSorted((a, b) => RANKS[b.state] - RANKS[a.state])[0];
}

/** Returns the newest status of each other ref in the context of a status, as far as c3 wrote it. */
function findNewestOfOthers(known: readonly CommitStatus[], next: CommitStatus): CommitStatus[] {
  const inContext = known.filter((status) => isIn(next.context, status));
  const byRef = Map.groupBy(inContext, (status) => readCommitStatus(status).refName);
  byRef.delete(readCommitStatus(next).refName);
  byRef.delete(undefined);
  return [...byRef.values()].flatMap((statuses) => statuses.slice(0, 1));
}

/**
 * Returns the contexts in which a status is set: the shared one, if no other ref has a worse state, and that of the ref,
 * if it is needed or was used before. A build that ran nothing, because it is skipped or refused, never changes the
 * state of a commit that has one: a skipped build then has only a status of its ref.
 *
 * @param known newest first
 */
export function chooseContexts(known: readonly CommitStatus[], next: CommitStatus): readonly string[] {
  const { buildId, refName = '', ending } = readCommitStatus(next);
  const ofRef = `${next.context} (${refName})`;
  const inContext = known.filter((status) => isIn(next.context, status));
  const read = inContext.map((status) => ({ ...status, ...readCommitStatus(status) }));
  const isWeak = ending?.kind === 'skipped' || ending?.kind === 'refused';
  if (isWeak && read.length > 0 && !read.some((status) => status.buildId === buildId)) {
    return ending.kind === 'refused' || read.some((status) => status.refName === refName) ? [] : [ofRef];
  }
  const others = findNewestOfOthers(known, next).map(({ state }) => RANKS[state]);
  const isFree = Math.max(0, ...others) <= RANKS[next.state];
  const hasOwn = inContext.some(({ context }) => context === ofRef);
  return [...(isFree && !hasOwn ? [] : [ofRef]), ...(isFree ? [next.context] : [])];
}

/** Returns whether a status is in a context, `c3/push`, or in that of a ref, `c3/push (main)`. */
export function isIn(context: string, status: Pick<CommitStatus, 'context'>): boolean {
  return status.context === context || status.context.startsWith(`${context} (`);
}
