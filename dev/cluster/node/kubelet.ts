import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';

import type { EventObject, Pod } from '../objects.ts';
import { toTimestamp } from '../objects.ts';
import type { Store } from '../store.ts';
import type { ContainerRunner } from './container-runner.ts';
import type { ImageOracle } from './images.ts';
import { condition, type Verdict } from './pod-status.ts';
import { type PodWorker, startPodWorker, toBoundPod, type WorkerContext, type WorkerEvent } from './pod-worker.ts';
import type { Tools } from './tools.ts';

/** The one node, with the labels a nodeSelector can match. */
const NODE_NAME = 'embedded';
const NODE_LABELS: Readonly<Record<string, string>> = {
  'kubernetes.io/hostname': NODE_NAME,
  'kubernetes.io/os': 'linux',
  'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
};

export interface KubeletOptions {
  readonly store: Store;
  readonly tools: Tools;
  readonly directory: string;
  readonly rootScript: string;
  readonly imageExists: ImageOracle;
  readonly backoffMs: number;
}

/** The scheduler and the kubelet of the only node. */
export interface Kubelet {
  /** Schedules and starts a new Pod. */
  admit(pod: Pod): void;
  /** Starts the graceful end; the object is deleted after the containers have ended. */
  terminate(pod: Pod, graceMs: number): void;
  runner(pod: Pod, container: string): ContainerRunner | undefined;
  fail(pod: Pod, verdict: Verdict): Promise<void>;
  /** Stops scheduling Pods, with this message of the scheduler; undefined schedules again, also the waiting ones. */
  refuseScheduling(message: string | undefined): void;
  /** Whether the node is disconnected from the API server. */
  readonly isSilent: boolean;
  /** Disconnects the node from the API server; containers keep running. */
  silence(): void;
  /** Connects the node again; it catches up with the changes. */
  unsilence(): void;
  /** Holds or releases all updates of Pod statuses. Events are still written. */
  holdStatuses(isHeld: boolean): void;
  close(): Promise<void>;
}

export function createKubelet(options: KubeletOptions): Kubelet {
  const { store } = options;
  const workers = new Map<string, PodWorker>();
  const ending = new Set<Promise<void>>();
  let refusal: string | undefined;
  let isClosed = false;
  const sight = createSight(workers);

  function current(pod: Pod): Pod | undefined {
    const found = store.get('pods', pod.metadata.namespace, pod.metadata.name);
    return found?.metadata.uid === pod.metadata.uid ? found : undefined;
  }

  function schedule(pod: Pod): void {
    const why = refusal ?? (sight.isNodeSilent() ? UNREACHABLE : findMisfit(pod));
    if (why !== undefined) return markUnschedulable(store, pod, why);
    const worker = bindPod(pod, options, { ...sight, read: () => current(pod) });
    workers.set(pod.metadata.uid, worker);
  }

  async function finish(pod: Pod, graceMs: number): Promise<void> {
    await sight.silenceOver();
    await workers.get(pod.metadata.uid)?.stop(graceMs);
    workers.delete(pod.metadata.uid);
    if (current(pod)) store.remove('pods', pod.metadata.namespace, pod.metadata.name);
  }

  function scheduleAgain(): void {
    for (const pod of store.list('pods')) {
      if (pod.spec.nodeName === undefined) schedule(pod);
    }
  }

  return {
    get isSilent() {
      return sight.isNodeSilent();
    },
    silence: sight.silence,
    unsilence: () => {
      if (sight.unsilence()) scheduleAgain();
    },
    holdStatuses: sight.holdStatuses,
    admit: (pod) => {
      // A Pod that names another node waits for that node's kubelet forever.
      if (pod.spec.nodeName === undefined || pod.spec.nodeName === NODE_NAME)
        setImmediate(() => {
          const found = current(pod);
          if (found && !isClosed) schedule(found);
        });
    },
    terminate: (pod, graceMs) => {
      const end = finish(pod, graceMs);
      ending.add(end);
      void end.finally(() => ending.delete(end));
    },
    runner: (pod, container) => workers.get(pod.metadata.uid)?.runner(container),
    fail: async (pod, verdict) => workers.get(pod.metadata.uid)?.fail(verdict),
    refuseScheduling: (message) => {
      refusal = message;
      if (message === undefined) scheduleAgain();
    },
    close: async () => {
      isClosed = true;
      sight.unsilence();
      await Promise.all([...workers.values()].map((worker) => worker.stop(0)));
      await Promise.all(ending);
    },
  };
}

/** The connection between the node and the API server. */
function createSight(workers: ReadonlyMap<string, PodWorker>) {
  let silence: PromiseWithResolvers<void> | undefined;
  let isStatusHeld = false;
  function publishAll(): void {
    for (const worker of workers.values()) worker.publish();
  }
  return {
    isNodeSilent: (): boolean => silence !== undefined,
    isStatusHeld: (): boolean => isStatusHeld,
    silenceOver: async (): Promise<void> => await silence?.promise,
    silence(): void {
      silence ??= Promise.withResolvers<void>();
      publishAll();
    },
    /** Returns false if the node was connected. */
    unsilence(): boolean {
      const wasSilent = silence !== undefined;
      silence?.resolve();
      silence = undefined;
      if (wasSilent) publishAll();
      return wasSilent;
    },
    holdStatuses(isHeld: boolean): void {
      isStatusHeld = isHeld;
      publishAll();
    },
  };
}

const UNREACHABLE = '1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.';

function findMisfit(pod: Pod): string | undefined {
  const wanted = Object.entries(pod.spec.nodeSelector ?? {});
  if (wanted.every(([key, value]) => NODE_LABELS[key] === value)) return undefined;
  return "1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
}

function bindPod(
  pod: Pod,
  options: KubeletOptions,
  sight: Pick<WorkerContext, 'read' | 'isNodeSilent' | 'isStatusHeld'>,
): PodWorker {
  const { store, directory, rootScript } = options;
  const bound = store.put('pods', toBoundPod(pod, NODE_NAME));
  const message = `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${NODE_NAME}`;
  store.put('events', toEvent(pod, { type: 'Normal', reason: 'Scheduled', message }));
  return startPodWorker(bound, {
    ...options,
    ...sight,
    directory: join(directory, 'pods', pod.metadata.uid),
    rootScript,
    write: (next) => void store.put('pods', next),
    onEvent: (subject, event) => void store.put('events', toEvent(subject, event)),
  });
}

function markUnschedulable(store: Store, pod: Pod, why: string): void {
  const message = `0/1 nodes are available: ${why}`;
  const conditions = [condition(pod, 'PodScheduled', { reason: 'Unschedulable', message })];
  store.put('pods', { ...pod, status: { ...pod.status, conditions } });
  store.put('events', toEvent(pod, { type: 'Warning', reason: 'FailedScheduling', message }));
}

function toEvent(pod: Pod, { fieldPath, ...event }: WorkerEvent): EventObject {
  const now = toTimestamp();
  const { namespace, name, uid } = pod.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name: `${name}.${randomBytes(8).toString('hex')}`,
      namespace,
      uid: randomUUID(),
      resourceVersion: '',
      creationTimestamp: now,
    },
    involvedObject: {
      kind: 'Pod',
      namespace,
      name,
      uid,
      apiVersion: 'v1',
      ...(fieldPath === undefined ? {} : { fieldPath }),
    },
    ...event,
    source: {
      component:
        event.reason.endsWith('cheduled') || event.reason === 'FailedScheduling' ? 'default-scheduler' : 'kubelet',
      host: NODE_NAME,
    },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}
