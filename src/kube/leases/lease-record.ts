import { parseJson, readArray, readInteger, readObject } from '../../json.ts';
import { toList, toMetadata, toShortText, toTime } from '../api-types.ts';
import { UnreachableError, type KubeAnswer, type KubeClient } from '../client.ts';
import { isUnavailable } from '../cluster-connection.ts';

/** The content of a Pod's Lease: its holder, who waits for the Pod, and which builds began in it. */
export interface LeaseRecord {
  /** The resourceVersion. Empty for a record that was never stored. */
  readonly version: string;
  /** `BUILD@NONCE`. Empty when the Lease is free. */
  readonly holder: string;
  readonly durationMs: number;
  /** When the holder last renewed or released the Lease, in epoch milliseconds by its own clock. */
  readonly renewedAt: number;
  /** `leaseTransitions`. It grows with each holder. */
  readonly epoch: number;
  /** Identities, longest waiting first. Each process has one entry, for its next build. */
  readonly queue: readonly string[];
  /** The latest builds that used the Pod, newest last. */
  readonly builds: readonly BegunBuild[];
  /** The UID of a Pod that a build left unclean and that could not be deleted. Empty when there is none. */
  readonly unfitPod: string;
}

export interface BegunBuild {
  readonly build: string;
  /** The UID of the Pod. Empty while the Pod has not started. */
  readonly pod: string;
}

/** A build that wants a Lease. */
export interface Claimant {
  readonly identity: string;
  readonly build: string;
  /**
   * Identifies this client of the cluster. A Lease of a holder with the same nonce is free, since builds of this
   * client never overlap.
   */
  readonly nonce: string;
  /** Whether a c3 that died had started the build. A Lease that still names this build is then free. */
  readonly isResumed: boolean;
}

/** How long a record has not changed, by the clock of this process. The clocks of other processes are never used. */
export interface Observation {
  /** Since the holder last renewed the Lease. */
  readonly holderMs: number;
  /** Since the first in the queue could have taken the Lease. */
  readonly headMs: number;
}

const QUEUE_ANNOTATION = 'c3.build/queue';
const BUILDS_ANNOTATION = 'c3.build/builds';
const UNFIT_ANNOTATION = 'c3.build/unfit-pod';
/** How long the first in the queue may take to claim a free Lease. It is a few times the poll interval. */
export const HEAD_MS = 6_000;
/** Processes in the queue. Further processes wait outside the queue. */
const MAX_QUEUE = 100;
/** A resumed build is one of the latest, because it used the Pod when its c3 died. */
const MAX_BUILDS = 16;
/** The length of a holder, a build or a UID. c3 never writes a longer one. */
const MAX_IDENTITY = 128;
/** `leaseTransitions` is an int32. Seconds from this date fit until 2094. */
const EPOCH_BASE_MS = Date.UTC(2026, 0, 1);

/** @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
export function toRecord(value: unknown): LeaseRecord {
  const { resourceVersion, annotations } = toMetadata(value);
  const spec = readObject(readObject(value)['spec']);
  const [queue, builds] = [QUEUE_ANNOTATION, BUILDS_ANNOTATION].map((name) =>
    readArray(parseJson(annotations[name] ?? '')),
  );
  return {
    version: resourceVersion,
    holder: toShortText(spec['holderIdentity']),
    durationMs: (readInteger(spec['leaseDurationSeconds']) ?? 0) * 1000,
    renewedAt: toTime(spec['renewTime']) ?? 0,
    epoch: readInteger(spec['leaseTransitions']) ?? 0,
    unfitPod: toShortText(annotations[UNFIT_ANNOTATION], MAX_IDENTITY),
    queue: (queue ?? []).filter(isIdentity).slice(0, MAX_QUEUE),
    builds: (builds ?? [])
      .map(readArray)
      .flatMap(([build, pod]) => (isIdentity(build) && isIdentity(pod) ? [{ build, pod }] : []))
      .slice(-MAX_BUILDS),
  };
}

/** Returns the record of a Lease that is not stored yet. */
export function createRecord(durationMs: number): LeaseRecord {
  return { version: '', holder: '', durationMs, renewedAt: 0, epoch: 0, queue: [], builds: [], unfitPod: '' };
}

/** Formats the Lease for a request. `now` is in epoch milliseconds. */
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
      // MicroTime requires six digits.
      renewTime: new Date(now).toISOString().replace('Z', '000Z'),
    },
  };
}

/**
 * Returns the last epoch plus one, and at least the seconds since 2026. So the epoch also grows when a Lease is
 * deleted and created again, and when there are no Leases. All holders of a Pod name use the same scale.
 */
export function nextEpoch(last: number, now: number): number {
  return Math.max(last + 1, Math.floor((now - EPOCH_BASE_MS) / 1000));
}

/** Returns whether the Lease is free, as far as this claimant knows. */
export function isFree(record: LeaseRecord, claimant: Claimant, holderMs: number): boolean {
  const { holder } = record;
  if (holder === '' || holder.endsWith(`@${claimant.nonce}`)) return true;
  return isOfResumed(record, claimant) || holderMs >= record.durationMs;
}

