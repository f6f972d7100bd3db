import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenOptions } from '../../engine/cluster.ts';
import type { KubeClient } from '../client.ts';
import { UnreachableError } from '../client.ts';
import { keepNewest } from '../keep-newest.ts';
import { createUnguardedLease, holdLease } from './lease.ts';
import type { Lease } from './lease.ts';
import { isFree, nextEpoch, planMove, withBuild, withHolder } from './lease-record.ts';
import type { Asker, LeaseRecord, Observed } from './lease-record.ts';
import { createLeaseStore, toKey } from './lease-store.ts';
import type { LeasePlace, LeaseStore } from './lease-store.ts';

/**
 * Who may use which Pod, across processes: a Lease for each Pod, of the same name. Within this process builds take turns before
 * they come here.
 */
export interface Leases {
  /** Waits until the Pod is this build's, first come first served among processes. Asks for it at once: one request if nobody else had it. */
  acquire(request: LeaseRequest, options: Pick<OpenOptions, 'signal' | 'onWaiting'>): Promise<LeaseAnswer>;
  /**
   * The Pod, in order to delete it, if nobody has it or waits for it; forgets which builds began in it. `seen`: the Lease as it was
   * some time ago, if it is still the same.
   */
  claim(place: LeasePlace, seen?: { readonly record: LeaseRecord; readonly agoMs: number }): Promise<Lease | undefined>;
  readonly leaseMs: number;
}

export interface LeaseRequest {
  readonly plan: LeasePlace;
  readonly build: string;
  readonly isResumed: boolean;
}

export type LeaseAnswer =
  | { readonly kind: 'held'; readonly lease: Lease }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'aborted' };

export interface LeaseLimits {
  /** After this without a renewal the holder counts as dead. */
  readonly leaseMs: number;
  /** Twice the pause may pass unnoticed before that. */
  readonly renewMs: number;
  /** Between two looks at a Lease that another has, on average. */
  readonly lookMs: number;
  /** A cluster that has answered nothing for so long is not there, and the user waits. */
  readonly unreachableMs: number;
}

const DEFAULT_LIMITS: LeaseLimits = { leaseMs: 30_000, renewMs: 10_000, lookMs: 1_000, unreachableMs: 30_000 };
/** What is remembered of Leases that were given back saves a request each; who is forgotten is read anew. */
const MAX_REMEMBERED = 500;
/** In the holder's place, while a Pod that nobody needs is deleted. */
const CLEANER = 'idle';

export function createLeases(client: KubeClient, given: Partial<LeaseLimits> = {}): Leases {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const nonce = randomBytes(6).toString('hex');
  /** By Pod, the Lease as this client gave it back. */
  const remembered = new Map<string, LeaseRecord>();
  let lastUnguarded = 0;

  function recall(plan: LeasePlace): LeaseRecord | undefined {
    const record = remembered.get(toKey(plan));
    remembered.delete(toKey(plan));
    return record;
  }
  function remember(plan: LeasePlace, record: LeaseRecord): void {
    // Whoever waits for it takes it: what is known of it will not be true.
    if (record.queue.length > 0) return;
    keepNewest(remembered, [toKey(plan), record], MAX_REMEMBERED);
  }
  function createTry(request: LeaseRequest): Try {
    const { plan, build, isResumed } = request;
    const asker = { identity: `${build}@${nonce}`, build, nonce, isResumed };
    return { request, asker, store: createLeaseStore(client, plan), observe: createObserver(), limits };
  }
  function hold(attempt: Try, { record, isUndisputed }: { record: LeaseRecord; isUndisputed: boolean }): Lease {
    const { plan, build, isResumed } = attempt.request;
    const pod = record.builds.find((begun) => begun.build === build)?.pod;
    return holdLease({
      store: attempt.store,
      record,
      build,
      isUndisputed,
      begunIn: isResumed && pod ? pod : undefined,
      renewMs: limits.renewMs,
      onReleased: (last) => remember(plan, last),
    });
  }
  function goUnguarded(message: string, isResumed: boolean): Lease {
    lastUnguarded = nextEpoch(lastUnguarded, Date.now());
    const warning = `c3 cannot see to it that no other c3 uses the Pod at the same time (${message}): the Role needs get, list, create, update and delete on "leases" of "coordination.k8s.io"`;
    return createUnguardedLease(lastUnguarded, { warning, isResumed });
  }

  return {
    async acquire(request, options) {
      const attempt = createTry(request);
      const known = recall(request.plan);
      const taken = await takeInTurn(attempt, known, options);
      switch (taken.kind) {
        case 'held':
          return { kind: 'held', lease: hold(attempt, taken) };
        case 'refused':
          return { kind: 'held', lease: goUnguarded(taken.message, request.isResumed) };
        case 'aborted':
          // Whoever gives up its place late is passed over.
          void leaveQueue(attempt).catch(() => undefined);
          return taken;
        case 'failed':
          return taken;
      }
    },
    leaseMs: limits.leaseMs,
    async claim(plan, seen) {
      const attempt = createTry({ plan, build: CLEANER, isResumed: false });
      const record = seen?.record ?? recall(plan) ?? (await attempt.store.read());
      // Where there are no Leases the Pod is this client's alone, as far as anybody can know.
      if (!record) return createUnguardedLease(0, { warning: '', isResumed: false });
      if (!isFree(record, attempt.asker, seen?.agoMs ?? 0) || record.queue.length > 0) return undefined;
      const written = await attempt.store.write(withHolder({ ...record, builds: [] }, attempt.asker, Date.now()));
      if (written.kind !== 'stored') return undefined;
      return hold(attempt, { record: written.record, isUndisputed: true });
    },
  };
}

