import { randomBytes, randomUUID } from 'node:crypto';

import type { Kubelet } from '../node/kubelet.ts';
import { type KubeStatus, type Pod, type PodCondition, toTimestamp } from '../objects.ts';
import type { Store } from '../store.ts';
import { parsePod } from './pod-spec.ts';
import { alreadyExists, badRequest, conflict, notFound } from './status.ts';

export interface PodApi {
  create(namespace: string, body: unknown, options: { readonly isDryRun: boolean }): Pod;
  /** @throws {ApiRefusal} 404 */
  get(namespace: string, name: string): Pod;
  /** Merges a patch of labels and annotations. Any other field of the patch must equal the stored one. */
  patch(namespace: string, name: string, body: unknown): Pod;
  delete(namespace: string, name: string, options: DeleteOptions): Pod;
  /** Evicts a Pod, as `kubectl drain` does: sets the condition DisruptionTarget and deletes the Pod. */
  evict(namespace: string, name: string, options: DeleteOptions): KubeStatus;
}

/** @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/delete-options/ */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** The letters with which the API server completes a `generateName`; it appends five. */
const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

export function createPodApi(store: Store, kubelet: Kubelet): PodApi {
  function get(namespace: string, name: string): Pod {
    const pod = store.get('pods', namespace, name);
    if (!pod) throw notFound('pods', name);
    return pod;
  }

  function remove(namespace: string, name: string, options: DeleteOptions): Pod {
    const pod = get(namespace, name);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid !== undefined && uid !== pod.metadata.uid) {
      const why = `the UID in the precondition (${uid}) does not match the UID in record (${pod.metadata.uid}). The object might have been deleted and then recreated`;
      throw conflict('Pod', name, why);
    }
    if (resourceVersion !== undefined && resourceVersion !== pod.metadata.resourceVersion) {
      const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${pod.metadata.resourceVersion}). The object might have been modified`;
      throw conflict('Pod', name, why);
    }
    const isIdle = pod.spec.nodeName === undefined || ['Succeeded', 'Failed'].includes(pod.status.phase);
    const asked = options.gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds;
    const before = pod.metadata.deletionGracePeriodSeconds ?? Infinity;
    const seconds = isIdle ? 0 : Math.max(0, asked);
    if (seconds >= before) return pod;
    const metadata = {
      ...pod.metadata,
      deletionTimestamp: toTimestamp(Date.now() + seconds * 1000),
      deletionGracePeriodSeconds: seconds,
    };
    const marked = store.put('pods', { ...pod, metadata });
    kubelet.terminate(marked, seconds * 1000);
    // Without a grace period the API server removes the Pod at once, even while its containers still run.
    if (seconds === 0) store.remove('pods', namespace, name);
    return marked;
  }

  return {
    get,
    delete: remove,
    evict: (namespace, name, options) => {
      const pod = get(namespace, name);
      const status = { ...pod.status, conditions: [...(pod.status.conditions ?? []), toDisruption()] };
      store.put('pods', { ...pod, status });
      remove(namespace, name, options);
      return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
    },
    create: (namespace, body, { isDryRun }) => {
      if (!store.get('namespaces', '', namespace)) throw notFound('namespaces', namespace);
      const pod = parsePod(withGeneratedName(body), namespace);
      const { name } = pod.metadata;
      if (store.get('pods', namespace, name)) throw alreadyExists('pods', name);
      const metadata = { ...pod.metadata, uid: randomUUID(), creationTimestamp: toTimestamp() };
      if (isDryRun) return { ...pod, metadata };
      const stored = store.put('pods', { ...pod, metadata });
      kubelet.admit(stored);
      return stored;
    },
    patch: (namespace, name, body) => {
      const pod = get(namespace, name);
      const patch = body as { metadata?: Partial<Pod['metadata']> } | null;
      if (typeof patch !== 'object' || patch === null) throw badRequest('the patch is not an object');
      const foreign = Object.keys(patch).filter((key) => !['metadata', 'apiVersion', 'kind'].includes(key));
      if (foreign.length > 0) throw badRequest(`the embedded cluster patches metadata only, not ${foreign.join(', ')}`);
      const { resourceVersion, labels, annotations } = patch.metadata ?? {};
      checkVersion(pod, resourceVersion);
      const metadata = {
        ...pod.metadata,
        ...(labels === undefined ? {} : { labels: merge(pod.metadata.labels, labels) }),
        ...(annotations === undefined ? {} : { annotations: merge(pod.metadata.annotations, annotations) }),
      };
      return store.put('pods', { ...pod, metadata });
    },
  };
}

/** https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions */
function toDisruption(): PodCondition {
  const lastTransitionTime = toTimestamp();
  const cause = { reason: 'EvictionByEvictionAPI', message: 'Eviction API: evicting' };
  return { type: 'DisruptionTarget', status: 'True', lastProbeTime: null, lastTransitionTime, ...cause };
}

function withGeneratedName(body: unknown): unknown {
  const { metadata } = (body ?? {}) as { metadata?: { name?: string; generateName?: string } };
  if (!metadata?.generateName || metadata.name) return body;
  const letters = [...randomBytes(5)].map((byte) => NAME_LETTERS[byte % NAME_LETTERS.length]).join('');
  return { ...(body as object), metadata: { ...metadata, name: metadata.generateName + letters } };
}

function checkVersion(pod: Pod, wanted: string | undefined): void {
  if (wanted === undefined || wanted === pod.metadata.resourceVersion) return;
  const why = 'the object has been modified; please apply your changes to the latest version and try again';
  throw conflict('pods', pod.metadata.name, why);
}

/** Merges by RFC 7396: null removes a key. */
function merge(before: Record<string, string> = {}, patch: Record<string, string | null>): Record<string, string> {
  const after = { ...before };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete after[key];
    else after[key] = value;
  }
  return after;
}
