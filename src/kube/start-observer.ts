import { toList, toPodEvent } from './api-types.ts';
import type { Pod, PodEvent } from './api-types.ts';
import type { KubeClient } from './client.ts';
import type { PodPlan } from './pod.ts';
import { classifyStart, rememberPulls } from './start-failure.ts';
import { toEventsPath } from './watch.ts';

/** What comes of a state of the Pod: an end, or undefined while there is something to wait for. */
export type Decision = Failure | Usable | undefined;
export interface Usable {
  readonly kind: 'use';
  readonly pod: Pod;
}
export interface Failure {
  readonly kind: 'failed';
  readonly message: string;
}

export interface StartObserver {
  judge(pod: Pod): Decision;
  /** What the events alone have told. */
  failure(): Failure | undefined;
  end(): void;
}

/** Events come from another list than the Pod and are for people: seldom enough to cost nothing. */
const EVENTS_EVERY_MS = 5_000;

/** Judges a Pod that is starting by its states, and every few seconds by its events as well. `end` stops that. */
export function createStartObserver(context: {
  client: KubeClient;
  plan: PodPlan;
  signal: AbortSignal;
  say: (reason: string) => void;
  onFailure: () => void;
}): StartObserver {
  const { client, plan, signal, say, onFailure } = context;
  let latest: Pod | undefined;
  let events: readonly PodEvent[] = [];
  let pullMessages: Readonly<Record<string, string>> = {};
  let failure: Failure | undefined;
  let timer: NodeJS.Timeout | undefined;

  function judge(pod: Pod): Decision {
    if (latest?.uid !== pod.uid) [events, pullMessages] = [[], {}];
    latest = pod;
    pullMessages = rememberPulls(pod, pullMessages);
    const verdict = classifyStart(pod, { events, pullMessages });
    if (verdict.kind === 'ready') return { kind: 'use', pod };
    if (verdict.kind === 'failed') return verdict;
    say(verdict.reason);
    timer ??= setInterval(() => void lookAtEvents(pod.uid), EVENTS_EVERY_MS);
    return undefined;
  }
  async function lookAtEvents(uid: string): Promise<void> {
    const found = await listEvents(client, { plan, uid, signal });
    if (found === undefined || signal.aborted || latest?.uid !== uid) return;
    events = found;
    const decision = judge(latest);
    if (decision?.kind !== 'failed') return;
    failure = decision;
    onFailure();
  }

  return {
    judge,
    failure: (): Failure | undefined => failure,
    end: (): void => clearInterval(timer),
  };
}

/** Undefined where events cannot be had: they only help to explain. */
async function listEvents(
  client: KubeClient,
  { plan, uid, signal }: { plan: PodPlan; uid: string; signal: AbortSignal },
): Promise<readonly PodEvent[] | undefined> {
  try {
    const answer = await client.request({
      method: 'GET',
      path: toEventsPath(plan.namespace),
      query: { fieldSelector: `involvedObject.uid=${uid}`, limit: '100' },
      signal,
    });
    if (answer.kind === 'refused') return undefined;
    return toList(answer.body)
      .items.map(toPodEvent)
      .sort((a, b) => a.at - b.at);
  } catch {
    return undefined;
  }
}
