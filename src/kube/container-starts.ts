import { toPodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { parseWatchEvent, WATCH_SECONDS } from './watch.ts';

/**
 * Waits until the node says that it has started all these containers of a Pod. It says so in an Event at once, and in the Pod's
 * status up to a second later, when it next looks at its containers; an exec needs the container alone. False where the Events do
 * not tell, be it that the account may not watch them or that the watch ended. Never rejects.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go StartedContainer
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet.go plegRelistPeriod, genericPlegRelistPeriod
 */
export async function hearStarts(
  client: KubeClient,
  pod: { readonly namespace: string; readonly uid: string; readonly containerNames: readonly string[] },
  signal: AbortSignal,
): Promise<boolean> {
  const missing = new Set(pod.containerNames.map((name) => `spec.containers{${name}}`));
  try {
    const answer = await client.stream(
      {
        method: 'GET',
        path: `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/events`,
        query: {
          watch: 'true',
          fieldSelector: `involvedObject.uid=${pod.uid},reason=Started`,
          timeoutSeconds: String(WATCH_SECONDS),
        },
        signal,
      },
      WATCH_SECONDS * 1000,
    );
    if (answer.kind === 'ok') {
      for await (const line of answer.lines) {
        const event = parseWatchEvent(line);
        if (event?.type === 'ADDED') missing.delete(toPodEvent(event.object).fieldPath);
        if (missing.size === 0) return true;
      }
    }
  } catch {
    // The status tells all the same.
  }
  return false;
}
