import { toLease, toList } from '../api-types.ts';
import type { Lease } from '../api-types.ts';
import { isPutOff, UnreachableError } from '../client.ts';
import type { KubeAnswer, KubeClient, KubeRefusal } from '../client.ts';
import { formatLease, toRecord } from './lease-record.ts';
import type { LeaseRecord } from './lease-record.ts';

export type Written =
  | { readonly kind: 'stored'; readonly record: LeaseRecord }
  /** There is another version, or there is one at all, or none any more: read it. */
  | { readonly kind: 'conflict' }
  /** By the account's rights, a quota, or a cluster without Leases. `message`: the server's words. */
  | { readonly kind: 'refused'; readonly message: string };

/** Which Lease: that of the Pod of this name. Its labels are the Pod's. */
export interface LeasePlace {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Tells the Pods of a cluster apart, and their Leases. */
export function toKey({ namespace, name }: Pick<LeasePlace, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

/** The Lease of one Pod at the API server. Every method rejects with CLUSTER_UNREACHABLE when there is no answer. */
export interface LeaseStore {
  readonly podName: string;
  /** Replaces the version that the record names; creates it when it names none. */
  write(record: LeaseRecord, signal?: AbortSignal): Promise<Written>;
  /** Undefined when there is none, or none to be seen. */
  read(signal?: AbortSignal): Promise<LeaseRecord | undefined>;
  /** Deletes this very version; tells whether it did. */
  delete(record: LeaseRecord): Promise<boolean>;
}

export function createLeaseStore(client: KubeClient, place: LeasePlace): LeaseStore {
  const folder = toLeasesPath(place.namespace);
  const path = `${folder}/${encodeURIComponent(place.name)}`;
  return {
    podName: place.name,
    async write(record, signal) {
      const body = formatLease(record, { ...place, now: Date.now() });
      const target = record.version === '' ? { method: 'POST', path: folder } : { method: 'PUT', path };
      const answer = check(
        await client.request({ ...(target as { method: 'PUT'; path: string }), body, ...toSignal(signal) }),
      );
      if (answer.kind === 'ok') return { kind: 'stored', record: toRecord(toLease(answer.body)) };
      const isGone = answer.code === 404 && record.version !== '';
      return answer.code === 409 || isGone ? { kind: 'conflict' } : { kind: 'refused', message: answer.message };
    },
    async read(signal) {
      const answer = check(await client.request({ method: 'GET', path, ...toSignal(signal) }));
      return answer.kind === 'ok' ? toRecord(toLease(answer.body)) : undefined;
    },
    async delete(record) {
      const preconditions = { resourceVersion: record.version };
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
      return check(await client.request({ method: 'DELETE', path, body })).kind === 'ok';
    },
  };
}

/** All Leases with these labels; none where they may not be listed. */
export async function listLeases(
  client: KubeClient,
  { namespace, labels }: { namespace: string; labels: Readonly<Record<string, string>> },
): Promise<readonly Lease[]> {
  const labelSelector = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const answer = await client.request({ method: 'GET', path: toLeasesPath(namespace), query: { labelSelector } });
  return answer.kind === 'ok' ? toList(answer.body).items.map(toLease) : [];
}

function check(answer: KubeAnswer): Extract<KubeAnswer, { kind: 'ok' }> | KubeRefusal {
  if (answer.kind === 'refused' && isPutOff(answer)) {
    throw new UnreachableError(`The cluster does not answer about Leases: ${answer.message}`, true);
  }
  return answer;
}

function toSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function toLeasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}
