import type { OpenOptions, WorkspaceAnswer, WorkspaceRequest } from '../engine/cluster.ts';
import type { KubeClient } from './client.ts';
import type { ExecClient } from './exec.ts';
import type { Gate } from './gate.ts';
import type { Keeper } from './pod-reaper.ts';
import type { Lease } from './leases/lease.ts';
import type { Leases } from './leases/leases.ts';
import type { PodPlan } from './pod.ts';
import type { PodEvents } from './pod-events.ts';
import { startPod } from './start-pod.ts';
import { listPod } from './watch.ts';
import type { PodState } from './watch.ts';
import { createWorkspace } from './workspace.ts';

/** What all visits to the Pods of a cluster share. */
export interface VisitDependencies {
  /** Drawn at random by this process, for this cluster alone. */
  readonly clusterId: string;
  readonly client: KubeClient;
  readonly events: PodEvents;
  readonly execs: ExecClient;
  /** Bounds the execs that are being opened. */
  readonly openings: Gate;
  readonly leases: Leases;
  readonly keeper: Keeper;
  /** Default {@link SILENT_NODE_MS}. */
  readonly silentNodeMs: number | undefined;
  /** Aborted: the cluster is closed. */
  readonly closing: AbortSignal;
}

/** A build whose turn it is in this process. */
export interface Visit {
  readonly order: WorkspaceRequest;
  readonly plan: PodPlan;
  /** Ends the turn. */
  readonly leave: () => void;
}

/**
 * A kubelet that restarts is back in seconds, a node in a minute or two, and a fresh one refuses execs for up to a minute, until
 * its certificate is approved. The cluster itself gives a silent node 40 s before it says so and 5 minutes before it deletes its Pods.
 */
const SILENT_NODE_MS = 120_000;

/**
 * The story of a Pod, from one build's view. Its Lease is taken, so that no other process has it (`leases/`); it is started, or
 * reused (`pod-start.ts`); the build works in it (`workspace.ts`); then it is kept warm or deleted (`keeper.ts`). When there is no
 * workspace the caller ends the turn, else `release` does.
 */
export async function visitPod(
  shared: VisitDependencies,
  visit: Visit,
  options: OpenOptions,
): Promise<WorkspaceAnswer> {
  const { client, leases, keeper } = shared;
  const { order, plan } = visit;
  keeper.take(plan);
  // At the same time as the Lease, so that a warm Pod waits for one answer only.
  const looking = listPod(client, { ...plan, signal: options.signal }).catch(() => undefined);
  const answer = await leases.acquire({ plan, build: order.buildId, isResumed: order.isResumed }, options);
  if (answer.kind !== 'held') return answer;
  const { lease } = answer;
  const seen = await looking;
  // A Pod that was seen while another c3 could still delete it is looked at again.
  const early = lease.isUndisputed || !seen?.pod ? seen : undefined;
  let workspace: WorkspaceAnswer | undefined;
  try {
    workspace = await enterPod(shared, { ...visit, lease, early }, options);
  } finally {
    // What is known of a build that was taken up is kept: should it be taken up once more, it must not begin anew.
    if (workspace?.kind !== 'ready') await (order.isResumed ? lease.release() : lease.remove());
  }
  return workspace;
}

interface HeldVisit extends Visit {
  readonly lease: Lease;
  readonly early: PodState | undefined;
}

async function enterPod(shared: VisitDependencies, visit: HeldVisit, options: OpenOptions): Promise<WorkspaceAnswer> {
  const { client, events, execs, openings, keeper, closing, silentNodeMs = SILENT_NODE_MS } = shared;
  const { order, plan, lease, early } = visit;
  const isUnfit = (uid: string): boolean => uid === lease.unfitPod || keeper.isUnfit(plan, uid);
  const started = await startPod({ client, events, plan, order, options, lease, early, isUnfit });
  if (started.kind !== 'ready') return started;
  const { uid } = started.pod;
  await lease.begin(uid);
  endWith(closing, started.stop);
  void keeper.tidyUp(plan, { idleMs: order.idleMs, isWarm: started.isWarm });
  const giveBack = async ({ isClean }: { readonly isClean: boolean }): Promise<void> =>
    await leavePod(shared, visit, { uid, isClean });
  const { namespace } = plan;
  const key = toWorkspaceKey(shared, visit, uid);
  const workspace = createWorkspace(started, { key, namespace, execs, openings, lease, silentNodeMs, giveBack });
  return { kind: 'ready', workspace };
}

/** The UID alone would not do: a hostile API server may tell that of another cluster's Pod. Nor would the name, of which a part is a hash. */
function toWorkspaceKey({ clusterId }: VisitDependencies, { order, plan }: Visit, uid: string): string {
  return JSON.stringify([clusterId, order.scope, order.trustClass, plan.namespace, plan.name, uid]);
}

/**
 * Ends the watch of a Pod with the cluster, unless a build has ended it before, through `release`. Not by the option `signal`: Node may
 * lose the handler by which that takes a listener off, and each build would be kept until then.
 */
function endWith(closing: AbortSignal, stop: AbortController): void {
  const end = (): void => stop.abort();
  closing.addEventListener('abort', end, { once: true });
  stop.signal.addEventListener('abort', () => closing.removeEventListener('abort', end), { once: true });
}

/** What another c3 has by now is not ours to keep or to delete. */
async function leavePod(
  { keeper }: VisitDependencies,
  { order, plan, lease, leave }: HeldVisit,
  { uid, isClean }: { readonly uid: string; readonly isClean: boolean },
): Promise<void> {
  if (isClean && order.reuse) {
    await lease.release();
    if (!lease.isLost) keeper.keep(plan, { uid, idleMs: order.idleMs });
  } else if (await lease.confirm()) {
    const isGone = await keeper.discard(plan, uid);
    await (isGone ? lease.remove() : lease.release(uid));
  }
  leave();
}
