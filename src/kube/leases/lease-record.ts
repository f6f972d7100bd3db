import { toBeginning, type Lease } from '../api-types.ts';

/** What the Lease of a Pod says: who has the Pod, who waits for it, and which builds began in it. */
export interface LeaseRecord {
  /** resourceVersion; empty for a record that was never stored. */
  readonly version: string;
  /** `BUILD@NONCE`; empty: nobody. */
  readonly holder: string;
  readonly durationMs: number;
  /** Epoch milliseconds of the last word of the holder, or of its release, by its own clock. */
  readonly renewedAt: number;
  /** `leaseTransitions`: greater for each holder. */
  readonly epoch: number;
  /** Identities, longest waiting first: each process's first in line. */
  readonly queue: readonly string[];
  /** The latest builds that had the Pod, newest last. */
  readonly builds: readonly BegunBuild[];
  /** UID of a Pod that a build left unclean and that could not be deleted; empty: none. */
  readonly unfitPod: string;
}

export interface BegunBuild {
  readonly build: string;
  /** UID of the Pod; empty while it has not started. */
  readonly pod: string;
}

/** Who asks for a Lease. */
export interface Asker {
  readonly identity: string;
  readonly build: string;
  /** Of this client of the cluster: what a former holder of the same nonce left is ours, since builds here take turns. */
  readonly nonce: string;
  /** The build was begun by a c3 that died: a Lease that still names this build is nobody's. */
  readonly isResumed: boolean;
}

/** For how long a record has not changed, on this process's own clock: nothing is ever concluded from the clocks of others. */
export interface Observed {
  /** Since the holder was last heard of. */
  readonly holderMs: number;
  /** Since the first in the queue could have taken the Lease. */
  readonly headMs: number;
}

const QUEUE_ANNOTATION = 'c3.build/queue';
const BUILDS_ANNOTATION = 'c3.build/builds';
const UNFIT_ANNOTATION = 'c3.build/unfit-pod';
/** Who is to have the Pod next is given so long, a few times the pause between two looks, before the next takes it. */
export const HEAD_MS = 6_000;
/** One for each process that waits; further ones wait without a place. */
const MAX_QUEUE = 100;
/** A build that is taken up again is one of the latest: it had the Pod when its c3 died. */
const MAX_BUILDS = 16;
/** Of a holder, a build, a UID: what is longer c3 has not written. */
const MAX_IDENTITY = 128;
/** `leaseTransitions` is an int32: seconds from here on last until 2094. */
const EPOCH_BASE_MS = Date.UTC(2026, 0, 1);

export function toRecord(lease: Lease): LeaseRecord {
  return {
    version: lease.resourceVersion,
    holder: lease.holder,
    durationMs: lease.durationSeconds * 1000,
    renewedAt: lease.renewedAt,
    epoch: lease.transitions,
    unfitPod: toBeginning(lease.annotations[UNFIT_ANNOTATION] ?? '', MAX_IDENTITY),
    queue: readList(lease.annotations[QUEUE_ANNOTATION]).filter(isIdentity).slice(0, MAX_QUEUE),
    builds: readList(lease.annotations[BUILDS_ANNOTATION])
      .flatMap((entry) => {
        const [build, pod] = Array.isArray(entry) ? (entry as unknown[]) : [];
        return isIdentity(build) && isIdentity(pod) ? [{ build, pod }] : [];
      })
      .slice(-MAX_BUILDS),
  };
}

/** The Lease as it is sent. `now`: epoch milliseconds. */
export function formatLease(
  record: LeaseRecord,
  { namespace, name, labels, now }: { namespace: string; name: string; labels: object; now: number },
): object {
  const builds = record.builds.map(({ build, pod }) => [build, pod]);
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name,
      namespace,
      labels,
      annotations: {
        ...(record.queue.length > 0 ? { [QUEUE_ANNOTATION]: JSON.stringify(record.queue) } : {}),
        ...(record.unfitPod === '' ? {} : { [UNFIT_ANNOTATION]: record.unfitPod }),
        ...(builds.length > 0 ? { [BUILDS_ANNOTATION]: JSON.stringify(builds) } : {}),
      },
      ...(record.version === '' ? {} : { resourceVersion: record.version }),
    },
    spec: {
      holderIdentity: record.holder,
      leaseDurationSeconds: Math.ceil(record.durationMs / 1000),
      leaseTransitions: record.epoch,
      // MicroTime wants all six digits.
      renewTime: new Date(now).toISOString().replace('Z', '000Z'),
    },
  };
}

/**
 * One more than the last, and at least the seconds since 2026. So it grows as well when a Lease is deleted and made again, and
 * where there are no Leases: all who ever come to a Pod of this name count on the same scale.
 */
export function nextEpoch(last: number, now: number): number {
  return Math.max(last + 1, Math.floor((now - EPOCH_BASE_MS) / 1000));
}

/** Whether nobody has the Pod, as far as this asker can tell. */
export function isFree(record: LeaseRecord, asker: Asker, holderMs: number): boolean {
  const { holder } = record;
  if (holder === '' || holder.endsWith(`@${asker.nonce}`)) return true;
  return (asker.isResumed && holder.startsWith(`${asker.build}@`)) || holderMs >= record.durationMs;
}

/** What to do about a Lease that was read: take it, take a place in the queue, or look again later. */
export function planMove(record: LeaseRecord, asker: Asker, observed: Observed): 'take' | 'queue' | 'wait' {
  const [head = asker.identity] = record.queue;
  const isNext = head === asker.identity || observed.headMs >= HEAD_MS;
  if (isNext && isFree(record, asker, observed.holderMs)) return 'take';
  const hasPlace = record.queue.includes(asker.identity) || record.queue.length >= MAX_QUEUE;
  return hasPlace ? 'wait' : 'queue';
}

/** The record with a new holder: whoever stood before it in the queue has let its chance pass. */
export function withHolder(record: LeaseRecord, asker: Asker, now: number): LeaseRecord {
  const place = record.queue.indexOf(asker.identity);
  return {
    ...record,
    holder: asker.identity,
    epoch: nextEpoch(record.epoch, now),
    queue: place < 0 ? record.queue : record.queue.slice(place + 1),
  };
}

/** The record with the build as the latest. */
export function withBuild(record: LeaseRecord, begun: BegunBuild): LeaseRecord {
  const others = record.builds.filter(({ build }) => build !== begun.build);
  return { ...record, builds: [...others, begun].slice(-MAX_BUILDS) };
}

function isIdentity(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_IDENTITY;
}

function readList(text: string | undefined): unknown[] {
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
