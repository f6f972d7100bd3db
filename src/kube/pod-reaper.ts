import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from './client.ts';
import { keepNewest } from './keep-newest.ts';
import { toRecord } from './leases/lease-record.ts';
import { listLeases, toKey } from './leases/lease-store.ts';
import type { LeasePlace } from './leases/lease-store.ts';
import type { Leases } from './leases/leases.ts';
import { isFormer, toScopeLabels } from './pod.ts';
import type { PodPlan } from './pod.ts';
import { deletePod } from './start-pod.ts';
import type { Turns } from './turns.ts';

/** Looks after Pods between builds. */
export interface Keeper {
  /** Warm Pods whose idle time runs. */
  readonly count: number;
  /** Whether a build left the Pod unclean and it could not be deleted at once. */
  isUnfit(plan: PodPlan, uid: string): boolean;
  /** A build has the Pod: its idle time is over. */
  take(plan: PodPlan): void;
  /** Deletes the Pod when no build has taken it for so long. */
  keep(plan: PodPlan, life: { readonly uid: string; readonly idleMs: number }): void;
  /** Deletes the Pod now; tells whether it is gone or going. */
  discard(plan: PodPlan, uid: string): Promise<boolean>;
  /**
   * Deletes what nobody looks after any more: Pods of the plan's repository that no build has had for `idleMs`, left by a c3 that
   * died or whose kubeconfig is no longer used, and those that were made for this job before it was changed. Once for each
   * repository, and whenever a Pod was made. Never throws: what it cannot do, the next one does.
   */
  tidyUp(plan: PodPlan, state: { readonly idleMs: number; readonly isWarm: boolean }): Promise<void>;
}

/** `setTimeout` takes no more, 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Warm Pods of a cluster whose idle time runs. Those that are forgotten live until the next tidying up, or their age limit. */
const MAX_WARM = 200;
/** What is known of Pods and repositories of a cluster; who is forgotten costs a request or two. */
const MAX_KNOWN = 500;
/** Of a job that was changed. Not at once: two branches may differ in it, and both want their Pod warm. */
const FORMER_IDLE_MS = 5 * 60_000;

export interface KeeperContext {
  readonly client: KubeClient;
  readonly leases: Leases;
  readonly turns: Turns;
  /** Ends all timers. */
  readonly signal: AbortSignal;
}

export function createKeeper({ client, leases, turns, signal }: KeeperContext): Keeper {
  const timers = new Map<string, NodeJS.Timeout>();
  /** By key, the UID of the Pod that a build left unclean and that could not be deleted at once. */
  const unfit = new Map<string, string>();
  const tidied = new Map<string, true>();
  /** One at a time: a cluster that takes its time must not have many of them wait. */
  let isTidying = false;

  async function deleteIdle(place: LeasePlace, uid: string): Promise<void> {
    const key = toKey(place);
    timers.delete(key);
    if (turns.isTaken(key)) return;
    // In turn, so that no build takes the Pod while it is being deleted.
    const leave = await turns.enter(key, signal);
    await deleteClaimed({ client, leases }, { place, uid }).catch(() => undefined); // out of reach: left to the next tidying up, and to its age limit
    leave?.();
  }
  async function deleteForgotten(plan: PodPlan, idleMs: number): Promise<void> {
    const { namespace } = plan;
    const found = await listLeases(client, { namespace, labels: toScopeLabels(plan) });
    const forgotten = found.filter(({ name, labels, renewedAt }) => {
      const limitMs = isFormer(labels, plan) ? Math.min(idleMs, FORMER_IDLE_MS) : idleMs;
      return name !== plan.name && Date.now() - renewedAt > limitMs;
    });
    if (forgotten.length === 0) return;
    // The time that a Lease bears is of another's clock: only what does not change while we wait has no holder.
    await sleep(leases.leaseMs, undefined, { signal, ref: false });
    for (const { name, labels, ...rest } of forgotten) {
      const record = toRecord({ name, labels, ...rest });
      const uid = record.builds.at(-1)?.pod || undefined;
      const seen = { record, agoMs: leases.leaseMs };
      await deleteClaimed({ client, leases }, { place: { namespace, name, labels }, uid, seen });
    }
  }
  signal.addEventListener('abort', () => {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  });

  return {
    get count(): number {
      return timers.size;
    },
    isUnfit: (plan, uid) => unfit.get(toKey(plan)) === uid,
    take(plan) {
      clearTimeout(timers.get(toKey(plan)));
      timers.delete(toKey(plan));
    },
    keep(plan, { uid, idleMs }) {
      if (signal.aborted) return;
      // Not the plan, which has all of the job.
      const place: LeasePlace = { namespace: plan.namespace, name: plan.name, labels: plan.labels };
      const timer = setTimeout(() => void deleteIdle(place, uid), Math.min(idleMs, MAX_TIMER_MS));
      // A warm Pod is no reason to keep the process: its age limit ends it without us.
      timer.unref();
      clearTimeout(keepNewest(timers, [toKey(plan), timer], MAX_WARM));
    },
    async discard(plan, uid) {
      const isGone = (await deletePod(client, { ...plan, uid })) === undefined;
      if (isGone) unfit.delete(toKey(plan));
      else keepNewest(unfit, [toKey(plan), uid], MAX_KNOWN);
      return isGone;
    },
    async tidyUp(plan, { idleMs, isWarm }) {
      const scope = JSON.stringify([plan.namespace, toScopeLabels(plan)]);
      if (isTidying || (isWarm && tidied.has(scope))) return;
      isTidying = true;
      keepNewest(tidied, [scope, true], MAX_KNOWN);
      await deleteForgotten(plan, idleMs).catch(() => undefined);
      isTidying = false;
    },
  };
}

/** Deletes a Pod that nobody has or waits for. */
async function deleteClaimed(
  { client, leases }: Pick<KeeperContext, 'client' | 'leases'>,
  claimed: {
    readonly place: LeasePlace;
    readonly uid: string | undefined;
    readonly seen?: Parameters<Leases['claim']>[1];
  },
): Promise<void> {
  const { place, uid, seen } = claimed;
  const lease = await leases.claim(place, seen);
  if (!lease) return;
  const refusal = await deletePod(client, { ...place, uid });
  await (refusal === undefined ? lease.remove() : lease.release());
}
