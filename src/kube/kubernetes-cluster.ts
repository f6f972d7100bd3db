import { randomUUID } from 'node:crypto';
import { toMessage } from '../errors.ts';
import type { Cluster, FindAnswer, WorkspaceAnswer } from '../engine/cluster.ts';
import { KeyedSemaphore, type Release } from '../limiter.ts';
import { acquirePod, type ClusterContext } from './acquire-pod.ts';
import type { Pod } from './api-types.ts';
import { createClient, type KubeClient } from './client.ts';
import { createExecClient, createPodExec, ExecLimiter, type ExecLimits } from './exec.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { toPodKey } from './leases/lease-store.ts';
import { createLeases, type LeaseLimits } from './leases/leases.ts';
import { isPlanned, planBuildPod, type PodPlan } from './pod.ts';
import { createPodEvents } from './pod-events.ts';
import { createPodReaper } from './pod-reaper.ts';
import { listPod, watchPod } from './watch.ts';

export interface KubernetesCluster extends Cluster {
  /** Whether it has builds, a warm Pod whose idle time is running, or a Pod that somebody reads. */
  readonly isBusy: boolean;
  /** Whether a build uses it or waits for it. */
  readonly hasBuilds: boolean;
}

/** Replaces defaults of `exec.ts`, `exec-session.ts` and `leases/leases.ts`. */
export interface ClusterLimits extends Partial<ExecLimits>, Partial<LeaseLimits> {
  /** Replaces the default of `acquire-pod.ts`. */
  readonly silentNodeMs?: number;
}

/**
 * Creates a {@link Cluster} of Pods behind one API server. Builds of this process that need the same Pod wait for
 * each other here. `acquire-pod.ts` continues from there.
 */
export function createKubernetesCluster(access: ClusterAccess, limits: ClusterLimits = {}): KubernetesCluster {
  const client = createClient(access);
  const podLocks = new KeyedSemaphore(1);
  const closing = new AbortController();
  const leases = createLeases(client, limits);
  const context: ClusterContext = {
    clusterId: randomUUID(),
    client,
    events: createPodEvents(client),
    execs: createExecClient(access, limits),
    execLimiter: new ExecLimiter(),
    leases,
    reaper: createPodReaper({ client, leases, podLocks, signal: closing.signal }),
    silentNodeMs: limits.silentNodeMs,
    closing: closing.signal,
  };
  /** Found workspaces that are open. While there is one, the connections are in use. */
  const found = new Set<object>();

  return {
    get isBusy() {
      return podLocks.size + context.reaper.count + found.size > 0;
    },
    get hasBuilds() {
      return podLocks.size > 0;
    },
    async openWorkspace(request, options) {
      const plan = planBuildPod(request, access.namespace);
      const key = toPodKey(plan);
      if (podLocks.isHeld(key)) options.onWaiting('another build of this repository has the Pod');
      const signal = AbortSignal.any([options.signal, closing.signal]);
      let unlock: Release;
      try {
        unlock = await podLocks.acquire(key, signal);
      } catch {
        return { kind: 'aborted' };
      }
      let answer: WorkspaceAnswer | undefined;
      try {
        answer = await acquirePod(context, { request, plan, unlock }, { ...options, signal });
      } catch (error) {
        answer = { kind: 'failed', message: toMessage(error) };
      } finally {
        if (answer?.kind !== 'ready') unlock();
      }
      return answer;
    },
    async findWorkspace(query, { signal }) {
      return await findPodOfBuild(context, planBuildPod(query, access.namespace), { signal, found });
    },
    async close() {
      closing.abort();
      context.execs.close();
      await client.close();
    },
  };
}

/**
 * Finds the Pod of a plan, normally with one request. It ignores the Lease, because it changes nothing in the Pod.
 */
async function findPodOfBuild(
  { client, execs, execLimiter: limiter, closing }: ClusterContext,
  plan: PodPlan,
  options: { readonly signal: AbortSignal; readonly found: Set<object> },
): Promise<FindAnswer> {
  const signal = AbortSignal.any([options.signal, closing]);
  let pod: Pod | undefined;
  try {
    pod = await findPod(client, { ...plan, signal });
  } catch (error) {
    return { kind: 'failed', message: signal.aborted ? 'aborted' : toMessage(error) };
  }
  if (!pod) return { kind: 'gone', message: `its Pod ${plan.name} was deleted, and its logs with it` };
  const message = findObstacle(pod, plan);
  if (message !== undefined) return { kind: 'gone', message };
  const stop = new AbortController();
  const exec = createPodExec({ namespace: plan.namespace, pod: pod.name, execs, limiter });
  options.found.add(stop);
  return {
    kind: 'found',
    workspace: {
      name: pod.name,
      id: pod.uid,
      exec: async (container, argv, rest) =>
        await exec(container, argv, { ...rest, signal: AbortSignal.any([rest.signal, stop.signal, closing]) }),
      close(): void {
        options.found.delete(stop);
        stop.abort();
      },
    },
  };
}

/** A node reports once a second, so the status of a Pod in which a build runs may still be "Pending" for a moment. */
const PENDING_MS = 2_000;

async function findPod(client: KubeClient, target: Parameters<typeof listPod>[1]): Promise<Pod | undefined> {
  const from = await listPod(client, target);
  let { pod } = from;
  if (pod?.phase !== 'Pending' || pod.nodeName === '') return pod;
  const signal = AbortSignal.any([target.signal, AbortSignal.timeout(PENDING_MS)]);
  for await (const state of watchPod(client, { ...target, from, signal })) {
    pod = state;
    if (pod?.phase !== 'Pending') break;
  }
  target.signal.throwIfAborted();
  return pod;
}

/**
 * Describes why nothing can be read in a Pod; undefined when something may be. A Pod that is being deleted still
 * answers.
 */
function findObstacle(pod: Pod, plan: PodPlan): string | undefined {
  if (!isPlanned(pod, plan)) return `its Pod ${plan.name} was replaced by another, and its logs are gone`;
  if (pod.phase === 'Pending') return `its Pod ${plan.name} has not started`;
  return pod.phase === 'Running' ? undefined : `its Pod ${plan.name} has ended, and nothing in it can be read any more`;
}