/** Returns whether the holder is the c3 that led the build before this claimant resumes it. */
export function isOfResumed({ holder }: LeaseRecord, { build, isResumed }: Claimant): boolean {
  return isResumed && holder.startsWith(`${build}@`);
}

/** Decides what to do about a Lease: acquire it, join the queue, or read it again later. */
export function planMove(record: LeaseRecord, claimant: Claimant, observation: Observation): 'take' | 'queue' | 'wait' {
  const [head = claimant.identity] = record.queue;
  const isNext = head === claimant.identity || observation.headMs >= HEAD_MS;
  if (isNext && isFree(record, claimant, observation.holderMs)) return 'take';
  const hasPlace = record.queue.includes(claimant.identity) || record.queue.length >= MAX_QUEUE;
  return hasPlace ? 'wait' : 'queue';
}

/** Returns the record with a new holder. Claimants before it in the queue have missed their time and are removed. */
export function withHolder(record: LeaseRecord, claimant: Claimant, now: number): LeaseRecord {
  const index = record.queue.indexOf(claimant.identity);
  return {
    ...record,
    holder: claimant.identity,
    epoch: nextEpoch(record.epoch, now),
    queue: index < 0 ? record.queue : record.queue.slice(index + 1),
  };
}

/** Returns the record with the build as the latest. */
export function withBuild(record: LeaseRecord, begun: BegunBuild): LeaseRecord {
  const others = record.builds.filter(({ build }) => build !== begun.build);
  return { ...record, builds: [...others, begun].slice(-MAX_BUILDS) };
}

function isIdentity(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_IDENTITY;
}

export type Written =
  | { readonly kind: 'stored'; readonly record: LeaseRecord }
  /** The stored version differs from the expected one, or there is none: read it again. */
  | { readonly kind: 'conflict' }
  /** Refused by the account's rights, a quota, or a cluster without Leases. `message` is from the server. */
  | { readonly kind: 'refused'; readonly message: string };

/** Identifies the Lease of a Pod. It has the Pod's name and labels. */
export interface LeaseRef {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Returns a key that is unique for each Pod of a cluster. */
export function toPodKey({ namespace, name }: Pick<LeaseRef, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

/** Reads and writes the Lease of one Pod. Every method rejects with CLUSTER_UNREACHABLE when there is no answer. */
export interface LeaseStore {
  readonly podName: string;
  /** Replaces the version that the record names. Creates the Lease if the record names no version. */
  write(record: LeaseRecord, signal?: AbortSignal): Promise<Written>;
  /** Returns undefined when there is no Lease, or none that this account may read. */
  read(signal?: AbortSignal): Promise<LeaseRecord | undefined>;
  /** Deletes this version only. Returns whether it was deleted. */
  delete(record: LeaseRecord): Promise<boolean>;
}

export function createLeaseStore(client: KubeClient, ref: LeaseRef): LeaseStore {
  const collection = toLeasesPath(ref.namespace);
  const path = `${collection}/${encodeURIComponent(ref.name)}`;
  return {
    podName: ref.name,
    async write(record, signal) {
      const body = formatLease(record, { ...ref, now: Date.now() });
      const isNew = record.version === '';
      const [method, target] = isNew ? (['POST', collection] as const) : (['PUT', path] as const);
      const answer = check(await client.request({ method, path: target, body, signal }));
      if (answer.kind === 'ok') return { kind: 'stored', record: toRecord(answer.body) };
      const isGone = answer.code === 404 && !isNew;
      return answer.code === 409 || isGone ? { kind: 'conflict' } : { kind: 'refused', message: answer.message };
    },
    async read(signal) {
      const answer = check(await client.request({ method: 'GET', path, signal }));
      return answer.kind === 'ok' ? toRecord(answer.body) : undefined;
    },
    async delete(record) {
      const preconditions = { resourceVersion: record.version };
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
      return check(await client.request({ method: 'DELETE', path, body })).kind === 'ok';
    },
  };
}

/** Lists the Leases with these labels. The list is empty when the account may not list Leases. */
export async function listLeases(
  client: KubeClient,
  { namespace, labels }: Omit<LeaseRef, 'name'>,
): Promise<readonly { readonly ref: LeaseRef; readonly record: LeaseRecord }[]> {
  const labelSelector = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const answer = await client.request({ method: 'GET', path: toLeasesPath(namespace), query: { labelSelector } });
  if (answer.kind === 'refused') return [];
  return toList(answer.body).items.map((item) => {
    const { name, labels: ownLabels } = toMetadata(item);
    return { ref: { namespace, name, labels: ownLabels }, record: toRecord(item) };
  });
}

function check(answer: KubeAnswer): KubeAnswer {
  if (answer.kind === 'refused' && isUnavailable(answer)) {
    throw new UnreachableError(`The cluster does not answer about Leases: ${answer.message}`, true);
  }
  return answer;
}

function toLeasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}
