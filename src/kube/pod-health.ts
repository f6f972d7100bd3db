import type { ContainerStatus, Pod, PodCondition, PodEvent } from './api-types.ts';

/** The advice about a container that ends by itself. */
const MUST_KEEP_RUNNING = '; it must keep running for the steps, for example with command: [sleep, infinity]';

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
 * Returns whether the Pod's node has not reported to the API server for about 40 s. The API server then marks the Pod
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

export type StartVerdict =
  | { readonly kind: 'ready' }
  /** `reason` is a sentence for people. */
  | { readonly kind: 'starting'; readonly reason: string }
  /** Waiting cannot help. */
  | StartFailure;

export interface StartFailure {
  readonly kind: 'failed';
  readonly message: string;
  /** The cluster stopped or deleted the Pod. Another one may start. */
  readonly isLost?: boolean;
  /** A Pod has the planned name that cannot be deleted. */
  readonly isStuck?: boolean;
}

/** What is known about the Pod besides its current state. */
export interface StartHistory {
  /** Oldest first. */
  readonly events: readonly PodEvent[];
  /** The last message about a failed pull, by container. The status loses it when the node backs off. */
  readonly pullMessages: ReadonlyMap<string, string>;
}

/** A sidecar that starts in the wrong order ends once or twice. With the kubelet's pauses, five take two minutes. */
const MAX_SIDECAR_RESTARTS = 5;

/** The longest part of a message of the cluster in a sentence. */
const MAX_QUOTE = 800;

/**
 * What registries answer when a retry may succeed. Such an answer often matches the next list too. At most an address
 * is between "status" and its number. Without a bound, the search from each "status" would continue to the end of the
 * text.
 */
const PULL_MAY_HEAL =
  /toomanyrequests|too many requests|rate limit|status(?: code)?\b[^:]{0,300}: 5\d\d|timeout|timed out|temporar/i;
/** What registries and runtimes answer when a retry cannot succeed. */
const PULL_IS_HOPELESS =
  /not found|manifest unknown|name unknown|does not exist|no such image|unauthorized|authentication required|denied|forbidden|invalid reference|no match for platform/i;
/**
 * Reasons of `state.waiting` that a retry does not change:
 * https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go
 */
const HOPELESS =
  /^(?:ErrImageNeverPull|InvalidImageName|CreateContainerConfigError|CreateContainerError|RunContainerError|StartError)$/;
/**
 * Messages with which these reasons are temporary, because the kubelet tries again: a cache that fills, a subPath that
 * another container creates, a busy node, a runtime that restarts, a sandbox that has died. After a time limit, the
 * name of the container stays reserved until the first attempt has ended.
 *
 * @see https://github.com/containerd/containerd/issues/4604
 * @see https://github.com/cri-o/cri-o/pull/4002
 */
const CREATION_MAY_HEAL =
  /subPath|failed to sync|services have not yet been read|tim(?:ed|ing) out|context deadline exceeded|DeadlineExceeded|is reserved\b|already in use|temporarily unavailable|while dialing|transport is closing|error reading from server|no running task found|sandbox was stopped/;
/** Reasons with which a runtime ends a container whose program it could not start. */
const NOT_STARTED = /^(?:StartError|ContainerCannotRun)$/;
/** Events that say why a start does not proceed. */
const EXPLAINING_EVENTS = /^Failed(?:Mount|AttachVolume|CreatePodSandBox|Scheduling)$/;

/** Judges a Pod that has not been running yet. */
export function classifyStart(pod: Pod, history: StartHistory): StartVerdict {
  if (pod.isDeleting) return lose(`Pod ${pod.name} was deleted while it was starting`);
  const verdicts = [
    ...pod.initContainers.map((status) => classifyContainer(status, { kind: 'init container', pod, history })),
    ...pod.sidecars.map((status) => classifyContainer(status, { kind: 'sidecar', pod, history })),
    ...pod.containers.map((status) => classifyContainer(status, { kind: 'container', pod, history })),
  ];
  const failure = verdicts.find((verdict) => verdict?.kind === 'failed');
  if (failure) return failure;
  if (pod.phase === 'Failed' || pod.phase === 'Succeeded') {
    const wasStopped = pod.reason !== '' && pod.reason !== 'DeadlineExceeded';
    return (wasStopped ? lose : fail)(`Pod ${pod.name} ended before the first step: ${join(pod) || pod.phase}`);
  }
  const isComplete = pod.containerNames.length > 0 && pod.containers.length === pod.containerNames.length;
  const waiting = verdicts.filter((verdict) => verdict?.kind === 'starting');
  if (pod.phase === 'Running' && isComplete && waiting.length === 0) return { kind: 'ready' };
  const reason = waiting.map(({ reason }) => reason).find(Boolean);
  return starting(describeUnscheduled(pod) ?? reason ?? describeEvents(pod, history));
}

export function fail(message: string): StartFailure {
  return { kind: 'failed', message };
}

function lose(message: string): StartFailure {
  return { kind: 'failed', message, isLost: true };
}

