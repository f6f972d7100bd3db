import type { ContainerStatus, Pod, PodCondition, PodStatus } from '../objects.ts';
import { toTimestamp } from '../objects.ts';

/** The reason of a Pod's end that its containers did not cause: eviction or deadline. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
}

export interface Observed {
  readonly init: readonly ContainerStatus[];
  readonly main: readonly ContainerStatus[];
  readonly verdict: Verdict | undefined;
  /** The node is disconnected for so long that the API server marks the Pod as not ready. */
  readonly isNodeSilent: boolean;
}

/**
 * No reason is set, and ContainersReady stays as the kubelet left it.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/util/node/controller_utils.go MarkPodsNotReady
 */
const NODE_SILENT = { reason: '' };

/** Returns the status that the kubelet writes. Conditions that did not change keep their transition times. */
export function toPodStatus(pod: Pod, observed: Observed): PodStatus {
  const { init, main, verdict, isNodeSilent } = observed;
  const isInitialized = init.every((status) => 'terminated' in status.state && status.state.terminated.exitCode === 0);
  const isReady = main.every((status) => status.ready);
  const phase = verdict ? 'Failed' : toPhase(pod, { init, main, isInitialized });
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  const unready = main.filter((status) => !status.ready).map((status) => status.name);
  const notReady = isOver
    ? { reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' }
    : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const notInitialized = {
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${init.map((status) => status.name).join(' ')}]`,
  };
  const ready = isReady && !isOver;
  return {
    ...pod.status,
    phase,
    ...verdict,
    conditions: [
      condition(pod, 'Initialized', isInitialized ? {} : notInitialized),
      condition(pod, 'Ready', ready && !isNodeSilent ? {} : ready ? NODE_SILENT : notReady),
      condition(pod, 'ContainersReady', ready ? {} : notReady),
      condition(pod, 'PodScheduled', {}),
      ...(pod.status.conditions ?? []).filter(({ type }) => type === 'DisruptionTarget'),
    ],
    ...(init.length > 0 ? { initContainerStatuses: [...init] } : {}),
    containerStatuses: [...main],
  };
}

interface Cause {
  readonly reason?: string;
  readonly message?: string;
}

/** A condition is True when it has no cause to be False. */
export function condition(pod: Pod, type: string, cause: Cause): PodCondition {
  const status = cause.reason === undefined ? 'True' : 'False';
  const before = pod.status.conditions?.find((entry) => entry.type === type);
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : toTimestamp();
  return { type, status, lastProbeTime: null, lastTransitionTime, ...cause };
}

/** As getPhase in pkg/kubelet/kubelet_pods.go. */
function toPhase(
  pod: Pod,
  { init, main, isInitialized }: Pick<Observed, 'init' | 'main'> & { isInitialized: boolean },
): PodStatus['phase'] {
  const { restartPolicy } = pod.spec;
  if (!isInitialized) {
    const hasFailed = init.some((status) => 'terminated' in status.state && status.state.terminated.exitCode !== 0);
    return hasFailed && restartPolicy === 'Never' ? 'Failed' : 'Pending';
  }
  const isUnstarted = (status: ContainerStatus): boolean =>
    'waiting' in status.state && !('terminated' in status.lastState);
  if (main.some(isUnstarted)) return 'Pending';
  if (main.some((status) => 'running' in status.state) || restartPolicy === 'Always') return 'Running';
  const codes = main.map((status) => {
    const ended = 'terminated' in status.state ? status.state : status.lastState;
    return 'terminated' in ended ? ended.terminated.exitCode : 1;
  });
  if (codes.every((code) => code === 0)) return 'Succeeded';
  return restartPolicy === 'Never' ? 'Failed' : 'Running';
}
