import type { Pod, PodCondition } from './api-types.ts';

/** The advice about a container that ends by itself. */
export const MUST_KEEP_RUNNING = '; it must keep running for the steps, for example with command: [sleep, infinity]';

/**
 * Describes in a sentence how a build has lost its Pod; undefined while the Pod is intact.
 *
 * @param before the Pod at the start of the build
 */
export function findLoss(pod: Pod | undefined, before: Pod): string | undefined {
  const name = `Pod ${before.name}`;
  if (!pod) return `${name} was deleted`;
  if (pod.uid !== before.uid) return `${name} was deleted and another one took its name`;
  // Checked before the deletion that follows it, because it says why.
  const disruption = findDisruption(pod);
  if (disruption) return `${name} was evicted: ${join(disruption)}`;
  return (
    findEnd(pod, name) ?? findContainerLoss(pod, before) ?? (pod.isDeleting ? `${name} is being deleted` : undefined)
  );
}

/**
 * Finds the condition that says why the cluster is about to end the Pod.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
 */
export function findDisruption(pod: Pod): PodCondition | undefined {
  return pod.conditions.find(({ type, status }) => type === 'DisruptionTarget' && status === 'True');
}

/**
 * Tells whether the Pod's node has not reported to the API server for about 40 s. The API server then marks the Pod
 * as not ready, but leaves the node's last report about the containers. A failed readiness gate of the job looks the
 * same, but has a reason.
 *
 * @see https://kubernetes.io/docs/reference/node/node-status/#heartbeats
 */
export function isNodeSilent(pod: Pod): boolean {
  const isNotReady = pod.conditions.some(
    ({ type, status, reason }) => type === 'Ready' && status !== 'True' && reason !== 'ReadinessGatesNotReady',
  );
  return isNotReady && pod.conditions.some(({ type, status }) => type === 'ContainersReady' && status === 'True');
}

function findEnd(pod: Pod, name: string): string | undefined {
  // If the Pod ended because its containers ended, they say more.
  if (pod.reason === 'NodeLost') return `${name} was lost with its node "${pod.nodeName}": ${pod.message}`;
  if (pod.phase !== 'Failed' || !pod.reason) return undefined;
  if (pod.reason === 'DeadlineExceeded') return `${name} reached its age limit (activeDeadlineSeconds) and was stopped`;
  return `${name} was stopped: ${join(pod)}`;
}

function join({ reason, message }: { reason: string; message: string }): string {
  return [reason, message.trim()].filter(Boolean).join(': ');
}

function findContainerLoss(pod: Pod, before: Pod): string | undefined {
  for (const { name, state, lastState, restartCount } of pod.containers) {
    const former = before.containers.find((container) => container.name === name);
    const hasRestarted = restartCount > (former?.restartCount ?? 0);
    const end = state.kind === 'terminated' ? state : lastState;
    if (state.kind !== 'terminated' && !hasRestarted) continue;
    if (end.kind !== 'terminated') return `container "${name}" restarted`;
    // A deletion also ends the containers, and then the deletion is the cause.
    if (pod.isDeleting && end.reason !== 'OOMKilled') return undefined;
    return describeContainerEnd(pod, { container: name, exitCode: end.exitCode, reason: end.reason });
  }
  return pod.phase === 'Failed' || pod.phase === 'Succeeded' ? `Pod ${pod.name} ended (${pod.phase})` : undefined;
}

function describeContainerEnd(pod: Pod, end: { container: string; exitCode: number; reason: string }): string {
  if (end.reason === 'OOMKilled') {
    const limit = Object.hasOwn(pod.memoryLimits, end.container) ? pod.memoryLimits[end.container] : undefined;
    return `container "${end.container}" ran out of memory ${limit ? `(its limit is ${limit})` : '(it has no limit of its own)'} and was killed`;
  }
  const detail = end.reason && end.reason !== 'Error' && end.reason !== 'Completed' ? `, ${end.reason}` : '';
  const hint = end.exitCode === 0 ? MUST_KEEP_RUNNING : '';
  return `container "${end.container}" ended in the middle of the build (exit code ${end.exitCode}${detail})${hint}`;
}
