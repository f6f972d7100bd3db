import { Semaphore } from '../../limiter.ts';
import { withBuild, type LeaseRecord, type LeaseRef, type LeaseStore, type Written } from './lease-record.ts';

/** The right to use a Pod. One build holds it until it is released. */
export interface Lease {
  /** The fencing token. See {@link Workspace.epoch}. */
  readonly epoch: number;
  readonly warnings: readonly string[];
  /**
   * Whether no other process can have used the Pod since this client released the Lease. A snapshot since then is
   * valid.
   */
  readonly isUndisputed: boolean;
  /** Whether another build held the Lease last, and did not release it. */
  readonly isAbandoned: boolean;
  /**
   * The UID of the Pod in which a resumed build began; undefined when it never began; {@link UNKNOWN_POD} when there
   * are no Leases that could tell.
   */
  readonly startedIn: string | undefined;
  /** The UID of a Pod that must not be used again, in any state. Empty when there is none. */
  readonly unfitPod: string;
  /**
   * Settles, once, with a sentence when another c3 holds the Lease. While the API server is away, nobody can take the
   * Lease.
   */
  readonly lost: Promise<string>;
  readonly isLost: boolean;
  /**
   * Records the Pod in which the build begins. Called before its first step, so that a c3 that resumes the build
   * finds the Pod.
   */
  recordPod(podUid: string): Promise<void>;
  /**
   * Renews the Lease now. Returns whether it may still be ours. Called before the Pod is deleted, which may be
   * another build's by now.
   */
  confirm(): Promise<boolean>;
  /**
   * Releases the Lease, with the UID of a Pod that must not be used again. Does nothing when the Lease is lost. Never
   * throws.
   */
  release(unfitPod?: string): Promise<void>;
  /**
   * Deletes the Lease, because the Pod is gone. If a build waits for the Pod or another build started in it, the Lease
   * is released instead.
   */
  remove(): Promise<void>;
}

/** The value of `startedIn` when there are no Leases. */
export const UNKNOWN_POD = 'unknown';
/** A renewal that takes longer is aborted, so that the next one comes in time. */
const RENEWAL_MS = 10_000;
/** Conflicts come from claimants that enter the queue, a few at a time. */
const MAX_CONFLICTS = 5;

export interface LeaseRequest {
  readonly plan: LeaseRef;
  readonly build: string;
  readonly isResumed: boolean;
}

export interface HeldLease {
  readonly store: LeaseStore;
  /** The record that took the Lease, as it was stored. */
  readonly record: LeaseRecord;
  readonly request: LeaseRequest;
  readonly isUndisputed: boolean;
  readonly isAbandoned: boolean;
  readonly renewMs: number;
  /** Called with the last version when the Lease was released. */
  onReleased(record: LeaseRecord): void;
}

/** Holds a Lease that was just taken. Renews it until it is released. */
export function holdLease({ store, record: taken, request, onReleased, ...held }: HeldLease): Lease {
  const { build, isResumed } = request;
  const lost = Promise.withResolvers<string>();
  const mutex = new Semaphore(1);
  let record = taken;
  let state: 'held' | 'lost' | 'released' = 'held';
  const timer = setInterval(() => void attempt(renew), held.renewMs).unref();

  /**
   * Runs one change at a time, and none when the Lease is lost or released. A change fails when the cluster is
   * unreachable, and is left to the next renewal: then c3 learns whether it still holds the Lease. Until then the
   * epoch protects the Pod.
   */
  async function attempt(act: () => Promise<void>): Promise<void> {
    const actWhileHeld = async (): Promise<void> => (state === 'held' ? await act() : undefined);
    await mutex.run(actWhileHeld).catch(() => undefined);
  }
  async function change(toNext: Change, limitMs?: number): Promise<void> {
    const signal = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
    const written = await changeOurs(store, record, { toNext, signal });
    if (written.kind === 'stored') record = written.record;
    if (written.kind === 'lost') lose(written.to);
  }
  const renew = async (): Promise<void> => await change((before) => before, RENEWAL_MS);
  function lose(to: string): void {
    state = 'lost';
    clearInterval(timer);
    const [build] = to.split('@');
    const other = `another c3 has taken over Pod ${store.podName}${build ? `, for build ${build}` : ''}`;
    lost.resolve(`${other}: this one had not renewed its Lease in time`);
  }
  async function release(unfitPod = taken.unfitPod): Promise<void> {
    clearInterval(timer);
    await attempt(async () => {
      await change((before) => ({ ...before, holder: '', unfitPod }));
      if (state !== 'held' || record.holder !== '') return;
      state = 'released';
      onReleased(record);
    });
  }

  return {
    epoch: taken.epoch,
    unfitPod: taken.unfitPod,
    warnings: [],
    isUndisputed: held.isUndisputed,
    isAbandoned: held.isAbandoned,
    startedIn: (isResumed && taken.builds.find((begun) => begun.build === build)?.pod) || undefined,
    lost: lost.promise,
    get isLost() {
      return state === 'lost';
    },
    async recordPod(podUid) {
      await attempt(async () => {
        const isRecorded = record.builds.some((begun) => begun.build === build && begun.pod === podUid);
        if (!isRecorded) await change((before) => withBuild(before, { build, pod: podUid }));
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
        if (!hasMore && (await store.delete(record))) state = 'released';
      });
      if (state === 'held') await release();
    },
  };
}

type Change = (before: LeaseRecord) => LeaseRecord;

/** Stores a changed record while its holder has the Lease. Creates the Lease again if it was deleted. */
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
    // The Lease was already released, and the answer was lost.
    if (current?.holder === '' && next.holder === '' && current.epoch === record.epoch) {
      return { kind: 'stored', record: current };
    }
    if (current && current.holder !== record.holder) return { kind: 'lost', to: current.holder };
    latest = current ?? { ...latest, version: '' };
  }
  return { kind: 'unchanged' };
}

/**
 * Creates a stand-in for clusters or accounts without Leases. The Pod is used without protection from other
 * processes.
 */
export function createUnguardedLease(epoch: number, facts: { warning: string; isResumed: boolean }): Lease {
  return {
    epoch,
    warnings: [facts.warning],
    isUndisputed: true,
    isAbandoned: false,
    unfitPod: '',
    startedIn: facts.isResumed ? UNKNOWN_POD : undefined,
    lost: new Promise(() => undefined),
    isLost: false,
    recordPod: async () => await Promise.resolve(),
    confirm: async () => await Promise.resolve(true),
    release: async () => await Promise.resolve(),
    remove: async () => await Promise.resolve(),
  };
}
