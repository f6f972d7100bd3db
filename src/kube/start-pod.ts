import { toMessage } from '../errors.ts';
import type { OpenOptions, WorkspaceRequest } from '../engine/cluster.ts';
import { toPod } from './api-types.ts';
import type { Pod, PodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import { UNKNOWN_POD } from './leases/lease.ts';
import type { Lease } from './leases/lease.ts';
import { findLoss, isNodeSilent } from './pod-health.ts';
import { findMismatch } from './pod.ts';
import type { PodPlan } from './pod.ts';
import { haveContainersStarted } from './pod-events.ts';
import type { PodEvents } from './pod-events.ts';
import { createStartObserver } from './start-observer.ts';
import type { Decision, Usable } from './start-observer.ts';
import { toPodsPath, watchPod } from './watch.ts';
import type { PodState } from './watch.ts';

/**
 * A Pod whose containers run, and the watch of it, to be followed further: of a new one it may have yet to show that they do.
 * `stop` ends the watch.
 */
export interface StartedPod {
  readonly kind: 'ready';
  readonly pod: Pod;
  readonly isWarm: boolean;
  readonly states: AsyncGenerator<Pod | undefined, void, undefined>;
  readonly stop: AbortController;
}

export type PodStart =
  | StartedPod
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'aborted' };

export interface PodStartRequest {
  readonly client: KubeClient;
  readonly events: PodEvents;
  readonly plan: PodPlan;
  readonly order: WorkspaceRequest;
  readonly options: OpenOptions;
  readonly lease: Lease;
  /** What was seen of the Pod while the Lease was asked for; undefined when it may not be true any more. */
  readonly early: PodState | undefined;
  /** Whether a Pod of this UID must not serve again, whatever it looks like. */
  readonly isUnfit: (uid: string) => boolean;
}

/** A restart of the API server takes seconds; a cluster that has not answered once by now is not there, and the user waits. */
const FIRST_ANSWER_MS = 30_000;
/** Of a Pod that starts. */
const MAX_EVENTS = 200;
/** Nothing in a Pod that is given up is worth waiting for. 0 would be a forced deletion, which leaves the containers running. */
const GRACE_SECONDS = 1;

/**
 * Makes the planned Pod run: takes the one that is there if it is exactly as expected, else deletes it, waits until it is gone
 * and creates it; a new one can be used once its node says that all its containers have started. A build that is taken up again has
 * the Pod in which it began, or none. A warm Pod costs one request. A Pod that does not come up is deleted again if it was created here.
 */
