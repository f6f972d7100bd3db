import { randomUUID } from 'node:crypto';
import { toMessage } from '../errors.ts';
import type { Cluster, OpenWorkspaceOptions, WorkspaceAnswer, WorkspaceRequest } from '../engine/cluster.ts';
import { KeyedSemaphore } from '../limiter.ts';
import type { Pod } from './api-types.ts';
import { createClient, type KubeClient } from './client.ts';
import { createExecClient, createPodExec, ExecLimiter, type ExecLimits } from './exec.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import type { Lease } from './leases/lease.ts';
import { toPodKey } from './leases/lease-record.ts';
import { createLeases, type LeaseLimits } from './leases/leases.ts';
import { isPlanned, planBuildPod, type PodPlan } from './pod.ts';
import { createPodEvents } from './pod-events.ts';
import { fail, type StartFailure } from './pod-health.ts';
import { createPodReaper } from './pod-reaper.ts';
import { createDirectoryClaims, type DirectoryClaim } from './shared-directory.ts';
import { startPod } from './start-pod.ts';
import { listPod, watchPod, type PodSnapshot } from './watch.ts';
import { createWorkspace } from './workspace.ts';

export interface KubernetesCluster extends Cluster {
  /** Whether it has builds, a warm Pod whose idle time is running, or a Pod that somebody reads. */
  readonly isBusy: boolean;
  /** Whether a build uses it or waits for it. */
  readonly hasBuilds: boolean;
}

/** Replaces defaults of `exec.ts`, `exec-session.ts` and `leases/leases.ts`. */
export interface ClusterLimits extends Partial<ExecLimits>, Partial<LeaseLimits> {
  /** Default: {@link SILENT_NODE_MS}. */
  readonly silentNodeMs?: number;
}

/**
 * A restarted kubelet is back in seconds and a node in a minute or two. A new kubelet refuses execs for up to a
 * minute, until its certificate is approved. The cluster itself reports a silent node after 40 s and deletes its Pods
 * after 5 minutes.
 */
const SILENT_NODE_MS = 120_000;

/**
 * Creates a {@link Cluster} of Pods behind one API server. Builds of this process that need the same Pod wait for
 * each other.
 */
export function createKubernetesCluster(access: ClusterAccess, limits: ClusterLimits = {}): KubernetesCluster {
  const context = createContext(access, limits);
  const { podLocks, reaper, closing, found } = context;
  return {
    get isBusy() {
      return podLocks.size + reaper.count + found.size > 0;
    },
    get hasBuilds() {
      return podLocks.size > 0;
    },
    async openWorkspace(request, options) {
      const answer = await openLocked(context, request, options);
      if (answer.kind !== 'failed' || answer.isStuck !== true || !request.reuse) return answer;
      options.onWaiting(`${answer.message}; using another Pod`);
      // With the name of a Pod for this build alone.
      return await openLocked(context, { ...request, reuse: false }, options);
    },
    async findWorkspace(query, { signal }) {
      const found = await findPodFor(context, planBuildPod(query, access.namespace), signal);
      if (found.kind !== 'gone' || !query.reuse) return found;
      const own = await findPodFor(context, planBuildPod({ ...query, reuse: false }, access.namespace), signal);
      return own.kind === 'found' ? own : found;
    },
    async close() {
      closing.abort();
      context.execs.close();
      await context.client.close();
    },
  };
}

type Context = ReturnType<typeof createContext>;

/** Opens a workspace with the lock of its Pod, which the workspace keeps. */
async function openLocked(
  context: Context,
  request: WorkspaceRequest,
  options: OpenWorkspaceOptions,
): Promise<WorkspaceAnswer & Pick<StartFailure, 'isStuck'>> {
  const { podLocks, closing } = context;
  const plan = planBuildPod(request, context.client.access.namespace);
  const key = toPodKey(plan);
  if (podLocks.isHeld(key)) options.onWaiting('another build of this repository has the Pod');
  const signal = AbortSignal.any([options.signal, closing.signal]);
  const unlock = await podLocks.acquire(key, signal).catch(() => undefined);
  if (!unlock) return { kind: 'aborted' };
  const opening = acquirePod(context, { request, plan, unlock }, { ...options, signal });
  const answer = await opening.catch((error: unknown): WorkspaceAnswer =>
    signal.aborted ? { kind: 'aborted' } : fail(toMessage(error)),
  );
  if (answer.kind !== 'ready') unlock();
  return answer;
}

/** Creates what all builds of a cluster share. */
function createContext(access: ClusterAccess, limits: ClusterLimits) {
  const client = createClient(access);
  const podLocks = new KeyedSemaphore(1);
  const closing = new AbortController();
  const leases = createLeases(client, limits);
  return {
    /** A random id that this process chose for this cluster. */
    clusterId: randomUUID(),
    client,
    events: createPodEvents(client),
    execs: createExecClient(access, { ...limits, budget: client.budget }),
    limiter: new ExecLimiter(),
    leases,
    directories: createDirectoryClaims(client),
    podLocks,
    reaper: createPodReaper({ client, leases, podLocks, signal: closing.signal }),
    silentNodeMs: limits.silentNodeMs ?? SILENT_NODE_MS,
    /** Found workspaces that are open. While there is one, the connections are in use. */
    found: new Set<object>(),
    /** Aborted when the cluster is closed. */
    closing,
  };
}

