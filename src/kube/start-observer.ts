import type { Pod, PodEvent } from './api-types.ts';
import { classifyStart, rememberPulls } from './start-progress.ts';

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

/** Of what Events tell people are told seldom: most Pods have started before. */
const EVENTS_EVERY_MS = 5_000;

/** Judges a Pod that is starting by its states, and every few seconds by what Events have told of it as well. `end` stops that. */
export function createStartObserver(context: {
  /** What Events have told so far, of other Pods of the name too, oldest first. */
  told: readonly PodEvent[];
  say: (reason: string) => void;
  onFailure: () => void;
}): StartObserver {
  const { told, say, onFailure } = context;
  let latest: Pod | undefined;
  let pullMessages: ReadonlyMap<string, string> = new Map();
  let failure: Failure | undefined;
  let timer: NodeJS.Timeout | undefined;

  function judge(pod: Pod): Decision {
    if (latest?.uid !== pod.uid) pullMessages = new Map();
    latest = pod;
    pullMessages = rememberPulls(pod, pullMessages);
    const events = told.filter(({ podUid }) => podUid === pod.uid);
    const verdict = classifyStart(pod, { events, pullMessages });
    if (verdict.kind === 'ready') return { kind: 'use', pod };
    if (verdict.kind === 'failed') return verdict;
    say(verdict.reason);
    timer ??= setInterval(judgeAgain, EVENTS_EVERY_MS);
    return undefined;
  }
  function judgeAgain(): void {
    const decision = latest && judge(latest);
    if (decision?.kind !== 'failed') return;
    failure = decision;
    onFailure();
  }

  return { judge, failure: (): Failure | undefined => failure, end: (): void => clearInterval(timer) };
}
