import { toList, toPodEvent, type Pod, type PodEvent } from './api-types.ts';
import { RefusedError, type KubeClient, type KubeRefusal } from './client.ts';
import { listAndWatch, QUIET_WATCH_MS, toListFault } from './watch.ts';

/**
 * Follows the Events of starting Pods. They tell why a Pod does not start. A node also sends an Event as soon as a
 * container has started, but it updates the Pod's status up to a second later.
 *
 * Events have no index. For any query the API server reads all Events of the namespace, an hour's worth, which takes
 * 15 to 45 ms per thousand (measured with Kubernetes 1.20). So c3 never asks for past Events. It has one watch, from
 * now on, for each namespace in which Pods start.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go StartedContainer
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet.go plegRelistPeriod,
 *   genericPlegRelistPeriod
 */
export interface PodEvents {
  /**
   * Calls `onEvent` for each new or repeated Event of the Pods with this name, until `signal` is aborted. Resolves
   * when no Event of a Pod that is created from now on can be missed, or after a second if Events are not available.
   * Never rejects.
   */
  follow(
    pod: { readonly namespace: string; readonly name: string },
    options: { readonly onEvent: (event: PodEvent) => void; readonly signal: AbortSignal },
  ): Promise<void>;
}

/** The watch of a namespace. */
interface NamespaceWatch {
  /** By the name of the Pod. */
  readonly followers: Map<string, Set<(event: PodEvent) => void>>;
  readonly stop: AbortController;
  /** Settles when the watch has its first version, or when there is no watch. */
  readonly ready: Promise<void>;
}

/** Events only help, so a start does not wait longer for them. */
const READY_MS = 1_000;

export function createPodEvents(client: KubeClient): PodEvents {
  const watches = new Map<string, NamespaceWatch>();

  function open(namespace: string): NamespaceWatch {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const watch: NamespaceWatch = { followers: new Map(), stop: new AbortController(), ready };
    watches.set(namespace, watch);
    const timer = setTimeout(resolve, READY_MS);
    // Without Events, the status of the Pod is enough.
    void dispatchEvents(client, namespace, { ...watch, onReady: resolve })
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        resolve();
        close(namespace, watch);
      });
    return watch;
  }
  function close(namespace: string, watch: NamespaceWatch): void {
    watch.stop.abort();
    if (watches.get(namespace) === watch) watches.delete(namespace);
  }

  return {
    async follow({ namespace, name }, { onEvent, signal }) {
      if (signal.aborted) return;
      const watch = watches.get(namespace) ?? open(namespace);
      const { followers } = watch;
      const ofPod = followers.get(name) ?? new Set();
      followers.set(name, ofPod.add(onEvent));
      function unfollow(): void {
        ofPod.delete(onEvent);
        if (ofPod.size === 0 && followers.get(name) === ofPod) followers.delete(name);
        if (followers.size === 0) close(namespace, watch);
      }
      signal.addEventListener('abort', unfollow, { once: true });
      await watch.ready;
    },
  };
}

async function dispatchEvents(
  client: KubeClient,
  namespace: string,
  { followers, stop, onReady }: Omit<NamespaceWatch, 'ready'> & { readonly onReady: () => void },
): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
  const { signal } = stop;
  const changes = listAndWatch(client, {
    // Only the version is used, from which the watch starts.
    async list() {
      const answer = await client.request({ method: 'GET', path, query: { limit: '1' }, signal });
      if (answer.kind === 'refused') throw toListFault(answer, toRefusedError);
      return toList(answer.body);
    },
    path,
    fieldSelector: 'involvedObject.kind=Pod',
    toRefusedError,
    silenceMs: QUIET_WATCH_MS,
    signal,
  });
  for await (const change of changes) {
    if (change.kind === 'listed') onReady();
    if (change.kind === 'listed' || (change.type !== 'ADDED' && change.type !== 'MODIFIED')) continue;
    const event = toPodEvent(change.object);
    for (const onEvent of followers.get(event.podName) ?? []) onEvent(event);
  }
}

function toRefusedError(answer: KubeRefusal): RefusedError {
  return new RefusedError(answer.message, answer);
}

/** Tells whether Events show that all containers of a Pod have started. */
export function haveContainersStarted(
  { uid, containerNames }: Pick<Pod, 'uid' | 'containerNames'>,
  events: readonly PodEvent[],
): boolean {
  const started = new Set(
    events.flatMap(({ podUid, reason, fieldPath }) => (podUid === uid && reason === 'Started' ? [fieldPath] : [])),
  );
  return containerNames.length > 0 && containerNames.every((name) => started.has(`spec.containers{${name}}`));
}

/** The latest Events of a Pod that are kept while it starts. */
const MAX_EVENTS = 200;

/** Collects the Events of the Pods of one name while one of them starts. */
export function collectEvents(podEvents: PodEvents, pod: Parameters<PodEvents['follow']>[0]): CollectedEvents {
  const events: PodEvent[] = [];
  const stop = new AbortController();
  let following: Promise<void> | undefined;
  return {
    events,
    async start(onChange) {
      const onEvent = (event: PodEvent): void => {
        events.push(event);
        if (events.length > MAX_EVENTS) events.shift();
        onChange();
      };
      await (following ??= podEvents.follow(pod, { onEvent, signal: stop.signal }));
    },
    stop: () => stop.abort(),
  };
}

export interface CollectedEvents {
  /** Oldest first. They may be about several Pods of the name. */
  readonly events: readonly PodEvent[];
  /**
   * Starts to collect, on the first call. A warm Pod needs no Events, so nobody calls it for one. Settles as {@link
   * PodEvents.follow}.
   */
  start(onChange: () => void): Promise<void>;
  stop(): void;
}
