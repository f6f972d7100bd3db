import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenWorkspaceOptions, WorkspaceRequest } from '../engine/cluster.ts';
import { toMessage } from '../errors.ts';
import type { KubeClient } from './client.ts';
import { createLeaseStore, createRecord, type LeaseStore } from './leases/lease-record.ts';
import type { PodPlan } from './pod.ts';
import { listPod } from './watch.ts';

/** Lets only one Pod at a time work in a directory of a volume that outlives Pods. */
export interface DirectoryClaims {
  /** Claims all directories, or none, for a Pod. The Pod that has them may claim them again. */
  claim(
    plan: PodPlan,
    directories: readonly Directory[],
    options: Pick<OpenWorkspaceOptions, 'signal' | 'onWaiting'>,
  ): Promise<DirectoryClaim | Refusal>;
}

export interface DirectoryClaim {
  readonly kind: 'claimed';
  /**
   * Claims the directories again, after the Pod was created. A claim without a Pod does not count for others, because
   * its c3 may have died, so another Pod may have them by now. Of two Pods that confirm, one is refused.
   * Never throws.
   */
  confirm(): Promise<Refusal | undefined>;
  /** Without `isClean`, what the build left may still work in the directories. Then the claim ends with the Pod. */
  release(outcome: { readonly isClean: boolean }): Promise<void>;
}

type Refusal = { readonly kind: 'failed'; readonly message: string };
type Directory = NonNullable<WorkspaceRequest['directories']>[number];

/**
 * Creates the claims of a cluster. Each directory has a Lease whose holder is the name of a Pod. A c3 that dies leaves
 * its claim behind: until the Pod is gone, only builds in that Pod get the directory. Without the right to use Leases,
 * only the builds of this process know of each other. Only they also know of directories inside each other, and of the
 * Pods in other namespaces.
 */
export function createDirectoryClaims(client: KubeClient): DirectoryClaims {
  /** The Pod that has a directory, as this process knows it: `NAMESPACE/NAME`. */
  const holders = new Map<string, string>();
  return {
    async claim({ namespace, name }, directories, { signal, onWaiting }) {
      const pod = `${namespace}/${name}`;
      const keys = directories.map(({ key }) => toKey(key, namespace));
      for (const [index, directory] of directories.entries()) {
        const [, other] = [...holders].find(([key, holder]) => holder !== pod && overlap(key, keys[index] ?? '')) ?? [];
        if (other === undefined) continue;
        return refuse(directory, other.startsWith(`${namespace}/`) ? other.slice(namespace.length + 1) : other);
      }
      for (const key of keys) holders.set(key, pod);
      const leases = directories.map((directory) => ({ directory, store: openStore(client, directory, namespace) }));
      async function release({ isClean }: { readonly isClean: boolean }): Promise<void> {
        for (const key of keys) holders.delete(key);
        // A claim that cannot be released ends with its Pod.
        if (isClean) for (const { store } of leases) await releaseLease(store, name).catch(() => undefined);
      }
      async function take(): Promise<Refusal | undefined> {
        for (const { directory, store } of leases) {
          const other = await claimLease(store, name, async (holder) =>
            isThere(client, { namespace, name: holder, signal }, onWaiting),
          );
          if (other !== undefined) return refuse(directory, other);
        }
        return undefined;
      }
      let refusal: Refusal | undefined;
      try {
        refusal = await take();
      } catch (error) {
        await release({ isClean: true });
        throw error;
      }
      if (refusal) await release({ isClean: true });
      const confirm = async (): Promise<Refusal | undefined> =>
        await take().catch((error: unknown) => ({ kind: 'failed', message: toMessage(error) }));
      return refusal ?? { kind: 'claimed', confirm, release };
    },
  };
}

function openStore(client: KubeClient, { key }: Directory, namespace: string): LeaseStore {
  const id = createHash('sha256').update(`${namespace} ${key}`).digest('hex').slice(0, 32);
  const labels = { 'app.kubernetes.io/managed-by': 'c3' };
  return createLeaseStore(client, { namespace, name: `c3-directory-${id}`, labels });
}

/** A claim of storage is in a namespace. The other kinds of volumes are outside. */
function toKey(key: string, namespace: string): string {
  return key.startsWith('persistentVolumeClaim ') ? `${namespace} ${key}` : key;
}

/** Returns whether two keys are of the same directory, or of one that is inside the other. */
function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

/** The Lease is not renewed: while the Pod exists, a step may be working in the directory. */
const LEASE_MS = 1_000;

/** Returns the existing Pod that has the directory; undefined if `pod` has it now. */
async function claimLease(
  store: LeaseStore,
  pod: string,
  exists: (pod: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (;;) {
    const record = (await store.read()) ?? createRecord(LEASE_MS);
    const { holder, epoch } = record;
    if (holder !== '' && holder !== pod && (await exists(holder))) return holder;
    const written = await store.write({ ...record, holder: pod, epoch: epoch + 1 });
    if (written.kind !== 'conflict') return undefined;
  }
}

async function releaseLease(store: LeaseStore, pod: string): Promise<void> {
  const record = await store.read();
  if (record?.holder === pod) await store.delete(record);
}

function refuse({ volume }: Directory, holder: string): Refusal {
  const message = `Pod ${holder} works in the same directory of volume "${volume}", or above or below it, and two Pods would mix their files: wait until its build has ended, or delete it; better, put checkout.path and the directory above it in an emptyDir`;
  return { kind: 'failed', message };
}

const POLL_MS = 500;

/** Returns whether a Pod exists and runs. Waits for one that is being deleted. */
async function isThere(
  client: KubeClient,
  target: Parameters<typeof listPod>[1],
  onWaiting: OpenWorkspaceOptions['onWaiting'],
): Promise<boolean> {
  for (;;) {
    const { pod } = await listPod(client, target);
    if (pod === undefined || pod.phase === 'Succeeded' || pod.phase === 'Failed') return false;
    if (!pod.isDeleting) return true;
    onWaiting(`Pod ${pod.name}, which has the same directory, is being deleted`);
    await sleep(POLL_MS, undefined, { signal: target.signal });
  }
}
