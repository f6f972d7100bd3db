import type { ContainerStatus, Pod, PodEvent } from './api-types.ts';
import { MUST_KEEP_RUNNING } from './pod-health.ts';

/** Where a Pod stands on its way to running containers. */
export type StartVerdict =
  | { readonly kind: 'ready' }
  /** `reason`: one sentence for people. */
  | { readonly kind: 'starting'; readonly reason: string }
  /** Waiting cannot help. */
  | { readonly kind: 'failed'; readonly message: string };

/** What was seen of the Pod before now. */
export interface StartHistory {
  /** Oldest first. */
  readonly events: readonly PodEvent[];
  /** The last words about a pull, by container: they are gone again once the node backs off. */
  readonly pullMessages: ReadonlyMap<string, string>;
}

/** Longest part of the cluster's own words in a sentence. */
const MAX_WORDS = 800;

/**
 * Registries' words for "come back later", which often hold words of the list below as well. Between "status" and its number stands
 * an address at most; without a bound each "status" would be followed to the end of the text.
 */
const PULL_MAY_HEAL =
  /toomanyrequests|too many requests|rate limit|status(?: code)?\b[^:]{0,300}: 5\d\d|timeout|timed out|temporar/i;
/** Words of registries and runtimes for what no repetition changes. */
const PULL_IS_HOPELESS =
  /not found|manifest unknown|name unknown|does not exist|no such image|unauthorized|authentication required|denied|forbidden|invalid reference|no match for platform/i;
/** Reasons of `state.waiting` that no repetition changes: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go */
const HOPELESS = new Set([
  'ErrImageNeverPull',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'StartError',
]);
/** Words with which the above heal by themselves: caches that fill, a subPath that another container makes. */
const CREATION_MAY_HEAL = /subPath|failed to sync|timed out/;
/** Warnings that say why nothing happens. */
const TELLING_EVENTS = new Set(['FailedMount', 'FailedAttachVolume', 'FailedCreatePodSandBox', 'FailedScheduling']);

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
    const words = [pod.reason, pod.message].filter(Boolean).join(': ');
    return { kind: 'failed', message: `Pod ${pod.name} ended before the first step: ${words || pod.phase}` };
  }
  const isComplete = pod.containerNames.length > 0 && pod.containers.length === pod.containerNames.length;
  const isWaiting = verdicts.some((verdict) => verdict !== undefined);
  if (pod.phase === 'Running' && isComplete && !isWaiting) return { kind: 'ready' };
  const telling = verdicts.find((verdict) => verdict?.kind === 'starting' && verdict.reason !== '');
  const told = telling?.kind === 'starting' ? telling.reason : undefined;
  return { kind: 'starting', reason: describeUnscheduled(pod) ?? told ?? describeEvents(pod, history) };
}

/** The pull messages known after seeing this state. */
export function rememberPulls(pod: Pod, known: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  // Of the containers that are there: a cluster could name others each time.
  return new Map(
    [...pod.initContainers, ...pod.containers].flatMap(({ name, state }) => {
      const isTold = state.kind === 'waiting' && state.reason === 'ErrImagePull' && state.message !== '';
      const message = isTold ? state.message : known.get(name);
      return message === undefined ? [] : [[name, message]];
    }),
  );
}

/** Undefined: as it should be. An empty reason: nothing to tell yet. */
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
    const words = reason === 'ErrImagePull' ? message : findPullWords(status, message, history);
    const bare = words.replaceAll(status.image, '').replaceAll(/"[^"]*"/g, '');
    const isHopeless = PULL_IS_HOPELESS.test(bare) && !PULL_MAY_HEAL.test(bare);
    const sentence = `${label} cannot pull image "${status.image}": ${shorten(words)}`;
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

/** While the node backs off, its own words are "Back-off pulling image": what went wrong was said before. */
function findPullWords(status: ContainerStatus, message: string, { events, pullMessages }: StartHistory): string {
  const event = events.findLast(
    ({ message }) => message.startsWith('Failed to pull image') && message.includes(`"${status.image}"`),
  );
  return pullMessages.get(status.name) ?? event?.message ?? message;
}

function describeEnd(label: string, state: { exitCode: number; reason: string; message: string }): string {
  const words = [state.reason === 'Error' || state.reason === 'Completed' ? '' : state.reason, shorten(state.message)];
  const detail = words.filter(Boolean).join(': ');
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
  if (event && TELLING_EVENTS.has(event.reason)) return `${event.reason}: ${shorten(event.message)}`;
  if (event?.reason === 'Pulling') return event.message.replace(/^Pulling/, 'pulling');
  const isScheduled = pod.conditions.some(({ type, status }) => type === 'PodScheduled' && status === 'True');
  return isScheduled ? `starting the containers of Pod ${pod.name}` : `looking for a node for Pod ${pod.name}`;
}

function shorten(words: string): string {
  return words.length > MAX_WORDS ? `${words.slice(0, MAX_WORDS)}…` : words;
}
