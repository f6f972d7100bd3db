import type { ContainerStatus, Pod, PodEvent } from './api-types.ts';
import type { CollectedEvents } from './pod-events.ts';
import { MUST_KEEP_RUNNING } from './pod-health.ts';

/** What follows from a state of a starting Pod; undefined while the start must wait. */
export type Decision = StartFailure | UsablePod | undefined;
export interface UsablePod {
  readonly kind: 'use';
  readonly pod: Pod;
}
export interface StartFailure {
  readonly kind: 'failed';
  readonly message: string;
}

/** Judges a starting Pod by its states. Every few seconds it also judges by the Events that arrived meanwhile. */
export interface StartObserver {
  judge(pod: Pod): Decision;
  /** The failure that the Events alone have shown. */
  failure(): StartFailure | undefined;
  stop(): void;
}

/** Most Pods start sooner, so that users see messages about Events only when a start is slow. */
const EVENTS_INTERVAL_MS = 5_000;

/** @param report receives the reason why the Pod is still starting */
export function observeStart(context: {
  collected: CollectedEvents;
  report: (reason: string) => void;
  onFailure: () => void;
}): StartObserver {
  const { collected, report, onFailure } = context;
  let latest: Pod | undefined;
  let pullMessages: ReadonlyMap<string, string> = new Map();
  let failure: StartFailure | undefined;
  let timer: NodeJS.Timeout | undefined;

  function judge(pod: Pod): Decision {
    if (latest?.uid !== pod.uid) pullMessages = new Map();
    latest = pod;
    pullMessages = rememberPulls(pod, pullMessages);
    const events = collected.events.filter(({ podUid }) => podUid === pod.uid);
    const verdict = classifyStart(pod, { events, pullMessages });
    if (verdict.kind === 'ready') return { kind: 'use', pod };
    if (verdict.kind === 'failed') return verdict;
    report(verdict.reason);
    timer ??= setInterval(judgeAgain, EVENTS_INTERVAL_MS);
    return undefined;
  }
  function judgeAgain(): void {
    const decision = latest && judge(latest);
    if (decision?.kind !== 'failed') return;
    failure = decision;
    onFailure();
  }

  return { judge, failure: (): StartFailure | undefined => failure, stop: (): void => clearInterval(timer) };
}

export type StartVerdict =
  | { readonly kind: 'ready' }
  /** `reason` is a sentence for people. */
  | { readonly kind: 'starting'; readonly reason: string }
  /** Waiting cannot help. */
  | StartFailure;

/** What is known about the Pod besides its current state. */
export interface StartHistory {
  /** Oldest first. */
  readonly events: readonly PodEvent[];
  /** The last message about a failed pull, by container. The status loses it when the node backs off. */
  readonly pullMessages: ReadonlyMap<string, string>;
}

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
const HOPELESS = new Set([
  'ErrImageNeverPull',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'StartError',
]);
/** Messages with which these reasons are temporary: a cache that fills, a subPath that another container creates. */
const CREATION_MAY_HEAL = /subPath|failed to sync|timed out/;
/** Events that say why a start does not proceed. */
const EXPLAINING_EVENTS = new Set(['FailedMount', 'FailedAttachVolume', 'FailedCreatePodSandBox', 'FailedScheduling']);

