import { toMessage } from '../errors.ts';
import type { FindAnswer } from '../engine/cluster.ts';
import type { Pod } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { createPodExec } from './pod-exec.ts';
import { isPlanned } from './pod.ts';
import type { PodPlan } from './pod.ts';
import type { VisitDependencies } from './acquire-pod.ts';
import { listPod, watchPod } from './watch.ts';

export interface LookDependencies extends Pick<VisitDependencies, 'client' | 'execs' | 'openings' | 'closing'> {
  /** Those that are open: while there is one, the cluster's connections are in use. */
  readonly looks: Set<object>;
}

/** The Pod of a plan as it is, for whoever reads what a build left in it: one request as a rule, and its Lease is nobody's business here. */
export async function lookAtPod(
  { client, execs, openings, closing, looks }: LookDependencies,
  plan: PodPlan,
  asked: AbortSignal,
): Promise<FindAnswer> {
  const signal = AbortSignal.any([asked, closing]);
  let pod: Pod | undefined;
  try {
    pod = await findPod(client, { ...plan, signal });
  } catch (error) {
    return { kind: 'failed', message: signal.aborted ? 'aborted' : toMessage(error) };
  }
  if (!pod) return { kind: 'gone', message: `its Pod ${plan.name} was deleted, and its logs with it` };
  const message = findHindrance(pod, plan);
  if (message !== undefined) return { kind: 'gone', message };
  const stop = new AbortController();
  const exec = createPodExec({ namespace: plan.namespace, pod: pod.name, execs, openings });
  const look = {};
  looks.add(look);
  return {
    kind: 'found',
    workspace: {
      name: pod.name,
      id: pod.uid,
      exec: async (container, argv, options) =>
        await exec(container, argv, { ...options, signal: AbortSignal.any([options.signal, stop.signal, closing]) }),
      close(): void {
        looks.delete(look);
        stop.abort();
      },
    },
  };
}

/**
 * A Pod in which a build runs may not say yet that it runs: its node looks at it once a second, and then tells. So the answer to
 * "pending" is waited for a little.
 */
const PENDING_MS = 2_000;

async function findPod(client: KubeClient, place: Parameters<typeof listPod>[1]): Promise<Pod | undefined> {
  const from = await listPod(client, place);
  let { pod } = from;
  if (pod?.phase !== 'Pending' || pod.nodeName === '') return pod;
  const signal = AbortSignal.any([place.signal, AbortSignal.timeout(PENDING_MS)]);
  for await (const state of watchPod(client, { ...place, from, signal })) {
    pod = state;
    if (pod?.phase !== 'Pending') break;
  }
  place.signal.throwIfAborted();
  return pod;
}

/** Why nothing can be read in a Pod; undefined when something may be. One that is being deleted still answers for a moment. */
function findHindrance(pod: Pod, plan: PodPlan): string | undefined {
  if (!isPlanned(pod, plan)) return `its Pod ${plan.name} was replaced by another, and its logs are gone`;
  if (pod.phase === 'Pending') return `its Pod ${plan.name} has not started`;
  return pod.phase === 'Running' ? undefined : `its Pod ${plan.name} has ended, and nothing in it can be read any more`;
}