/** Describes which sidecars ended during a build; undefined if none did. @param before the Pod at its start */
export function findSidecarEnd(pod: Pod, before: Pod): string | undefined {
  for (const { name, state, lastState, restartCount } of pod.sidecars) {
    const former = before.sidecars.find((sidecar) => sidecar.name === name);
    const end = state.kind === 'terminated' ? state : lastState;
    if (end.kind !== 'terminated' || (state.kind !== 'terminated' && restartCount <= (former?.restartCount ?? 0)))
      continue;
    return `sidecar "${name}" ended during the build (exit code ${end.exitCode}${end.reason === 'OOMKilled' ? ', out of memory' : ''}), which may be why`;
  }
  return undefined;
}

function starting(reason: string): StartVerdict {
  return { kind: 'starting', reason };
}

/** Returns the pull messages that are known after this state. */
export function rememberPulls(pod: Pod, known: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  // Only for current containers: a hostile cluster could name others each time (threat model A12).
  return new Map(
    [...pod.initContainers, ...pod.containers].flatMap(({ name, state }) => {
      const isNew = state.kind === 'waiting' && state.reason === 'ErrImagePull' && state.message !== '';
      const message = isNew ? state.message : known.get(name);
      return message === undefined ? [] : [[name, message]];
    }),
  );
}

/**
 * Returns undefined for a container that is as it should be, and an empty reason when there is nothing to report yet.
 */
function classifyContainer(
  status: ContainerStatus,
  { kind, pod, history }: { kind: 'container' | 'init container' | 'sidecar'; pod: Pod; history: StartHistory },
): StartVerdict | undefined {
  const { name, image, isReady, restartCount, state, lastState } = status;
  const label = `${kind} "${name}"`;
  const isInit = kind === 'init container';
  // The kubelet restarts a sidecar.
  const mayRestart = kind === 'sidecar' && restartCount < MAX_SIDECAR_RESTARTS;
  if (state.kind === 'unknown') return starting('');
  if (state.kind === 'running') return isInit || isReady ? undefined : starting(`${label} is running but not ready`);
  if (state.kind === 'terminated') {
    if (isInit && state.exitCode === 0) return undefined;
    const sentence = describeEnd(label, state);
    if (mayRestart) return starting(sentence);
    // The kubelet does not start it again, but in another Pod it may start.
    return (NOT_STARTED.test(state.reason) && CREATION_MAY_HEAL.test(state.message) ? lose : fail)(sentence);
  }
  const { reason, message } = state;
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff') {
    const cause = reason === 'ErrImagePull' ? message : findPullMessage(status, message, history);
    const bare = cause.replaceAll(image, '').replaceAll(/"[^"]*"/g, '');
    const isHopeless = PULL_IS_HOPELESS.test(bare) && !PULL_MAY_HEAL.test(bare);
    // The status of a container also has the failure of a volume that is an image.
    const volume = pod.imageVolumes.find(
      (one) =>
        cause.includes(one.image) && one.image !== image && (one.image.includes(image) || !cause.includes(image)),
    );
    const what = volume
      ? `volume "${volume.name}" cannot pull image "${volume.image}"`
      : `${label} cannot pull image "${image}"`;
    return (isHopeless ? fail : starting)(`${what}: ${shorten(cause)}`);
  }
  if (reason === 'CrashLoopBackOff') {
    const end = lastState.kind === 'terminated' ? describeEnd(label, lastState) : `${label} keeps crashing`;
    return (mayRestart ? starting : fail)(end);
  }
  const isOrdinary = reason === 'ContainerCreating' || reason === 'PodInitializing' || reason === '';
  const sentence = `${label} (image "${image}") cannot start: ${reason}: ${shorten(message)}`;
  const isHopeless = HOPELESS.test(reason) && !CREATION_MAY_HEAL.test(message);
  return isHopeless ? fail(sentence) : starting(isOrdinary ? '' : sentence);
}

/** Finds why a pull failed. While the node backs off, its message is only "Back-off pulling image". */
function findPullMessage(status: ContainerStatus, message: string, { events, pullMessages }: StartHistory): string {
  const event = events.findLast(
    ({ message }) => message.startsWith('Failed to pull image') && message.includes(`"${status.image}"`),
  );
  return pullMessages.get(status.name) ?? event?.message ?? message;
}

function describeEnd(label: string, state: { exitCode: number; reason: string; message: string }): string {
  const reason = state.reason === 'Error' || state.reason === 'Completed' ? '' : state.reason;
  const detail = [reason, shorten(state.message)].filter(Boolean).join(': ');
  const hint = label.startsWith('container') ? MUST_KEEP_RUNNING : '';
  return `${label} exited with code ${state.exitCode} before the first step${detail ? ` (${detail})` : ''}${hint}`;
}

function describeUnscheduled(pod: Pod): string | undefined {
  const scheduled = pod.conditions.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  return `no node accepts Pod ${pod.name}: ${shorten(scheduled.message || scheduled.reason)}`;
}

function describeEvents(pod: Pod, { events }: StartHistory): string {
  const event = events.at(-1);
  if (event && EXPLAINING_EVENTS.test(event.reason)) return `${event.reason}: ${shorten(event.message)}`;
  if (event?.reason === 'Pulling') return event.message.replace(/^Pulling/, 'pulling');
  const isScheduled = pod.conditions.some(({ type, status }) => type === 'PodScheduled' && status === 'True');
  return isScheduled ? `starting the containers of Pod ${pod.name}` : `looking for a node for Pod ${pod.name}`;
}

function shorten(message: string): string {
  return message.length > MAX_QUOTE ? `${message.slice(0, MAX_QUOTE)}…` : message;
}