/** A build that holds the lock of its Pod in this process. */
interface LockedBuild {
  readonly request: WorkspaceRequest;
  readonly plan: PodPlan;
  /** Releases the lock. */
  readonly unlock: () => void;
}

/**
 * Acquires a Pod for a build. It takes the Pod's Lease, so that no other process uses the Pod (`leases/`). It starts
 * or reuses the Pod (`start-pod.ts`). The build then works in it (`workspace.ts`). `release` keeps the Pod warm or
 * deletes it (`pod-reaper.ts`) and releases the lock. If there is no workspace, the caller releases the lock.
 */
async function acquirePod(
  context: Context,
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

async function openPod(context: Context, build: LeasedBuild, options: OpenWorkspaceOptions): Promise<WorkspaceAnswer> {
  const { request, plan } = build;
  const claim = await context.directories.claim(plan, request.directories ?? [], options);
  if (claim.kind === 'failed') return claim;
  let answer: WorkspaceAnswer | undefined;
  try {
    answer = await openClaimed(context, { ...build, claim }, options);
  } finally {
    if (answer?.kind !== 'ready') await claim.release({ isClean: true });
  }
  return answer;
}

async function openClaimed(
  context: Context,
  build: LeasedBuild & { readonly claim: DirectoryClaim },
  options: OpenWorkspaceOptions,
): Promise<WorkspaceAnswer> {
  const { reaper, closing } = context;
  const { request, plan, lease } = build;
  const isUnfit = (uid: string): boolean => uid === lease.unfitPod || reaper.isUnfit(plan, uid);
  const started = await startPod({
    ...context,
    ...build,
    neededMs: request.neededMs,
    options,
    isUnfit,
    makeRoom: async () => await reaper.makeRoom(plan),
  });
  if (started.kind !== 'ready') return started;
  const { pod, stop, isWarm } = started;
  const refusal = isWarm ? undefined : await build.claim.confirm();
  if (refusal) {
    stop.abort();
    await reaper.deleteNow(plan, pod.uid);
    return options.signal.aborted ? { kind: 'aborted' } : refusal;
  }
  await lease.recordPod(pod.uid);
  // The option `signal` of `addEventListener` is not used: Node may lose the handler that removes such a listener, and
  // would keep each build in memory.
  const abort = (): void => stop.abort();
  closing.signal.addEventListener('abort', abort, { once: true });
  stop.signal.addEventListener('abort', () => closing.signal.removeEventListener('abort', abort), { once: true });
  void reaper.sweep(plan, { idleMs: request.idleMs, isWarm });
  const workspace = createWorkspace(started, {
    ...context,
    lease,
    namespace: plan.namespace,
    // A hostile API server can report any UID, so it is not enough (threat model A3). The Pod's name is not enough
    // because it contains a hash.
    key: JSON.stringify([context.clusterId, request.scope, request.owner, plan.namespace, plan.name, pod.uid]),
    async giveBack({ isClean }) {
      await build.claim.release({ isClean });
      await giveBackPod(context, build, { uid: pod.uid, isClean });
    },
  });
  return { kind: 'ready', workspace };
}

/** Keeps the Pod warm or deletes it, and releases the lock. If another c3 has taken over the Pod, it does neither. */
async function giveBackPod(
  { reaper }: Context,
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

/**
 * Finds the Pod of a plan, normally with one request. It ignores the Lease, because it changes nothing in the Pod.
 */
async function findPodFor(context: Context, plan: PodPlan, caller: AbortSignal): ReturnType<Cluster['findWorkspace']> {
  const { client, execs, limiter, closing, found } = context;
  const signal = AbortSignal.any([caller, closing.signal]);
  let pod: Pod | undefined;
  try {
    pod = await findPod(client, { ...plan, signal });
  } catch (error) {
    return fail(signal.aborted ? 'aborted' : toMessage(error));
  }
  const obstacle = findObstacle(pod, plan);
  if (!pod || obstacle !== undefined) return { kind: 'gone', message: `its Pod ${plan.name} ${obstacle}` };
  const stop = new AbortController();
  const exec = createPodExec({ namespace: plan.namespace, pod: pod.name, execs, limiter });
  found.add(stop);
  return {
    kind: 'found',
    workspace: {
      name: pod.name,
      id: pod.uid,
      exec: async (container, argv, rest) =>
        await exec(container, argv, { ...rest, signal: AbortSignal.any([rest.signal, stop.signal, closing.signal]) }),
      close(): void {
        found.delete(stop);
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
function findObstacle(pod: Pod | undefined, plan: PodPlan): string | undefined {
  if (!pod) return 'was deleted, and its logs with it';
  if (!isPlanned(pod, plan)) return 'was replaced by another, and its logs are gone';
  if (pod.phase === 'Pending') return 'has not started';
  return pod.phase === 'Running' ? undefined : 'has ended, and nothing in it can be read any more';
}
