import { createGate } from '../gate.ts';
import { withBuild, type LeaseRecord } from './lease-record.ts';
import type { LeaseStore, Written } from './lease-store.ts';

/** The right to a Pod, held by one build, until it is given back. */
export interface Lease {
  /** The fencing token: see {@link Workspace.epoch}. */
  readonly epoch: number;
  readonly warnings: readonly string[];
  /** Whether nobody else can have had the Pod since this client gave it back, so that what it saw meanwhile is still true. */
  readonly isUndisputed: boolean;
  /**
   * Of a build that is taken up again, the UID of the Pod in which it began. Undefined: it never began. `unknown`: there are no
   * Leases to tell.
   */
  readonly begunIn: string | undefined;
  /** UID of a Pod that must not serve again, whatever it looks like; empty: none. */
  readonly unfitPod: string;
  /** Settles, once, with a sentence when another has it. Not while the API server is away: then nobody else can take it either. */
  readonly lost: Promise<string>;
  readonly isLost: boolean;
  /** Notes the Pod in which the build begins; before its first step, so that whoever takes the build up looks there. */
  begin(podUid: string): Promise<void>;
  /** Renews it now; tells whether it may still be ours. Asked before the Pod is deleted, which may be another's by now. */
  confirm(): Promise<boolean>;
  /** Gives it back, with the UID of a Pod that must not serve again. Does nothing once it is lost. Never throws. */
  release(unfitPod?: string): Promise<void>;
  /**
   * The Pod is gone, and with it the Lease, unless it still has something to tell: who waits, or that another build began in
   * the Pod. Then it is given back.
   */
  remove(): Promise<void>;
}

/** What `begunIn` says where there are no Leases. */
export const UNKNOWN_POD = 'unknown';
/** A renewal that takes longer is given up, so that the next comes in time. */
const RENEWAL_MS = 10_000;
/** Conflicts come from those who queue up: a handful at a time at most. */
const MAX_CONFLICTS = 5;
const NEVER = new AbortController().signal;

export interface HeldLease {
  readonly store: LeaseStore;
  /** As it was stored when it was taken. */
  readonly record: LeaseRecord;
  readonly build: string;
  readonly isUndisputed: boolean;
  readonly begunIn: string | undefined;
  readonly renewMs: number;
  /** Told the last version when it was given back. */
  onReleased(record: LeaseRecord): void;
}

/** Keeps a Lease that was just taken: renews it until it is given back. */
export function holdLease({ store, record: taken, build, onReleased, ...held }: HeldLease): Lease {
  const lost = Promise.withResolvers<string>();
  const turns = createGate(1);
  let record = taken;
  let state: 'held' | 'lost' | 'over' = 'held';
  const timer = setInterval(() => void attempt(renew), held.renewMs);
  timer.unref();

  /** One at a time, and not at all once it is over. What the cluster does not take now is left to the next renewal. */
  async function attempt(act: () => Promise<void>): Promise<void> {
    const leave = await turns.enter(NEVER);
    try {
      if (state === 'held') await act();
    } catch {
      // Out of reach: whether it is still ours shows when the cluster answers again, and the epoch guards the Pod until then.
    } finally {
      leave?.();
    }
  }
  async function change(toNext: Change, limitMs?: number): Promise<void> {
    const signal = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
    const written = await changeOurs(store, record, { toNext, signal });
    if (written.kind === 'stored') record = written.record;
    if (written.kind === 'lost') lose(written.to);
  }
  async function renew(): Promise<void> {
    await change((before) => before, RENEWAL_MS);
  }
  function lose(to: string): void {
    state = 'lost';
    clearInterval(timer);
    lost.resolve(describeLoss(store.podName, to));
  }
  async function release(unfitPod = taken.unfitPod): Promise<void> {
    clearInterval(timer);
    await attempt(async () => {
      await change((before) => ({ ...before, holder: '', unfitPod }));
      if (state !== 'held' || record.holder !== '') return;
      state = 'over';
      onReleased(record);
    });
  }

  return {
    epoch: taken.epoch,
    unfitPod: taken.unfitPod,
    warnings: [],
    isUndisputed: held.isUndisputed,
    begunIn: held.begunIn,
    lost: lost.promise,
    get isLost() {
      return state === 'lost';
    },
    async begin(podUid) {
      await attempt(async () => {
        const isNoted = record.builds.some((begun) => begun.build === build && begun.pod === podUid);
        if (!isNoted) await change((before) => withBuild(before, { build, pod: podUid }));
      });
    },
    async confirm() {
      await attempt(renew);
      return state === 'held';
    },
    release,
    async remove() {
      clearInterval(timer);
      await attempt(async () => {
        const hasMore = record.queue.length > 0 || record.builds.some((begun) => begun.build !== build);
        if (!hasMore && (await store.delete(record))) state = 'over';
      });
      if (state === 'held') await release();
    },
  };
}

function describeLoss(podName: string, holder: string): string {
  const build = holder.split('@')[0] ?? '';
  const other = build === '' ? '' : `, for build ${build}`;
  return `another c3 has taken over Pod ${podName}${other}: this one had not renewed its Lease in time`;
}

type Change = (before: LeaseRecord) => LeaseRecord;

/** Stores a changed record as long as its holder has the Lease; one that somebody deleted is made again. */
async function changeOurs(
  store: LeaseStore,
  record: LeaseRecord,
  { toNext, signal }: { toNext: Change; signal: AbortSignal | undefined },
): Promise<Extract<Written, { kind: 'stored' }> | { kind: 'lost'; to: string } | { kind: 'unchanged' }> {
  let latest = record;
  for (let count = 0; count < MAX_CONFLICTS; count += 1) {
    const next = toNext(latest);
    const answer = await store.write(next, signal);
    if (answer.kind === 'stored') return answer;
    if (answer.kind === 'refused') break;
    const current = await store.read(signal);
    // Given back already: the answer that should have told it was lost.
    if (current?.holder === '' && next.holder === '' && current.epoch === record.epoch) {
      return { kind: 'stored', record: current };
    }
    if (current && current.holder !== record.holder) return { kind: 'lost', to: current.holder };
    latest = current ?? { ...latest, version: '' };
  }
  return { kind: 'unchanged' };
}

/** Where there are no Leases, or none for this account: the Pod is used all the same. */
export function createUnguardedLease(epoch: number, facts: { warning: string; isResumed: boolean }): Lease {
  return {
    epoch,
    warnings: [facts.warning],
    isUndisputed: true,
    unfitPod: '',
    begunIn: facts.isResumed ? UNKNOWN_POD : undefined,
    lost: new Promise(() => undefined),
    isLost: false,
    begin: async () => await Promise.resolve(),
    confirm: async () => await Promise.resolve(true),
    release: async () => await Promise.resolve(),
    remove: async () => await Promise.resolve(),
  };
}
