import { randomBytes } from 'node:crypto';
import { toMessage } from '../errors.ts';
import type { Cluster, OpenOptions, WorkspaceAnswer, WorkspaceOrder } from '../engine/cluster.ts';
import { createClient } from './client.ts';
import type { KubeClient } from './client.ts';
import { createExecClient } from './exec.ts';
import type { ExecLimits } from './exec.ts';
import { createGate } from './gate.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { planPod } from './pod.ts';
import type { PodPlan } from './pod.ts';
import { deletePod, startPod } from './pod-start.ts';
import { createTurns } from './turns.ts';
import type { Turns } from './turns.ts';
import { createWorkspace } from './workspace.ts';

export interface KubernetesCluster extends Cluster {
  /** Whether a build is in it or waits for it, or a warm Pod's idle time still runs. */
  readonly isBusy: boolean;
  /** Whether a build is in it or waits for it. */
  readonly hasBuilds: boolean;
}

/**
 * Measured with containerd 1.6 on two cores, 40 execs of a short program: 1.7 s when 8, 12 or 16 are being started at a time,
 * 12 s with 24, 33 s with 40.
 */
const MAX_OPENING_EXECS = 12;
/** `setTimeout` takes no more, 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A {@link Cluster} of Pods behind one API server. Queue, idle times and what is known of unfit Pods live in this process. */
export function createKubernetesCluster(
  access: ClusterAccess,
  execLimits: Partial<ExecLimits> = {},
): KubernetesCluster {
  const client = createClient(access);
  const execs = createExecClient(access, execLimits);
  const openings = createGate(MAX_OPENING_EXECS);
  const turns = createTurns();
  const closing = new AbortController();
  const keeper = createKeeper(client, { turns, signal: closing.signal });

  async function openInTurn(
    { order, plan, leave }: { order: WorkspaceOrder; plan: PodPlan; leave: () => void },
    options: OpenOptions,
  ): Promise<WorkspaceAnswer> {
    keeper.take(plan);
    const started = await startPod({ client, plan, order, options, isUnfit: (uid) => keeper.isUnfit(plan, uid) });
    if (started.kind !== 'ready') return started;
    const { uid } = started.pod;
    // Ends the watch with the cluster; a build ends it through `release`.
    closing.signal.addEventListener('abort', () => started.stop.abort(), { signal: started.stop.signal });
    async function giveBack({ isClean }: { readonly isClean: boolean }): Promise<void> {
      if (isClean && order.reuse) keeper.keep(plan, { uid, idleMs: order.idleMs });
      else await keeper.discard(plan, uid);
      leave();
    }
    return {
      kind: 'ready',
      workspace: createWorkspace(started, { namespace: plan.namespace, execs, openings, giveBack }),
    };
  }

  return {
    get isBusy() {
      return turns.count + keeper.count > 0;
    },
    get hasBuilds() {
      return turns.count > 0;
    },
    async openWorkspace(order, options) {
      const suffix = order.reuse ? {} : { suffix: randomBytes(3).toString('hex') };
      const plan = planPod(order, { namespace: access.namespace, ...suffix });
      if (turns.isTaken(toKey(plan))) options.onWaiting('another build of this repository has the Pod');
      const signal = AbortSignal.any([options.signal, closing.signal]);
      const leave = await turns.enter(toKey(plan), signal);
      if (!leave) return { kind: 'aborted' };
      let answer: WorkspaceAnswer | undefined;
      try {
        answer = await openInTurn({ order, plan, leave }, { ...options, signal });
      } catch (error) {
        answer = { kind: 'failed', message: toMessage(error) };
      } finally {
        if (answer?.kind !== 'ready') leave();
      }
      return answer;
    },
    async close() {
      closing.abort();
      execs.close();
      await client.close();
    },
  };
}

/** Looks after Pods between builds: deletes the warm ones when their idle time is over, and knows the unfit ones. */
function createKeeper(client: KubeClient, { turns, signal }: { turns: Turns; signal: AbortSignal }) {
  const timers = new Map<string, NodeJS.Timeout>();
  /** By key, the UID of the Pod that a build left unclean and that could not be deleted at once. */
  const unfit = new Map<string, string>();

  async function deleteIdle(plan: PodPlan, uid: string): Promise<void> {
    const key = toKey(plan);
    timers.delete(key);
    if (turns.isTaken(key)) return;
    // In turn, so that no build takes the Pod while it is being deleted.
    const leave = await turns.enter(key, signal);
    await deletePod(client, { ...plan, uid });
    leave?.();
  }
  signal.addEventListener('abort', () => {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  });

  return {
    get count(): number {
      return timers.size;
    },
    isUnfit: (plan: PodPlan, uid: string): boolean => unfit.get(toKey(plan)) === uid,
    take(plan: PodPlan): void {
      clearTimeout(timers.get(toKey(plan)));
      timers.delete(toKey(plan));
    },
    keep(plan: PodPlan, { uid, idleMs }: { uid: string; idleMs: number }): void {
      if (signal.aborted) return;
      const timer = setTimeout(() => void deleteIdle(plan, uid), Math.min(idleMs, MAX_TIMER_MS));
      // A warm Pod is no reason to keep the process: its age limit ends it without us.
      timer.unref();
      timers.set(toKey(plan), timer);
    },
    async discard(plan: PodPlan, uid: string): Promise<void> {
      if ((await deletePod(client, { ...plan, uid })) === undefined) unfit.delete(toKey(plan));
      else unfit.set(toKey(plan), uid);
    },
  };
}

function toKey(plan: PodPlan): string {
  return `${plan.namespace}/${plan.name}`;
}
