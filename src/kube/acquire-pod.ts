import type { OpenWorkspaceOptions, WorkspaceAnswer, WorkspaceRequest } from '../engine/cluster.ts';
import type { KubeClient } from './client.ts';
import type { ExecClient, ExecLimiter } from './exec.ts';
import type { Lease } from './leases/lease.ts';
import type { Leases } from './leases/leases.ts';
import type { PodPlan } from './pod.ts';
import type { PodEvents } from './pod-events.ts';
import type { PodReaper } from './pod-reaper.ts';
import { startPod } from './start-pod.ts';
import { listPod, type PodSnapshot } from './watch.ts';
import { createWorkspace } from './workspace.ts';

/** What all builds of a cluster share. */
export interface ClusterContext {
  /** A random id that this process chose for this cluster. */
  readonly clusterId: string;
  readonly client: KubeClient;
  readonly events: PodEvents;
  readonly execs: ExecClient;
  readonly execLimiter: ExecLimiter;
  readonly leases: Leases;
  readonly reaper: PodReaper;
  /** Default: {@link SILENT_NODE_MS}. */
  readonly silentNodeMs: number | undefined;
  /** Aborted when the cluster is closed. */
  readonly closing: AbortSignal;
}

/** A build that holds the lock of its Pod in this process. */
export interface LockedBuild {
  readonly request: WorkspaceRequest;
  readonly plan: PodPlan;
  /** Releases the lock. */
  readonly unlock: () => void;
}

/**
 * A restarted kubelet is back in seconds and a node in a minute or two. A new kubelet refuses execs for up to a
 * minute, until its certificate is approved. The cluster itself reports a silent node after 40 s and deletes its Pods
 * after 5 minutes.
 */
const SILENT_NODE_MS = 120_000;

/**
 * Acquires a Pod for a build. It takes the Pod's Lease, so that no other process uses the Pod (`leases/`). It starts
 * or reuses the Pod (`start-pod.ts`). The build then works in it (`workspace.ts`). `release` keeps the Pod warm or
 * deletes it (`pod-reaper.ts`) and releases the lock. If there is no workspace, the caller releases the lock.
 */
export async function acquirePod(
  context: ClusterContext,
  build: LockedBuild,
  options: OpenWorkspaceOptions,
): Promise<WorkspaceAnswer> {
  const { client, leases, reaper } = context;
  const { request, plan } = build;
  reaper.cancel(plan);
  // List the Pod while the Lease is requested, so that a warm Pod costs the time of one answer.
  const listing = listPod(client, { ...plan, signal: options.signal }).catch(() => undefined);
  const answer = await leases.acquire({ plan, build: request.buildId, isResumed: request.isResumed }, options);
  if (answer.kind !== 'held') return answer;
  const { lease } = answer;
  const listed = await listing;
  // If another c3 could have deleted the Pod since it was listed, it must be listed again.
  const snapshot = lease.isUndisputed || !listed?.pod ? listed : undefined;
  let workspace: WorkspaceAnswer | undefined;
  try {
    workspace = await openPod(context, { ...build, lease, snapshot }, options);
  } finally {
    // The record of a resumed build is kept, so that it does not begin again if it is resumed once more.
    if (workspace?.kind !== 'ready') await (request.isResumed ? lease.release() : lease.remove());
  }
  return workspace;
}

interface LeasedBuild extends LockedBuild {
  readonly lease: Lease;
  readonly snapshot: PodSnapshot | undefined;
}

async function openPod(
  context: ClusterContext,
  build: LeasedBuild,
  options: OpenWorkspaceOptions,
): Promise<WorkspaceAnswer> {
  const { client, events, execs, execLimiter: limiter, reaper, closing, silentNodeMs = SILENT_NODE_MS } = context;
  const { request, plan, lease, snapshot } = build;
  const { neededMs, idleMs } = request;
  const isUnfit = (uid: string): boolean => uid === lease.unfitPod || reaper.isUnfit(plan, uid);
  const started = await startPod({ client, events, plan, neededMs, options, lease, snapshot, isUnfit });
  if (started.kind !== 'ready') return started;
  const { uid } = started.pod;
  await lease.recordPod(uid);
  stopWith(closing, started.stop);
  void reaper.sweep(plan, { idleMs, isWarm: started.isWarm });
  const giveBack = async ({ isClean }: { readonly isClean: boolean }): Promise<void> =>
    await giveBackPod(context, build, { uid, isClean });
  const { namespace } = plan;
  const key = toWorkspaceKey(context, build, uid);
  const workspace = createWorkspace(started, { key, namespace, execs, limiter, lease, silentNodeMs, giveBack });
  return { kind: 'ready', workspace };
}

/**
 * A hostile API server can report any UID, so it is not enough (threat model A3). The Pod's name is not enough
 * because it contains a hash.
 */
function toWorkspaceKey({ clusterId }: ClusterContext, { request, plan }: LockedBuild, uid: string): string {
  return JSON.stringify([clusterId, request.scope, request.trustClass, plan.namespace, plan.name, uid]);
}

/**
 * Ends the watch of a Pod when the cluster is closed. `release` may end it earlier. The option `signal` of
 * `addEventListener` is not used: Node may lose the handler that removes such a listener, and would keep each build
 * in memory.
 */
function stopWith(closing: AbortSignal, stop: AbortController): void {
  const abort = (): void => stop.abort();
  closing.addEventListener('abort', abort, { once: true });
  stop.signal.addEventListener('abort', () => closing.removeEventListener('abort', abort), { once: true });
}

/** Keeps the Pod warm or deletes it, and releases the lock. If another c3 has taken over the Pod, it does neither. */
async function giveBackPod(
  { reaper }: ClusterContext,
  { request, plan, lease, unlock }: LeasedBuild,
  { uid, isClean }: { readonly uid: string; readonly isClean: boolean },
): Promise<void> {
  if (isClean && request.reuse) {
    await lease.release();
    if (!lease.isLost) reaper.schedule(plan, { uid, idleMs: request.idleMs });
  } else if (await lease.confirm()) {
    const isGone = await reaper.deleteNow(plan, uid);
    await (isGone ? lease.remove() : lease.release(uid));
  }
  unlock();
}
