import { setTimeout as sleep } from 'node:timers/promises';
import { toMessage } from '../errors.ts';
import { LruMap, type KeyedSemaphore } from '../limiter.ts';
import type { KubeClient } from './client.ts';
import { listLeases, toPodKey, type LeaseRef } from './leases/lease-record.ts';
import type { Leases } from './leases/leases.ts';
import { isFormerJob, toScopeLabels, type PodPlan } from './pod.ts';
import { toPodsPath } from './watch.ts';

/** Deletes Pods that no build uses any more. */
export interface PodReaper {
  /** Warm Pods whose idle time is running. */
  readonly count: number;
  /** Returns whether a build left the Pod unclean and c3 could not delete it at once. */
  isUnfit(plan: PodPlan, uid: string): boolean;
  /** Cancels the deletion of a warm Pod, because a build uses it. */
  cancel(plan: PodPlan): void;
  /** Deletes the Pod if no build has used it for `idleMs`. */
  schedule(plan: PodPlan, life: { readonly uid: string; readonly idleMs: number }): void;
  /**
   * Deletes the idle Pods of the plan's repository, because there is no room for its Pod. Returns whether there was one.
   * Never throws.
   */
  makeRoom(plan: PodPlan): Promise<boolean>;
  /** Deletes the Pod now. Returns whether it is gone or is being deleted. */
  deleteNow(plan: PodPlan, uid: string): Promise<boolean>;
  /**
   * Deletes forgotten Pods of the plan's repository: those that no build has used for `idleMs`, because their c3 died
   * or their kubeconfig is no longer used, and those of this job before it was changed. Runs once for each
   * repository, and whenever a Pod was created. Never throws: the next run does what this one could not do.
   */
  sweep(plan: PodPlan, state: { readonly idleMs: number; readonly isWarm: boolean }): Promise<void>;
}

/** The longest time that `setTimeout` accepts, 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Warm Pods of one cluster (threat model A12). A forgotten one lives until the next sweep or its age limit. */
const MAX_WARM = 200;
/** Unfit Pods and swept repositories of one cluster. A forgotten one costs a request or two. */
const MAX_KNOWN = 500;
/**
 * The idle time of Pods of a changed job. It is not 0: two branches may differ in the job, and both want their Pod
 * warm.
 */
const FORMER_IDLE_MS = 5 * 60_000;
/**
 * Nothing in a deleted Pod is worth waiting for. 0 would be a forced deletion, which leaves the containers running.
 */
const GRACE_SECONDS = 1;

interface PodReaperContext {
  readonly client: KubeClient;
  readonly leases: Leases;
  /** Held by the build that uses a Pod. */
  readonly podLocks: KeyedSemaphore;
  /** Ends all timers. */
  readonly signal: AbortSignal;
}

type SeenLease = Parameters<Leases['claimUnused']>[1];

