import type { Pod } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { toPodsPath } from './watch.ts';

const MAX_LINES = 5;
const MAX_BYTES = 2_000;
/** The build has failed already, so its user waits no longer. */
const READ_MS = 5_000;

/**
 * Describes the last lines that the program of an ended container wrote: `; its last output: exec format error`. Empty
 * if no container has ended, if there is no output, or if the account may not read it. Never throws.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
 */
export async function describeOutput(client: KubeClient, namespace: string, pod: Pod | undefined): Promise<string> {
  const init = [...(pod?.initContainers ?? []), ...(pod?.sidecars ?? [])];
  const ended =
    init.find(({ state }) => state.kind === 'terminated' && state.exitCode !== 0) ??
    pod?.containers.find(({ state }) => state.kind === 'terminated');
  if (!pod || !ended) return '';
  const query = { container: ended.name, tailLines: String(MAX_LINES), limitBytes: String(MAX_BYTES) };
  const path = `${toPodsPath(namespace)}/${encodeURIComponent(pod.name)}/log`;
  const signal = AbortSignal.timeout(READ_MS);
  const answer = await client.request({ method: 'GET', path, query, isText: true, signal }).catch(() => undefined);
  const output = answer?.kind === 'ok' ? String(answer.body).trim() : '';
  return output === '' ? '' : `; its last output: ${output}`;
}