/** Judges a Pod that has not been running yet. */
export function classifyStart(pod: Pod, history: StartHistory): StartVerdict {
  if (pod.isDeleting) return { kind: 'failed', message: `Pod ${pod.name} was deleted while it was starting` };
  const all = [
    ...pod.initContainers.map((status) => ({ status, isInit: true })),
    ...pod.containers.map((status) => ({ status, isInit: false })),
  ];
  const verdicts = all.map(({ status, isInit }) => classifyContainer(status, { isInit, history }));
  const failure = verdicts.find((verdict) => verdict?.kind === 'failed');
  if (failure) return failure;
  if (pod.phase === 'Failed' || pod.phase === 'Succeeded') {
    const cause = [pod.reason, pod.message].filter(Boolean).join(': ');
    return { kind: 'failed', message: `Pod ${pod.name} ended before the first step: ${cause || pod.phase}` };
  }
  const isComplete = pod.containerNames.length > 0 && pod.containers.length === pod.containerNames.length;
  const isWaiting = verdicts.some((verdict) => verdict !== undefined);
  if (pod.phase === 'Running' && isComplete && !isWaiting) return { kind: 'ready' };
  const reasons = verdicts.flatMap((verdict) =>
    verdict?.kind === 'starting' && verdict.reason ? [verdict.reason] : [],
  );
  return { kind: 'starting', reason: describeUnscheduled(pod) ?? reasons[0] ?? describeEvents(pod, history) };
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
  { isInit, history }: { isInit: boolean; history: StartHistory },
): StartVerdict | undefined {
  const label = `${isInit ? 'init container' : 'container'} "${status.name}"`;
  const { state } = status;
  switch (state.kind) {
    case 'running':
      if (isInit || status.isReady) return undefined;
      return { kind: 'starting', reason: `${label} is running but not ready` };
    case 'terminated':
      if (isInit && state.exitCode === 0) return undefined;
      return { kind: 'failed', message: describeEnd(label, state) };
    case 'waiting':
      return classifyWaiting(status, { ...state, label, history });
    case 'unknown':
    default:
      return { kind: 'starting', reason: '' };
  }
}

function classifyWaiting(
  status: ContainerStatus,
  waiting: { label: string; reason: string; message: string; history: StartHistory },
): StartVerdict {
  const { label, reason, message, history } = waiting;
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff') {
    const cause = reason === 'ErrImagePull' ? message : findPullMessage(status, message, history);
    const bare = cause.replaceAll(status.image, '').replaceAll(/"[^"]*"/g, '');
    const isHopeless = PULL_IS_HOPELESS.test(bare) && !PULL_MAY_HEAL.test(bare);
    const sentence = `${label} cannot pull image "${status.image}": ${shorten(cause)}`;
    return isHopeless ? { kind: 'failed', message: sentence } : { kind: 'starting', reason: sentence };
  }
  if (reason === 'CrashLoopBackOff') {
    const { lastState } = status;
    const sentence = lastState.kind === 'terminated' ? describeEnd(label, lastState) : `${label} keeps crashing`;
    return { kind: 'failed', message: sentence };
  }
  const sentence = `${label} (image "${status.image}") cannot start: ${reason}: ${shorten(message)}`;
  if (HOPELESS.has(reason) && !CREATION_MAY_HEAL.test(message)) return { kind: 'failed', message: sentence };
  const isOrdinary = reason === 'ContainerCreating' || reason === 'PodInitializing' || reason === '';
  return { kind: 'starting', reason: isOrdinary ? '' : sentence };
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
  const hint = label.startsWith('init') ? '' : MUST_KEEP_RUNNING;
  return `${label} exited with code ${state.exitCode} before the first step${detail ? ` (${detail})` : ''}${hint}`;
}

function describeUnscheduled(pod: Pod): string | undefined {
  const scheduled = pod.conditions.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  return `no node takes Pod ${pod.name}: ${shorten(scheduled.message || scheduled.reason)}`;
}

function describeEvents(pod: Pod, { events }: StartHistory): string {
  const event = events.at(-1);
  if (event && EXPLAINING_EVENTS.has(event.reason)) return `${event.reason}: ${shorten(event.message)}`;
  if (event?.reason === 'Pulling') return event.message.replace(/^Pulling/, 'pulling');
  const isScheduled = pod.conditions.some(({ type, status }) => type === 'PodScheduled' && status === 'True');
  return isScheduled ? `starting the containers of Pod ${pod.name}` : `looking for a node for Pod ${pod.name}`;
}

function shorten(message: string): string {
  return message.length > MAX_QUOTE ? `${message.slice(0, MAX_QUOTE)}…` : message;
}
