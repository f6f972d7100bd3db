import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenWorkspaceOptions } from '../../engine/cluster.ts';
import { LruMap } from '../../limiter.ts';
import { isTransient, type KubeClient } from '../client.ts';
import { createUnguardedLease, holdLease, type Lease, type LeaseRequest } from './lease.ts';
import {
  createLeaseStore,
  createRecord,
  isFree,
  isOfResumed,
  nextEpoch,
  planMove,
  toPodKey,
  withBuild,
  withHolder,
  type Claimant,
  type LeaseRecord,
  type LeaseRef,
  type LeaseStore,
  type Observation,
  type Written,
} from './lease-record.ts';

/**
 * Decides across processes which build may use a Pod. Each Pod has a Lease of the same name. Builds of this process
 * that need the same Pod wait for each other before they come here.
 */
export interface Leases {
  /**
   * Waits until this build may use the Pod, first come, first served among processes. Costs one request if no
   * other process used the Pod.
   */
  acquire(request: LeaseRequest, options: Pick<OpenWorkspaceOptions, 'signal' | 'onWaiting'>): Promise<LeaseAnswer>;
  /**
   * Acquires the Lease of a Pod to delete the Pod, if no build uses it or waits for it. Removes the record of its
   * builds.
   *
   * @param seen an earlier version of the Lease. It is claimed only if it has not changed.
   */
  claimUnused(
    ref: LeaseRef,
    seen?: { readonly record: LeaseRecord; readonly agoMs: number },
  ): Promise<Lease | undefined>;
  readonly leaseMs: number;
}

export type LeaseAnswer = { readonly kind: 'held'; readonly lease: Lease } | NotHeld;
type NotHeld = { readonly kind: 'failed'; readonly message: string } | { readonly kind: 'aborted' };

export interface LeaseLimits {
  /** The holder counts as dead after this time without a renewal. */
  readonly leaseMs: number;
  /** The interval of renewals. Two may fail before the holder counts as dead. */
  readonly renewMs: number;
  /** The average pause between two reads of a Lease that another c3 holds. */
  readonly pollMs: number;
  /** A cluster that has not answered for this time counts as gone, because the user waits. */
  readonly unreachableMs: number;
}

const DEFAULT_LIMITS: LeaseLimits = { leaseMs: 30_000, renewMs: 10_000, pollMs: 1_000, unreachableMs: 30_000 };
/** Released Leases that are remembered. Each saves a request. A forgotten Lease is read again. */
const MAX_REMEMBERED = 500;
/** The holder while an unused Pod is deleted. */
const REAPER = 'idle';

export function createLeases(client: KubeClient, given: Partial<LeaseLimits> = {}): Leases {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const nonce = randomBytes(6).toString('hex');
  /** The Lease as this client released it, by Pod. */
  const remembered = new LruMap<string, LeaseRecord>(MAX_REMEMBERED);
  let lastUnguarded = 0;

  function recall(plan: LeaseRef): LeaseRecord | undefined {
    const record = remembered.get(toPodKey(plan));
    remembered.delete(toPodKey(plan));
    return record;
  }
  function createAttempt(request: LeaseRequest): Attempt {
    const { plan, build, isResumed } = request;
    const claimant = { identity: `${build}@${nonce}`, build, nonce, isResumed };
    return { request, claimant, store: createLeaseStore(client, plan), observe: createObserver(), limits };
  }
  function hold({ request, store }: Attempt, { record, isUndisputed, isAbandoned }: HeldRecord): Lease {
    const onReleased = (last: LeaseRecord): void => {
      // If a build waits for the Lease, it will change at once.
      if (last.queue.length === 0) remembered.set(toPodKey(request.plan), last);
    };
    return holdLease({ store, record, request, isUndisputed, isAbandoned, renewMs: limits.renewMs, onReleased });
  }
  function goUnguarded(message: string, isResumed: boolean): Lease {
    lastUnguarded = nextEpoch(lastUnguarded, Date.now());
    const warning = `c3 cannot prevent another c3 from using the Pod at the same time (${message}): the Role needs get, list, create, update and delete on "leases" of "coordination.k8s.io"`;
    return createUnguardedLease(lastUnguarded, { warning, isResumed });
  }

  return {
    async acquire(request, options) {
      const attempt = createAttempt(request);
      const known = recall(request.plan);
      const taken = await waitForLease(attempt, known, options);
      if (taken.kind === 'held') return { kind: 'held', lease: hold(attempt, taken) };
      if (taken.kind === 'refused') return { kind: 'held', lease: goUnguarded(taken.message, request.isResumed) };
      // Not awaited: a claimant that stays in the queue is skipped.
      if (taken.kind === 'aborted') void leaveQueue(attempt).catch(() => undefined);
      return taken;
    },
    leaseMs: limits.leaseMs,
    async claimUnused(plan, seen) {
      const attempt = createAttempt({ plan, build: REAPER, isResumed: false });
      const record = seen?.record ?? recall(plan) ?? (await attempt.store.read());
      // Without Leases, c3 must assume that only this client uses the Pod.
      if (!record) return createUnguardedLease(0, { warning: '', isResumed: false });
      if (!isFree(record, attempt.claimant, seen?.agoMs ?? 0) || record.queue.length > 0) return undefined;
      const written = await attempt.store.write(withHolder({ ...record, builds: [] }, attempt.claimant, Date.now()));
      if (written.kind !== 'stored') return undefined;
      return hold(attempt, { record: written.record, isUndisputed: true, isAbandoned: false });
    },
  };
}

