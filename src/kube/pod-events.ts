import { toList, toPodEvent } from './api-types.ts';
import type { Pod, PodEvent } from './api-types.ts';
import { RefusedError } from './client.ts';
import type { KubeClient, KubeRefusal } from './client.ts';
import { listAndWatch, QUIET_WATCH_MS, toListFault } from './watch.ts';

/**
 * What the cluster tells of Pods beside their states: why one does not start, and that its containers have started. Of a start a node
 * tells in an Event at once, and in the Pod's status up to a second later, when it next looks at its containers.
 *
 * Events are not indexed: whatever is asked of them, the API server reads all of the namespace, an hour's worth, 15 to 45 ms for every
 * thousand (measured with Kubernetes 1.20). So nobody asks for those that were: one watch, from now on, for each namespace in which
 * Pods start.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go StartedContainer
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet.go plegRelistPeriod, genericPlegRelistPeriod
 */
export interface PodEvents {
  /**
   * Tells every Event of the Pods of this name from now on, as it is new or has come again, until `signal` is aborted. Resolves when
   * nothing of a Pod that is created from then on is missed; also, a second later at most, where Events cannot be had. Never rejects.
   */
  follow(
    pod: { readonly namespace: string; readonly name: string },
    options: { readonly onEvent: (event: PodEvent) => void; readonly signal: AbortSignal },
  ): Promise<void>;
}

/** Whoever follows Pods of a namespace, by the name of their Pod, and the watch that tells them. */
interface Hearing {
  readonly followers: Map<string, Set<(event: PodEvent) => void>>;
  readonly stop: AbortController;
  /** Settles when it is known from where on it is told, or that it is not. */
  readonly ready: Promise<void>;
}

/** What only helps is not waited for any longer. */
const READY_MS = 1_000;

export function createPodEvents(client: KubeClient): PodEvents {
  const hearings = new Map<string, Hearing>();

  function open(namespace: string): Hearing {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const hearing: Hearing = { followers: new Map(), stop: new AbortController(), ready };
    hearings.set(namespace, hearing);
    const late = setTimeout(resolve, READY_MS);
    // Refused, or no Kubernetes: the status of a Pod tells all the same.
    void listen(client, namespace, { ...hearing, onReady: resolve })
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(late);
        resolve();
        close(namespace, hearing);
      });
    return hearing;
  }
  function close(namespace: string, hearing: Hearing): void {
    hearing.stop.abort();
    if (hearings.get(namespace) === hearing) hearings.delete(namespace);
  }

  return {
    async follow({ namespace, name }, { onEvent, signal }) {
      if (signal.aborted) return;
      const hearing = hearings.get(namespace) ?? open(namespace);
      const { followers } = hearing;
      const ofName = followers.get(name) ?? new Set();
      followers.set(name, ofName.add(onEvent));
      const leave = (): void => {
        ofName.delete(onEvent);
        if (ofName.size === 0 && followers.get(name) === ofName) followers.delete(name);
        if (followers.size === 0) close(namespace, hearing);
      };
      signal.addEventListener('abort', leave, { once: true });
      await hearing.ready;
    },
  };
}

async function listen(
  client: KubeClient,
  namespace: string,
  { followers, stop, onReady }: Omit<Hearing, 'ready'> & { readonly onReady: () => void },
): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
  const { signal } = stop;
  const told = listAndWatch(client, {
    // Nothing of the list is wanted but from where on to watch: its version is that of now.
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
  for await (const one of told) {
    if (one.kind === 'listed') onReady();
    if (one.kind === 'listed' || (one.type !== 'ADDED' && one.type !== 'MODIFIED')) continue;
    const event = toPodEvent(one.object);
    for (const onEvent of followers.get(event.podName) ?? []) onEvent(event);
  }
}

function toRefusedError(answer: KubeRefusal): RefusedError {
  return new RefusedError(answer.message, answer);
}

/** Whether Events tell that all containers of a Pod have started. */
export function haveContainersStarted(
  { uid, containerNames }: Pick<Pod, 'uid' | 'containerNames'>,
  events: readonly PodEvent[],
): boolean {
  const started = new Set(
    events.flatMap(({ podUid, reason, fieldPath }) => (podUid === uid && reason === 'Started' ? [fieldPath] : [])),
  );
  return containerNames.length > 0 && containerNames.every((name) => started.has(`spec.containers{${name}}`));
}