export function createPodReaper({ client, leases, podLocks, signal }: PodReaperContext): PodReaper {
  const timers = new LruMap<string, NodeJS.Timeout>(MAX_WARM);
  /** The UID of a Pod that a build left unclean and that could not be deleted at once, by key. */
  const unfit = new LruMap<string, string>(MAX_KNOWN);
  const swept = new LruMap<string, true>(MAX_KNOWN);
  /** One sweep at a time: a slow cluster must not collect many of them. */
  let isSweeping = false;

  /** Deletes a Pod that no build uses or waits for. */
  async function deleteUnused(ref: LeaseRef, uid: string | undefined, seen?: SeenLease): Promise<boolean> {
    const lease = await leases.claimUnused(ref, seen);
    if (!lease) return false;
    const isGone = (await deletePod(client, { ...ref, uid })) === undefined;
    await (isGone ? lease.remove() : lease.release());
    return isGone;
  }
  function cancel(ref: Pick<LeaseRef, 'namespace' | 'name'>): void {
    clearTimeout(timers.get(toPodKey(ref)));
    timers.delete(toPodKey(ref));
  }
  function deleteIdle(ref: LeaseRef, uid: string): void {
    const key = toPodKey(ref);
    timers.delete(key);
    if (podLocks.isHeld(key)) return;
    // With the lock, so that no build uses the Pod during the deletion. A failure is left to the next sweep and to
    // the age limit.
    podLocks.run(key, async () => await deleteUnused(ref, uid), signal).catch(() => undefined);
  }
  async function deleteForgotten(plan: PodPlan, idleMs: number): Promise<void> {
    const forgotten = (await findOthers(client, plan)).filter((one) => isForgotten(one, plan, idleMs));
    // The times in a Lease are from other clocks. Only a Lease that does not change while c3 waits has no holder.
    if (forgotten.length > 0) await sleep(leases.leaseMs, undefined, { signal, ref: false });
    for (const one of forgotten) await deleteUnused(one.ref, lastPod(one), { ...one, agoMs: leases.leaseMs });
  }
  signal.addEventListener('abort', () => {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  });
  return {
    get count(): number {
      return timers.size;
    },
    isUnfit: (plan, uid) => unfit.get(toPodKey(plan)) === uid,
    cancel,
    schedule(plan, { uid, idleMs }) {
      if (signal.aborted) return;
      // The plan itself would keep the whole job in memory.
      const ref: LeaseRef = { namespace: plan.namespace, name: plan.name, labels: plan.labels };
      // A warm Pod does not keep the process alive: its age limit ends it.
      const timer = setTimeout(deleteIdle, Math.min(idleMs, MAX_TIMER_MS), ref, uid).unref();
      clearTimeout(timers.set(toPodKey(plan), timer));
    },
    async makeRoom(plan) {
      const others = await findOthers(client, plan).catch(() => []);
      const idle = others.filter(({ ref, record }) => record.holder === '' && !podLocks.isHeld(toPodKey(ref)));
      const deletions = idle.map(async (one) => {
        cancel(one.ref);
        return await deleteUnused(one.ref, lastPod(one), { ...one, agoMs: 0 }).catch(() => false);
      });
      return (await Promise.all(deletions)).some(Boolean);
    },
    async deleteNow(plan, uid) {
      const isGone = (await deletePod(client, { ...plan, uid })) === undefined;
      if (isGone) unfit.delete(toPodKey(plan));
      else unfit.set(toPodKey(plan), uid);
      return isGone;
    },
    async sweep(plan, { idleMs, isWarm }) {
      const scope = JSON.stringify([plan.namespace, toScopeLabels(plan)]);
      if (isSweeping || (isWarm && swept.has(scope))) return;
      isSweeping = true;
      swept.set(scope, true);
      await deleteForgotten(plan, idleMs).catch(() => undefined);
      isSweeping = false;
    },
  };
}

type FoundLeases = Awaited<ReturnType<typeof listLeases>>;

/** Returns the UID of the Pod in which the last build began. */
function lastPod({ record }: FoundLeases[number]): string | undefined {
  return record.builds.at(-1)?.pod || undefined;
}

/** Finds the other Leases of the plan's repository. */
async function findOthers(client: KubeClient, plan: PodPlan): Promise<FoundLeases> {
  const found = await listLeases(client, { namespace: plan.namespace, labels: toScopeLabels(plan) });
  return found.filter(({ ref }) => ref.name !== plan.name);
}

/** Returns whether nobody has renewed a Lease for too long. */
function isForgotten({ ref, record }: FoundLeases[number], plan: PodPlan, idleMs: number): boolean {
  const limitMs = isFormerJob(ref.labels, plan) ? Math.min(idleMs, FORMER_IDLE_MS) : idleMs;
  return Date.now() - record.renewedAt > limitMs;
}

/**
 * Deletes the Pod with this UID, and not a new Pod with the same name. Without a UID it deletes the Pod with the
 * name. Returns undefined when the Pod is gone or is being deleted, else a sentence. Never throws.
 */
export async function deletePod(
  client: KubeClient,
  pod: { namespace: string; name: string; uid: string | undefined; graceSeconds?: number },
): Promise<string | undefined> {
  const { namespace, name, uid, graceSeconds: gracePeriodSeconds = GRACE_SECONDS } = pod;
  const preconditions = uid === undefined ? {} : { preconditions: { uid } };
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds, ...preconditions };
  try {
    const path = `${toPodsPath(namespace)}/${encodeURIComponent(name)}`;
    const answer = await client.request({ method: 'DELETE', path, body });
    // 409: another Pod has the name now.
    if (answer.kind === 'ok' || answer.code === 404 || answer.code === 409) return undefined;
    return `The cluster refused to delete Pod ${name}: ${answer.message}`;
  } catch (error) {
    return `Pod ${name} could not be deleted: ${toMessage(error)}`;
  }
}
