import { toMessage } from '../errors.ts';
import type { OpenWorkspaceOptions } from '../engine/cluster.ts';
import { toPod, type Pod } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { UNKNOWN_POD, type Lease } from './leases/lease.ts';
import { findLoss, isNodeSilent } from './pod-health.ts';
import { findMismatch, type PodPlan } from './pod.ts';
import { collectEvents, haveContainersStarted, type CollectedEvents, type PodEvents } from './pod-events.ts';
import { deletePod } from './pod-reaper.ts';
import { observeStart, type Decision, type UsablePod } from './start-progress.ts';
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

export type StartAnswer =
  | StartedPod
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'aborted' };

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
  /** Tells whether the Pod with this UID must not be used again. */
  readonly isUnfit: (uid: string) => boolean;
}

/**
 * A restart of the API server takes seconds. A cluster that has not answered by now does not exist, and the user
 * waits.
 */
const FIRST_ANSWER_MS = 30_000;

/**
 * Gets the planned Pod running. Uses the existing Pod if it is exactly as planned. Else deletes it, waits until it is
 * gone, and creates a new one, which can be used when its node reports that all containers have started. A resumed
 * build needs the Pod in which it began. A warm Pod costs one request. If a Pod that was created here does not start,
 * it is deleted.
 */
export async function startPod(request: StartRequest): Promise<StartAnswer> {
  const { client, plan, options } = request;
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  options.signal.addEventListener('abort', abort, { once: true });
  const attempt = createAttempt(request, stop);
  let timeout: 'late' | 'unreachable' | undefined;
  function stopAfter(ms: number, cause: NonNullable<typeof timeout>): NodeJS.Timeout {
    return setTimeout(() => {
      timeout = cause;
      stop.abort();
    }, ms);
  }
  const deadline = stopAfter(options.startTimeoutMs, 'late');
  const firstAnswer = stopAfter(FIRST_ANSWER_MS, 'unreachable');
  try {
    if (options.signal.aborted) return { kind: 'aborted' };
    const states = watchPod(client, {
      namespace: plan.namespace,
      name: plan.name,
      signal: stop.signal,
      from: request.snapshot,
      onTrouble: attempt.report,
    });
    for (let next = states.next(); ; next = states.next()) {
      const result = await Promise.race([next, attempt.started]);
      clearTimeout(firstAnswer);
      const isByEvents = 'kind' in result;
      if (!isByEvents && result.done === true) break;
      const decision = isByEvents ? result : await attempt.decide(result.value);
      if (options.signal.aborted || timeout === 'late') break;
      if (decision?.kind === 'use') {
        const isWarm = !attempt.hasCreated(decision.pod);
        const remaining = isByEvents ? continueFrom(next, states) : states;
        return { kind: 'ready', pod: decision.pod, isWarm, states: remaining, stop };
      }
      if (decision) return await attempt.giveUp(decision);
    }
    if (options.signal.aborted) return await attempt.giveUp({ kind: 'aborted' });
    if (timeout === 'unreachable') return { kind: 'failed', message: attempt.reason() };
    const failure = attempt.failure() ?? { kind: 'failed', message: describeDelay(request, attempt.reason()) };
    return await attempt.giveUp(failure);
  } catch (error) {
    return await attempt.giveUp(
      options.signal.aborted ? { kind: 'aborted' } : { kind: 'failed', message: toMessage(error) },
    );
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

/** The state of one start: the Pod that it created, its last deletion, and its last report. */
function createAttempt(request: StartRequest, stop: AbortController) {
  const { client, plan, neededMs, options, lease } = request;
  let lastDeletion: string | undefined;
  let lastReason = '';
  const collected = collectEvents(request.events, plan);
  const observer = observeStart({ collected, report, onFailure: () => stop.abort() });
  const created = createCreatedPod(lease, collected);

  function report(reason: string): void {
    if (reason === lastReason) return;
    lastReason = reason;
    options.onWaiting(reason);
  }
  function judge(pod: Pod): Decision {
    const decision = observer.judge(pod);
    if (decision === undefined) void collected.start(created.checkEvents);
    return decision;
  }
  async function create(): Promise<Decision> {
    report(`creating Pod ${plan.name}`);
    await Promise.all([lease.recordPod(''), collected.start(created.checkEvents)]);
    // Without the signal: an aborted creation could leave an unknown Pod.
    const answer = await client.request({ method: 'POST', path: toPodsPath(plan.namespace), body: plan.manifest });
    if (answer.kind === 'ok') return created.set(toPod(answer.body));
    // Another replica created it, or an earlier attempt whose answer was lost. The watch shows it.
    if (answer.reason === 'AlreadyExists') return undefined;
    return { kind: 'failed', message: `The cluster refused Pod ${plan.name}: ${answer.message}` };
  }
  async function replace(pod: Pod, reason: string): Promise<Decision> {
    report(`replacing Pod ${plan.name}: ${reason}`);
    // When nothing runs in the Pod, its node may still keep the name for 10 s (kubelet 1.20). A forced deletion
    // avoids that.
    const hasEnded = pod.containers.length > 0 && pod.containers.every(({ state }) => state.kind === 'terminated');
    // A silent node never releases the name. If it comes back, it ends the containers of deleted Pods.
    const isForced = hasEnded || isNodeSilent(pod);
    const deletion = `${pod.uid} ${isForced}`;
    if (deletion === lastDeletion || (pod.isDeleting && !isForced)) return undefined;
    lastDeletion = deletion;
    const refusal = await deletePod(client, { ...plan, uid: pod.uid, ...(isForced ? { graceSeconds: 0 } : {}) });
    return refusal === undefined ? undefined : { kind: 'failed', message: refusal };
  }

  return {
    report,
    reason: (): string => lastReason,
    failure: observer.failure,
    end(): void {
      observer.stop();
      collected.stop();
    },
    hasCreated: created.is,
    started: created.started,
    async decide(pod: Pod | undefined): Promise<Decision> {
      const resumeFailure = findResumeFailure(pod, { name: plan.name, startedIn: lease.startedIn });
      if (resumeFailure !== undefined) return { kind: 'failed', message: resumeFailure };
      if (pod && lease.startedIn !== undefined) return judge(pod);
      if (!pod) {
        if (created.latest === undefined) return await create();
        return { kind: 'failed', message: `Pod ${plan.name} was deleted while it was starting` };
      }
      if (created.is(pod)) return judge(created.update(pod));
      const mismatch = request.isUnfit(pod.uid)
        ? 'an earlier build did not end cleanly in it'
        : findMismatch(pod, plan, { neededMs, now: Date.now() });
      if (mismatch) return await replace(pod, mismatch);
      const decision = judge(pod);
      // Somebody else created it and it cannot start. A new one may.
      return decision?.kind === 'failed' ? await replace(pod, decision.message) : decision;
    },
    /** Deletes the Pod that this start created. */
    async giveUp<T>(answer: T): Promise<T> {
      stop.abort();
      if (created.latest !== undefined) await deletePod(client, { ...plan, uid: created.latest.uid });
      return answer;
    },
  };
}

/** The Pod that a start has created. */
function createCreatedPod(lease: Lease, { events }: CollectedEvents) {
  let latest: Pod | undefined;
  const started = Promise.withResolvers<UsablePod>();
  function checkEvents(): void {
    if (latest?.isReadyOnceStarted !== true || !haveContainersStarted(latest, events)) return;
    started.resolve({ kind: 'use', pod: latest });
  }
  return {
    /** Its last known state; undefined before the creation. */
    get latest(): Pod | undefined {
      return latest;
    },
    is: (pod: Pod): boolean => pod.uid === latest?.uid,
    /** Records it as the Pod in which the build begins, while it starts. */
    set(pod: Pod): undefined {
      latest = pod;
      void lease.recordPod(pod.uid);
      checkEvents();
    },
    update: (pod: Pod): Pod => (latest = pod),
    /** Settles when Events show that all its containers have started. Its status may still be older. */
    started: started.promise,
    checkEvents,
  };
}

/** Describes why a resumed build cannot continue; undefined when it can, or when it never began. */
function findResumeFailure(
  pod: Pod | undefined,
  { name, startedIn }: { name: string; startedIn: string | undefined },
): string | undefined {
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