interface Attempt {
  readonly request: LeaseRequest;
  readonly claimant: Claimant;
  readonly store: LeaseStore;
  readonly observe: (record: LeaseRecord) => Observation;
  readonly limits: LeaseLimits;
}

interface HeldRecord {
  readonly record: LeaseRecord;
  /** {@link Lease.isUndisputed} */
  readonly isUndisputed: boolean;
  /** {@link Lease.isAbandoned} */
  readonly isAbandoned: boolean;
}

/** Another process changed the Lease before a `conflict`: read it again. */
type Outcome = ({ readonly kind: 'held' } & Omit<HeldRecord, 'isUndisputed'>) | { readonly kind: 'wait' } | NotWritten;
type NotWritten = Exclude<Written, { kind: 'stored' }>;

/**
 * Tries until the Lease is taken.
 *
 * @param known the version that this client released. One request is enough, if no other process used it.
 */
async function waitForLease(
  attempt: Attempt,
  known: LeaseRecord | undefined,
  { signal, onWaiting }: Pick<OpenWorkspaceOptions, 'signal' | 'onWaiting'>,
): Promise<({ kind: 'held' } & HeldRecord) | { kind: 'refused'; message: string } | NotHeld> {
  const { pollMs, unreachableMs } = attempt.limits;
  let record = known;
  let isUndisputed = known !== undefined;
  let answeredAt = performance.now();
  while (!signal.aborted) {
    try {
      const outcome = await tryOnce(attempt, record);
      answeredAt = performance.now();
      if (outcome.kind === 'held') return { ...outcome, isUndisputed };
      if (outcome.kind === 'refused') return outcome;
      isUndisputed = false;
      if (outcome.kind === 'wait') {
        onWaiting('another c3 has the Pod');
        await pause(pollMs, signal);
      }
      record = await attempt.store.read(signal);
    } catch (error) {
      if (signal.aborted) break;
      if (!isTransient(error)) throw error;
      onWaiting(error.message);
      if (performance.now() - answeredAt > unreachableMs) return { kind: 'failed', message: error.message };
      await pause(pollMs, signal);
    }
  }
  return { kind: 'aborted' };
}

/** Tries once. `record` is the version that was read last; undefined if there is none. */
async function tryOnce(
  { request, claimant, store, observe, limits }: Attempt,
  record: LeaseRecord | undefined,
): Promise<Outcome> {
  const before = record ?? createRecord(limits.leaseMs);
  // The Lease was already taken, and the answer was lost. So it is not known who held it before.
  if (before.holder === claimant.identity) return { kind: 'held', record: before, isAbandoned: true };
  const move = planMove(before, claimant, observe(before));
  if (move === 'wait') return { kind: 'wait' };
  if (move === 'queue') {
    const written = await store.write({ ...before, queue: [...before.queue, claimant.identity] });
    return written.kind === 'stored' ? { kind: 'wait' } : written;
  }
  // Record the last build's Pod, in which this build most likely begins. A warm build then needs no other write.
  const { build, isResumed } = request;
  const known = isResumed
    ? (before.builds.find((begun) => begun.build === build) ?? { pod: '' })
    : before.builds.at(-1);
  const held = withHolder({ ...before, durationMs: limits.leaseMs }, claimant, Date.now());
  const written = await store.write(withBuild(held, { build, pod: known?.pod ?? '' }));
  if (written.kind !== 'stored') return written;
  const isAbandoned = before.holder !== '' && !isOfResumed(before, claimant);
  return { kind: 'held', record: written.record, isAbandoned };
}

async function leaveQueue({ claimant, store }: Attempt): Promise<void> {
  const record = await store.read();
  if (!record?.queue.includes(claimant.identity)) return;
  await store.write({ ...record, queue: record.queue.filter((identity) => identity !== claimant.identity) });
}

/** Measures on the monotonic clock how long the relevant parts of a record have not changed. */
function createObserver(): (record: LeaseRecord) => Observation {
  const [holder, head] = [createSince(), createSince()];
  return (record) => {
    const holderMs = holder(`${record.holder} ${record.epoch} ${record.renewedAt}`);
    const isAbandoned = record.holder === '' || holderMs >= record.durationMs;
    const headMs = head(`${isAbandoned} ${record.queue[0]}`);
    return { holderMs, headMs: isAbandoned ? headMs : 0 };
  };
}

function createSince(): (key: string) => number {
  let [last, since]: [string | undefined, number] = [undefined, 0];
  return (key) => {
    if (key !== last) [last, since] = [key, performance.now()];
    return performance.now() - since;
  };
}

async function pause(aboutMs: number, signal: AbortSignal): Promise<void> {
  await sleep(aboutMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
}
