import { randomUUID } from 'node:crypto';
import { toMessage } from '../errors.ts';
import type { Cluster, WorkspaceAnswer } from '../engine/cluster.ts';
import { createClient } from './client.ts';
import { createExecClient } from './exec.ts';
import type { ExecLimits } from './exec.ts';
import { createGate } from './gate.ts';
import { createPacedGate } from './paced-gate.ts';
import { createKeeper } from './pod-reaper.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { toKey } from './leases/lease-store.ts';
import { createLeases } from './leases/leases.ts';
import type { LeaseLimits } from './leases/leases.ts';
import { lookAtPod } from './look.ts';
import { planBuildPod } from './pod.ts';
import { createPodEvents } from './pod-events.ts';
import { createTurns } from './turns.ts';
import { visitPod } from './acquire-pod.ts';
import type { VisitDependencies } from './acquire-pod.ts';

export interface KubernetesCluster extends Cluster {
  /** Whether a build is in it or waits for it, a warm Pod's idle time still runs, or somebody looks at a Pod. */
  readonly isBusy: boolean;
  /** Whether a build is in it or waits for it. */
  readonly hasBuilds: boolean;
}

/** In place of the defaults of `exec.ts`, `exec-session.ts` and `leases/leases.ts`. */
export interface ClusterLimits extends Partial<ExecLimits>, Partial<LeaseLimits> {
  /** In place of the default of `visit.ts`. */
  readonly silentNodeMs?: number;
}

/**
 * Measured with containerd 1.6 on two cores, 40 execs of a short program: 1.7 s when 8, 12 or 16 are being started at a time,
 * 12 s with 24, 33 s with 40.
 */
const MAX_OPENING_EXECS = 12;

/** Each costs some milliseconds of this process, which a cluster that cuts them all could have again and again. */
const OPENING_PACE = { burst: 300, perSecond: 25 };

/** A {@link Cluster} of Pods behind one API server. The story of a Pod is in `visit.ts`; here is whose turn it is in this process. */
export function createKubernetesCluster(access: ClusterAccess, limits: ClusterLimits = {}): KubernetesCluster {
  const client = createClient(access);
  const execs = createExecClient(access, limits);
  const openings = createPacedGate(createGate(MAX_OPENING_EXECS), OPENING_PACE);
  const turns = createTurns();
  const closing = new AbortController();
  const leases = createLeases(client, limits);
  const looks = new Set<object>();
  const keeper = createKeeper({ client, leases, turns, signal: closing.signal });

  const shared: VisitDependencies = {
    clusterId: randomUUID(),
    client,
    events: createPodEvents(client),
    execs,
    openings,
    leases,
    keeper,
    silentNodeMs: limits.silentNodeMs,
    closing: closing.signal,
  };

  return {
    get isBusy() {
      return turns.count + keeper.count + looks.size > 0;
    },
    get hasBuilds() {
      return turns.count > 0;
    },
    async openWorkspace(order, options) {
      const plan = planBuildPod(order, access.namespace);
      if (turns.isTaken(toKey(plan))) options.onWaiting('another build of this repository has the Pod');
      const signal = AbortSignal.any([options.signal, closing.signal]);
      const leave = await turns.enter(toKey(plan), signal);
      if (!leave) return { kind: 'aborted' };
      let answer: WorkspaceAnswer | undefined;
      try {
        answer = await visitPod(shared, { order, plan, leave }, { ...options, signal });
      } catch (error) {
        answer = { kind: 'failed', message: toMessage(error) };
      } finally {
        if (answer?.kind !== 'ready') leave();
      }
      return answer;
    },
    async findWorkspace(order, { signal }) {
      const plan = planBuildPod(order, access.namespace);
      return await lookAtPod({ ...shared, looks }, plan, signal);
    },
    async close() {
      closing.abort();
      execs.close();
      await client.close();
    },
  };
}