export async function startPod(request: PodStartRequest): Promise<PodStart> {
  const { client, plan, options } = request;
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  options.signal.addEventListener('abort', abort, { once: true });
  const attempt = createAttempt(request, stop);
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    stop.abort();
  }, options.startTimeoutMs);
  let isUnreachable = false;
  const firstAnswer = setTimeout(() => {
    isUnreachable = true;
    stop.abort();
  }, FIRST_ANSWER_MS);
  try {
    if (options.signal.aborted) return { kind: 'aborted' };
    const states = watchPod(client, {
      namespace: plan.namespace,
      name: plan.name,
      signal: stop.signal,
      from: request.early,
      onTrouble: attempt.say,
    });
    for (let next = states.next(); ; next = states.next()) {
      const seen = await Promise.race([next, attempt.started]);
      clearTimeout(firstAnswer);
      const isEarly = 'kind' in seen;
      if (!isEarly && seen.done === true) break;
      const decision = isEarly ? seen : await attempt.decide(seen.value);
      if (options.signal.aborted || isLate) break;
      if (decision?.kind === 'use') {
        const isWarm = !attempt.hasCreated(decision.pod);
        return { kind: 'ready', pod: decision.pod, isWarm, states: isEarly ? goOn(next, states) : states, stop };
      }
      if (decision) return await attempt.giveUp(decision);
    }
    if (options.signal.aborted) return await attempt.giveUp({ kind: 'aborted' });
    if (isUnreachable) return { kind: 'failed', message: attempt.reason() };
    return await attempt.giveUp(
      attempt.failure() ?? { kind: 'failed', message: describeDelay(request, attempt.reason()) },
    );
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

/** The states from one on that was asked for already. */
async function* goOn(
  next: ReturnType<StartedPod['states']['next']>,
  states: StartedPod['states'],
): StartedPod['states'] {
  const state = await next;
  if (state.done === true) return;
  yield state.value;
  yield* states;
}

/** What one start knows: which Pod it made, which it deleted, what it has said. */
function createAttempt(request: PodStartRequest, stop: AbortController) {
  const { client, plan, order, options, lease } = request;
  let lastDeletion: string | undefined;
  let lastReason = '';
  const told = createTold(request);
  const observer = createStartObserver({ told: told.events, say, onFailure: () => stop.abort() });
  const own = createOwnPod(request, told.events);

  function say(reason: string): void {
    if (reason === lastReason) return;
    lastReason = reason;
    options.onWaiting(reason);
  }

  function judge(pod: Pod): Decision {
    const decision = observer.judge(pod);
    if (decision === undefined) void told.follow(own.hear);
    return decision;
  }

  async function create(): Promise<Decision> {
    say(`creating Pod ${plan.name}`);
    await Promise.all([lease.begin(''), told.follow(own.hear)]);
    // Not under the signal: a creation cut off half-way would leave a Pod nobody knows of.
    const answer = await client.request({ method: 'POST', path: toPodsPath(plan.namespace), body: plan.manifest });
    if (answer.kind === 'ok') return own.welcome(toPod(answer.body));
    // Made by another replica, or by an earlier try of ours whose answer was lost: the watch shows it.
    if (answer.reason === 'AlreadyExists') return undefined;
    return { kind: 'failed', message: `The cluster refused Pod ${plan.name}: ${answer.message}` };
  }

  async function replace(pod: Pod, reason: string): Promise<Decision> {
    say(`replacing Pod ${plan.name}: ${reason}`);
    // Once nothing runs in it, its node may take another 10 s to let go of the name (kubelet 1.20): forcing skips that.
    const hasEnded = pod.containers.length > 0 && pod.containers.every(({ state }) => state.kind === 'terminated');
    // And a node that is silent lets go of nothing; if it comes back, it ends what it finds forgotten.
    const isForced = hasEnded || isNodeSilent(pod);
    const graceSeconds = isForced ? 0 : GRACE_SECONDS;
    const deletion = `${pod.uid} ${graceSeconds}`;
    if (deletion === lastDeletion || (pod.isDeleting && !isForced)) return undefined;
    lastDeletion = deletion;
    const refusal = await deletePod(client, { ...plan, uid: pod.uid, graceSeconds });
    return refusal === undefined ? undefined : { kind: 'failed', message: refusal };
  }

  return {
    say,
    reason: (): string => lastReason,
    failure: observer.failure,
    end(): void {
      observer.end();
      told.end();
    },
    hasCreated: own.is,
    started: own.started,
    async decide(pod: Pod | undefined): Promise<Decision> {
      const gone = findResumeFailure(pod, { name: plan.name, begunIn: lease.begunIn });
      if (gone !== undefined) return { kind: 'failed', message: gone };
      if (pod && lease.begunIn !== undefined) return judge(pod);
      if (!pod) {
        if (own.latest === undefined) return await create();
        return { kind: 'failed', message: `Pod ${plan.name} was deleted while it was starting` };
      }
      if (own.is(pod)) return judge(own.see(pod));
      const mismatch = request.isUnfit(pod.uid)
        ? 'an earlier build did not end cleanly in it'
        : findMismatch(pod, plan, { neededMs: order.neededMs, now: Date.now() });
      if (mismatch) return await replace(pod, mismatch);
      const decision = judge(pod);
      // One that somebody else made and that cannot start: ours may do better.
      return decision?.kind === 'failed' ? await replace(pod, decision.message) : decision;
    },
    async giveUp<T>(answer: T): Promise<T> {
      stop.abort();
      if (own.latest !== undefined) await deletePod(client, { ...plan, uid: own.latest.uid });
      return answer;
    },
  };
}

/** What Events tell of the Pods of the planned name. */
function createTold({ events: podEvents, plan }: PodStartRequest) {
  const events: PodEvent[] = [];
  const following = new AbortController();
  let followed: Promise<void> | undefined;
  return {
    /** So far, oldest first. */
    events: events as readonly PodEvent[],
    /** From the first call on; not before it is known that the Pod has yet to start: a warm one asks for nothing. */
    async follow(hear: () => void): Promise<void> {
      const onEvent = (event: PodEvent): void => {
        events.push(event);
        if (events.length > MAX_EVENTS) events.shift();
        hear();
      };
      await (followed ??= podEvents.follow(plan, { onEvent, signal: following.signal }));
    },
    end: (): void => following.abort(),
  };
}

/** The Pod that a start has made, once it has. */
function createOwnPod({ lease }: PodStartRequest, told: readonly PodEvent[]) {
  let latest: Pod | undefined;
  const started = Promise.withResolvers<Usable>();
  function hear(): void {
    if (latest?.isReadyOnceStarted !== true || !haveContainersStarted(latest, told)) return;
    started.resolve({ kind: 'use', pod: latest });
  }
  return {
    /** As it was seen last. */
    get latest(): Pod | undefined {
      return latest;
    },
    is: (pod: Pod): boolean => pod.uid === latest?.uid,
    /** While it starts, it is noted as the one in which the build begins. */
    welcome(pod: Pod): undefined {
      latest = pod;
      void lease.begin(pod.uid);
      hear();
    },
    see: (pod: Pod): Pod => (latest = pod),
    /** Settles when its node says that all its containers have started; it is as it was seen last then. */
    started: started.promise,
    /** Looks at what Events have told. */
    hear,
  };
}

/** Why a build that is taken up cannot go on in the Pod in which it began; undefined when it can, or when it never began. */
function findResumeFailure(
  pod: Pod | undefined,
  { name, begunIn }: { name: string; begunIn: string | undefined },
): string | undefined {
  if (begunIn === undefined) return undefined;
  if (!pod && begunIn === UNKNOWN_POD) {
    return `Pod ${name} is not there, and without Leases c3 cannot tell whether the build had begun in it`;
  }
  if (!pod || (begunIn !== UNKNOWN_POD && pod.uid !== begunIn)) {
    return `Pod ${name}, in which the build began, is gone: what its steps did is unknown`;
  }
  // Compared with a Pod in which nothing has happened yet.
  const loss = findLoss(pod, { ...pod, containers: [] });
  return loss && `${loss}: what the steps of the build did is unknown`;
}

/**
 * Deletes the Pod of this UID, not one that took its name; without a UID, whichever has the name. Undefined when it is gone or
 * going, else a sentence. Never throws.
 */
export async function deletePod(
  client: KubeClient,
  {
    namespace,
    name,
    uid,
    graceSeconds = GRACE_SECONDS,
  }: { namespace: string; name: string; uid: string | undefined; graceSeconds?: number },
): Promise<string | undefined> {
  try {
    const answer = await client.request({
      method: 'DELETE',
      path: `${toPodsPath(namespace)}/${encodeURIComponent(name)}`,
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        gracePeriodSeconds: graceSeconds,
        ...(uid === undefined ? {} : { preconditions: { uid } }),
      },
    });
    // 409: another Pod has the name by now.
    if (answer.kind === 'ok' || answer.code === 404 || answer.code === 409) return undefined;
    return `The cluster refused to delete Pod ${name}: ${answer.message}`;
  } catch (error) {
    return `Pod ${name} could not be deleted: ${toMessage(error)}`;
  }
}

function describeDelay({ plan, options }: PodStartRequest, reason: string): string {
  const limit = `${Math.round(options.startTimeoutMs / 1000)} s`;
  return `Pod ${plan.name} did not start within ${limit}${reason ? `: ${reason}` : ''}`;
}
