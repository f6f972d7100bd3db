import { toPodEvent, type Pod, type PodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { listAndWatch, QUIET_WATCH_MS } from './watch.ts';

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
  readonly followers: Set<{ readonly podName: string; readonly onEvent: (event: PodEvent) => void }>;
  readonly stop: AbortController;
  /** Settles when the watch has its first version, or when there is no watch. */
  readonly ready: PromiseWithResolvers<void>;
}

/** Events only help, so a start does not wait longer for them. */
const READY_MS = 1_000;

export function createPodEvents(client: KubeClient): PodEvents {
  const watches = new Map<string, NamespaceWatch>();

  function open(namespace: string): NamespaceWatch {
    const ready = Promise.withResolvers<void>();
    const watch: NamespaceWatch = { followers: new Set(), stop: new AbortController(), ready };
    watches.set(namespace, watch);
    const timer = setTimeout(ready.resolve, READY_MS);
    // Without Events, the status of the Pod is enough.
    void dispatchEvents(client, namespace, watch)
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        ready.resolve();
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
      const follower = { podName: name, onEvent };
      watch.followers.add(follower);
      function unfollow(): void {
        watch.followers.delete(follower);
        if (watch.followers.size === 0) close(namespace, watch);
      }
      signal.addEventListener('abort', unfollow, { once: true });
      await watch.ready.promise;
    },
  };
}

async function dispatchEvents(
  client: KubeClient,
  namespace: string,
  { followers, stop, ready }: NamespaceWatch,
): Promise<void> {
  const target = { namespace, objects: 'Events', fieldSelector: 'involvedObject.kind=Pod' } as const;
  // The watch starts from the version of the list. The items are not used.
  const limits = { listQuery: { limit: '1' }, silenceMs: QUIET_WATCH_MS, signal: stop.signal };
  for await (const change of listAndWatch(client, { ...target, ...limits })) {
    if ('items' in change) ready.resolve();
    else if (change.type === 'ADDED' || change.type === 'MODIFIED') {
      const event = toPodEvent(change.object);
      for (const { podName, onEvent } of followers) if (podName === event.podName) onEvent(event);
    }
  }
}

/** Returns whether Events show that all containers of a Pod have started. */
export function haveContainersStarted(
  { uid, containerNames }: Pick<Pod, 'uid' | 'containerNames'>,
  events: readonly PodEvent[],
): boolean {
  const started = new Set(
    events.flatMap(({ podUid, reason, fieldPath }) => (podUid === uid && reason === 'Started' ? [fieldPath] : [])),
  );
  return containerNames.length > 0 && containerNames.every((name) => started.has(`spec.containers{${name}}`));
}
