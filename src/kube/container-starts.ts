import { toPodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { parseWatchEvent, toEventsPath, WATCH_SECONDS } from './watch.ts';

/**
 * When the containers of new Pods have started, by the word of their node. It says so in an Event at once, and in the Pod's status up to
 * a second later, when it next looks at its containers; an exec needs the container alone.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go StartedContainer
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet.go plegRelistPeriod, genericPlegRelistPeriod
 */
export interface ContainerStarts {
  /**
   * Waits until all these containers of a Pod have started. False where the Events do not tell, be it that the account may not watch
   * them or that the watch has ended, and when the signal is aborted. Never rejects.
   */
  hear(
    pod: { readonly namespace: string; readonly uid: string; readonly containerNames: readonly string[] },
    signal: AbortSignal,
  ): Promise<boolean>;
}

/** What starts in a namespace, by the UID of its Pod, and the end of the watch that tells of it. */
interface Hearing {
  readonly waiting: Map<string, Waiting>;
  readonly stop: AbortController;
}

interface Waiting {
  /** Fields of the Pod, as Events name them: `spec.containers{main}`. */
  readonly missing: Set<string>;
  end(hasStarted: boolean): void;
}

/** One watch for each namespace in which Pods start: when many start at once, a connection for each would cost what is saved. */
export function createContainerStarts(client: KubeClient): ContainerStarts {
  const hearings = new Map<string, Hearing>();

  function join(namespace: string): Hearing {
    const joined = hearings.get(namespace);
    if (joined) return joined;
    const hearing = { waiting: new Map<string, Waiting>(), stop: new AbortController() };
    hearings.set(namespace, hearing);
    void follow(namespace, hearing).finally(() => {
      leave(namespace, hearing);
      for (const { end } of hearing.waiting.values()) end(false);
    });
    return hearing;
  }
  function leave(namespace: string, hearing: Hearing): void {
    hearing.stop.abort();
    if (hearings.get(namespace) === hearing) hearings.delete(namespace);
  }

  async function follow(namespace: string, { waiting, stop }: Hearing): Promise<void> {
    try {
      const answer = await client.stream(
        {
          method: 'GET',
          path: toEventsPath(namespace),
          // Without a version it begins with what was told before: who comes first has missed nothing.
          query: {
            watch: 'true',
            fieldSelector: 'involvedObject.kind=Pod,reason=Started',
            timeoutSeconds: String(WATCH_SECONDS),
          },
          signal: stop.signal,
        },
        WATCH_SECONDS * 1000,
      );
      if (answer.kind === 'refused') return;
      for await (const line of answer.lines) {
        const event = parseWatchEvent(line);
        if (event?.type !== 'ADDED') continue;
        const { podUid, fieldPath } = toPodEvent(event.object);
        const one = waiting.get(podUid);
        one?.missing.delete(fieldPath);
        if (one?.missing.size === 0) one.end(true);
      }
    } catch {
      // The status tells all the same.
    }
  }

  return {
    async hear({ namespace, uid, containerNames }, signal) {
      if (signal.aborted) return false;
      const hearing = join(namespace);
      const { promise, resolve: end } = Promise.withResolvers<boolean>();
      hearing.waiting.set(uid, { missing: new Set(containerNames.map((name) => `spec.containers{${name}}`)), end });
      const abort = (): void => end(false);
      signal.addEventListener('abort', abort, { once: true });
      const hasStarted = await promise;
      signal.removeEventListener('abort', abort);
      hearing.waiting.delete(uid);
      if (hearing.waiting.size === 0) leave(namespace, hearing);
      return hasStarted;
    },
  };
}
