import { toLease, toList, type LeaseObject } from '../api-types.ts';
import { isUnavailable, UnreachableError, type KubeAnswer, type KubeClient, type KubeRefusal } from '../client.ts';
import { formatLease, toRecord, type LeaseRecord } from './lease-record.ts';

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
      const target =
        record.version === '' ? ({ method: 'POST', path: collection } as const) : ({ method: 'PUT', path } as const);
      const answer = check(await client.request({ ...target, body, ...(signal && { signal }) }));
      if (answer.kind === 'ok') return { kind: 'stored', record: toRecord(toLease(answer.body)) };
      const isGone = answer.code === 404 && record.version !== '';
      return answer.code === 409 || isGone ? { kind: 'conflict' } : { kind: 'refused', message: answer.message };
    },
    async read(signal) {
      const answer = check(await client.request({ method: 'GET', path, ...(signal && { signal }) }));
      return answer.kind === 'ok' ? toRecord(toLease(answer.body)) : undefined;
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
  { namespace, labels }: { namespace: string; labels: Readonly<Record<string, string>> },
): Promise<readonly LeaseObject[]> {
  const labelSelector = Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const answer = await client.request({ method: 'GET', path: toLeasesPath(namespace), query: { labelSelector } });
  return answer.kind === 'ok' ? toList(answer.body).items.map(toLease) : [];
}

function check(answer: KubeAnswer): Extract<KubeAnswer, { kind: 'ok' }> | KubeRefusal {
  if (answer.kind === 'refused' && isUnavailable(answer)) {
    throw new UnreachableError(`The cluster does not answer about Leases: ${answer.message}`, true);
  }
  return answer;
}

function toLeasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}