interface Try {
  readonly request: LeaseRequest;
  readonly asker: Asker;
  readonly store: LeaseStore;
  readonly observe: (record: LeaseRecord) => Observed;
  readonly limits: LeaseLimits;
}

type Taken =
  | { readonly kind: 'held'; readonly record: LeaseRecord; readonly isUndisputed: boolean }
  | { readonly kind: 'refused'; readonly message: string }
  | Exclude<LeaseAnswer, { kind: 'held' }>;

/** Makes moves until the Lease is taken. `known`: as this client gave it back; then one request does, if nobody else came. */
async function takeInTurn(
  attempt: Try,
  known: LeaseRecord | undefined,
  { signal, onWaiting }: Pick<OpenOptions, 'signal' | 'onWaiting'>,
): Promise<Taken> {
  const { lookMs, unreachableMs } = attempt.limits;
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
        await pause(lookMs, signal);
      }
      record = await attempt.store.read(signal);
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof UnreachableError) || !error.isTransient) throw error;
      onWaiting(error.message);
      if (performance.now() - answeredAt > unreachableMs) return { kind: 'failed', message: error.message };
      await pause(lookMs, signal);
    }
  }
  return { kind: 'aborted' };
}

type Outcome =
  | { readonly kind: 'held'; readonly record: LeaseRecord }
  | { readonly kind: 'wait' }
  /** Somebody was faster: read it again. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'refused'; readonly message: string };

/** One move. `record`: the Lease as it was seen last; undefined: there is none. */
async function tryOnce(
  { request, asker, store, observe, limits }: Try,
  record: LeaseRecord | undefined,
): Promise<Outcome> {
  const before = record ?? createRecord(limits.leaseMs);
  // Ours already: the answer that should have told it was lost.
  if (before.holder === asker.identity) return { kind: 'held', record: before };
  const move = planMove(before, asker, observe(before));
  if (move === 'wait') return { kind: 'wait' };
  if (move === 'queue') {
    const written = await store.write({ ...before, queue: [...before.queue, asker.identity] });
    return written.kind === 'stored' ? { kind: 'wait' } : written;
  }
  // Noted at once is where the build most likely begins, in the Pod that the last one had: a warm build then writes no more.
  const known = before.builds.find(({ build }) => build === request.build);
  const pod = (request.isResumed && known ? known : before.builds.at(-1))?.pod ?? '';
  const isNew = request.isResumed && !known;
  const taken = withBuild(withHolder({ ...before, durationMs: limits.leaseMs }, asker, Date.now()), {
    build: request.build,
    pod: isNew ? '' : pod,
  });
  const written = await store.write(taken);
  return written.kind === 'stored' ? { kind: 'held', record: written.record } : written;
}

async function leaveQueue({ asker, store }: Try): Promise<void> {
  const record = await store.read();
  if (!record?.queue.includes(asker.identity)) return;
  await store.write({ ...record, queue: record.queue.filter((identity) => identity !== asker.identity) });
}

/** Measures on the monotonic clock for how long what matters of a record has stayed the same. */
function createObserver(): (record: LeaseRecord) => Observed {
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

function createRecord(durationMs: number): LeaseRecord {
  return { version: '', holder: '', durationMs, renewedAt: 0, epoch: 0, queue: [], builds: [], unfitPod: '' };
}

async function pause(aboutMs: number, signal: AbortSignal): Promise<void> {
  await sleep(aboutMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
}
