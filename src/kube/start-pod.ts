import { toMessage } from '../errors.ts';
import type { OpenWorkspaceOptions } from '../engine/cluster.ts';
import { toPod, type Pod, type PodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { describeOutput } from './container-output.ts';
import { UNKNOWN_POD, type Lease } from './leases/lease.ts';
import { classifyStart, fail, findLoss, isNodeSilent, rememberPulls, type StartFailure } from './pod-health.ts';
import { findMismatch, type PodPlan } from './pod.ts';
import { haveContainersStarted, type PodEvents } from './pod-events.ts';
import { deletePod } from './pod-reaper.ts';
import { createRoom, type Room } from './room.ts';
import { toPodsPath, watchPod, type PodSnapshot } from './watch.ts';

/**
 * A Pod whose containers run, and the watch of it, which the caller continues. The status of a new Pod may not show
 * it yet.
 */
export interface StartedPod {
  readonly kind: 'ready';
  readonly pod: Pod;
  readonly isWarm: boolean;
  readonly states: AsyncGenerator<Pod | undefined, void, undefined>;
  /** Ends the watch. */
  readonly stop: AbortController;
}

export type StartAnswer = StartedPod | StartFailure | { readonly kind: 'aborted' };

export interface StartRequest {
  readonly client: KubeClient;
  readonly events: PodEvents;
  readonly plan: PodPlan;
  /** The longest time that the build may need. */
  readonly neededMs: number;
  readonly options: OpenWorkspaceOptions;
  readonly lease: Lease;
  /** The Pod as it was seen while the Lease was requested; undefined when that may have changed. */
  readonly snapshot: PodSnapshot | undefined;
  /** Returns whether the Pod with this UID must not be used again. */
  readonly isUnfit: (uid: string) => boolean;
  /** Deletes idle Pods of the repository. Returns whether there was one. */
  readonly makeRoom: () => Promise<boolean>;
}

/**
 * A restart of the API server takes seconds. A cluster that has not answered by now does not exist, and the user
 * waits.
 */
const FIRST_ANSWER_MS = 30_000;
/** The reason with which the watch is aborted then. */
const UNREACHABLE = 'unreachable';
/** Most Pods start sooner, so that users see messages about Events only when a start is slow. */
const EVENTS_INTERVAL_MS = 5_000;
/** A controller removes its finalizer within seconds of the end of the Pod. */
const FINALIZER_MS = 15_000;
/** The latest Events of a Pod that are kept while it starts. */
const MAX_EVENTS = 200;

/**
 * Gets the planned Pod running. Uses the existing Pod if it is exactly as planned. Else deletes it, waits until it is
 * gone, and creates a new one, which can be used when its node reports that all containers have started. A resumed
 * build needs the Pod in which it began. A warm Pod costs one request. If a Pod that was created here does not start,
 * it is deleted.
 */
export async function startPod(request: StartRequest): Promise<StartAnswer> {
  const { client, plan, options, snapshot: from } = request;
  const attempt = new StartAttempt(request);
  const { stop } = attempt;
  const abort = (): void => stop.abort();
  options.signal.addEventListener('abort', abort, { once: true });
  const deadline = setTimeout(abort, options.startTimeoutMs);
  const firstAnswer = setTimeout(() => stop.abort(UNREACHABLE), FIRST_ANSWER_MS);
  try {
    if (options.signal.aborted) return { kind: 'aborted' };
    const states = watchPod(client, { ...plan, signal: stop.signal, from, onTrouble: attempt.report });
    for (let next = states.next(); ; next = states.next()) {
      const result = await Promise.race([next, attempt.started.promise]);
      clearTimeout(firstAnswer);
      const isByEvents = 'kind' in result;
      if (!isByEvents && result.done === true) break;
      const decision = isByEvents ? result : await attempt.decide(result.value);
      if (stop.signal.aborted) break;
      if (decision?.kind === 'use') {
        const isWarm = !attempt.hasCreated(decision.pod);
        const remaining = isByEvents ? continueFrom(next, states) : states;
        return { kind: 'ready', pod: decision.pod, isWarm, states: remaining, stop };
      }
      if (decision) return await attempt.giveUp(decision);
    }
    const isSilent = stop.signal.reason === UNREACHABLE;
    return await attempt.giveUp(
      attempt.failure ?? fail(isSilent ? attempt.reason : describeDelay(request, attempt.reason)),
    );
  } catch (error) {
    return await attempt.giveUp(fail(toMessage(error)));
  } finally {
    clearTimeout(deadline);
    clearTimeout(firstAnswer);
    options.signal.removeEventListener('abort', abort);
    attempt.end();
  }
}

/** Continues the states with one that was already requested. */
async function* continueFrom(
  next: ReturnType<StartedPod['states']['next']>,
  states: StartedPod['states'],
): StartedPod['states'] {
  const state = await next;
  if (state.done === true) return;
  yield state.value;
  yield* states;
}

/** What follows from a state of a starting Pod; undefined while the start must wait. */
type Decision = StartFailure | UsablePod | undefined;
type UsablePod = { readonly kind: 'use'; readonly pod: Pod };

/** One start of a Pod. Judges the Pod by its states, and every few seconds by the Events that arrived meanwhile. */
class StartAttempt {
  /** Ends the watch. */
  readonly stop: AbortController = new AbortController();
  /** Settles when Events show that all containers of the created Pod have started. Its status may still be older. */
  readonly started = Promise.withResolvers<UsablePod>();
  /** The failure that the Events alone have shown. */
  failure: StartFailure | undefined;
  /** The last report. */
  reason = '';
  readonly #request: StartRequest;
  /** The latest Events, oldest first. They may be about several Pods of the name. */
  readonly #events: PodEvent[] = [];
  readonly #endOfEvents = new AbortController();
  #following: Promise<void> | undefined;
  /** The last known state of the Pod that this start has created. */
  #created: Pod | undefined;
  #judged: Pod | undefined;
  #pullMessages: ReadonlyMap<string, string> = new Map();
  #lastDeletion = '';
  readonly #room: Room;
  #timer: NodeJS.Timeout | undefined;
  #stuckTimer: NodeJS.Timeout | undefined;

  constructor(request: StartRequest) {
    this.#request = request;
    this.#room = createRoom({ makeRoom: request.makeRoom, report: this.report, signal: this.stop.signal });
  }

  readonly report = (reason: string): void => {
    if (reason === this.reason) return;
    this.reason = reason;
    this.#request.options.onWaiting(reason);
  };

  hasCreated(pod: Pod): boolean {
    return pod.uid === this.#created?.uid;
  }

  async decide(pod: Pod | undefined): Promise<Decision> {
    const { plan, lease, neededMs, isUnfit } = this.#request;
    const resumeFailure = findResumeFailure(pod, this.#request);
    if (resumeFailure !== undefined) return fail(resumeFailure);
    if (!pod && this.#created) return { ...fail(`Pod ${plan.name} was deleted while it was starting`), isLost: true };
    if (!pod) return await this.#create();
    if (this.hasCreated(pod)) this.#created = pod;
    if (this.hasCreated(pod) || lease.startedIn !== undefined) return this.#judge(pod);
    const mismatch = isUnfit(pod.uid)
      ? 'an earlier build did not end cleanly in it'
      : findMismatch(pod, plan, { neededMs, now: Date.now() });
    if (mismatch) return await this.#replace(pod, mismatch);
    const decision = this.#judge(pod);
    // Another process created it and it cannot start. A new one may.
    return decision?.kind === 'failed' ? await this.#replace(pod, decision.message) : decision;
  }

  /** Ends the watch, and deletes the Pod that this start created. The answer is `aborted` if the build was aborted. */
  async giveUp(answer: StartFailure): Promise<StartAnswer> {
    const { client, plan, options } = this.#request;
    const isAborted = options.signal.aborted;
    this.stop.abort();
    const output = isAborted ? '' : await describeOutput(client, plan.namespace, this.#judged);
    if (this.#created) await deletePod(client, { ...plan, uid: this.#created.uid });
    return isAborted ? { kind: 'aborted' } : { ...answer, message: answer.message + output };
  }

  /** Ends the observation of Events. */
  end(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#stuckTimer);
    this.#endOfEvents.abort();
  }

  #judge(pod: Pod): Decision {
    if (this.#judged?.uid !== pod.uid) this.#pullMessages = new Map();
    this.#judged = pod;
    this.#pullMessages = rememberPulls(pod, this.#pullMessages);
    const events = this.#events.filter(({ podUid }) => podUid === pod.uid);
    const verdict = classifyStart(pod, { events, pullMessages: this.#pullMessages });
    if (verdict.kind === 'ready') return { kind: 'use', pod };
    if (verdict.kind === 'failed') return verdict;
    this.#room.onWaiting(verdict.reason);
    this.report(verdict.reason);
    this.#timer ??= setInterval(() => this.#judgeAgain(), EVENTS_INTERVAL_MS);
    void this.#followEvents();
    return undefined;
  }

  #judgeAgain(): void {
    const decision = this.#judged && this.#judge(this.#judged);
    if (decision?.kind !== 'failed') return;
    this.failure = decision;
    this.stop.abort();
  }

  /** Follows the Events, from the first call on. A warm Pod needs none. */
  async #followEvents(): Promise<void> {
    const { events, plan } = this.#request;
    const onEvent = (event: PodEvent): void => {
      this.#events.push(event);
      if (this.#events.length > MAX_EVENTS) this.#events.shift();
      this.#checkEvents();
    };
    await (this.#following ??= events.follow(plan, { onEvent, signal: this.#endOfEvents.signal }));
  }

  #checkEvents(): void {
    const pod = this.#created;
    if (pod?.isReadyOnceStarted !== true || !haveContainersStarted(pod, this.#events)) return;
    this.started.resolve({ kind: 'use', pod });
  }

  async #create(): Promise<Decision> {
    const { client, plan, lease } = this.#request;
    this.report(`creating Pod ${plan.name}`);
    await Promise.all([lease.recordPod(''), this.#followEvents()]);
    // Without the signal: an aborted creation could leave an unknown Pod.
    const creation = { method: 'POST', path: toPodsPath(plan.namespace), body: plan.manifest } as const;
    let answer = await client.request(creation);
    while (answer.kind === 'refused' && (await this.#room.mayCreate(answer))) answer = await client.request(creation);
    // Another replica created it, or an earlier attempt whose answer was lost. The watch shows it.
    if (answer.kind === 'refused' && answer.reason === 'AlreadyExists') return undefined;
    if (answer.kind === 'refused') return fail(`The cluster refused Pod ${plan.name}: ${answer.message}`);
    this.#created = toPod(answer.body);
    void lease.recordPod(this.#created.uid);
    this.#checkEvents();
    return undefined;
  }

  /** Gives up a Pod with a finalizer that is not gone soon after its grace period. */
  #expectDeletion({ name, isDeleting, deletedAt = Date.now(), finalizers }: Pod): void {
    if (!isDeleting || finalizers.length === 0) return;
    this.#stuckTimer ??= setTimeout(
      () => {
        const names = finalizers.map((finalizer) => `"${finalizer}"`).join(', ');
        this.failure = { ...fail(`Pod ${name} cannot be deleted: it waits for its finalizer ${names}`), isStuck: true };
        this.stop.abort();
      },
      Math.max(0, deletedAt + FINALIZER_MS - Date.now()),
    );
  }

  async #replace(pod: Pod, reason: string): Promise<Decision> {
    const { client, plan } = this.#request;
    this.report(`replacing Pod ${plan.name}: ${reason}`);
    // When nothing runs in the Pod, its node may still keep the name for 10 s (kubelet 1.20). A forced deletion
    // avoids that.
    const hasEnded = pod.containers.length > 0 && pod.containers.every(({ state }) => state.kind === 'terminated');
    // A silent node never releases the name. If it comes back, it ends the containers of deleted Pods.
    const isForced = hasEnded || isNodeSilent(pod);
    this.#expectDeletion(pod);
    const deletion = `${pod.uid} ${isForced}`;
    if (deletion === this.#lastDeletion || (pod.isDeleting && !isForced)) return undefined;
    this.#lastDeletion = deletion;
    const refusal = await deletePod(client, { ...plan, uid: pod.uid, ...(isForced ? { graceSeconds: 0 } : {}) });
    return refusal === undefined ? undefined : fail(refusal);
  }
}

/** Describes why a resumed build cannot continue; undefined when it can, or when it never began. */
function findResumeFailure(pod: Pod | undefined, { plan, lease }: StartRequest): string | undefined {
  const { name } = plan;
  const { startedIn } = lease;
  if (startedIn === undefined) return undefined;
  if (!pod && startedIn === UNKNOWN_POD) {
    return `Pod ${name} is not there, and without Leases c3 cannot tell whether the build had begun in it`;
  }
  if (!pod || (startedIn !== UNKNOWN_POD && pod.uid !== startedIn)) {
    return `Pod ${name}, in which the build began, is gone: what its steps did is unknown`;
  }
  // Compare it with a Pod in which nothing has happened yet.
  const loss = findLoss(pod, { ...pod, containers: [] });
  return loss && `${loss}: what the steps of the build did is unknown`;
}

function describeDelay({ plan, options }: StartRequest, reason: string): string {
  const limit = `${Math.round(options.startTimeoutMs / 1000)} s`;
  return `Pod ${plan.name} did not start within ${limit}${reason ? `: ${reason}` : ''}`;
}
