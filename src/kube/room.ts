import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeRefusal } from './client.ts';
import { isWebhookAway } from './cluster-connection.ts';

/**
 * Waits for what a new Pod lacks. When the quota or the nodes have no room, it deletes idle Pods of its repository,
 * once. When an admission webhook is away, it waits for it.
 */
export interface Room {
  /** Waits until the creation may succeed that was refused like this. Returns false when it cannot. */
  mayCreate(refusal: KubeRefusal): Promise<boolean>;
  /** Called with the reason why the Pod does not start yet. */
  onWaiting(reason: string): void;
}

/**
 * A quota counts a Pod until it is gone, and its containers may take their grace period. The Pod of a webhook also
 * restarts in this time.
 */
const WAIT_MS = 60_000;
const PAUSE_MS = 500;
/** @see https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/resourcequota/controller.go */
const QUOTA = /exceeded quota/;
/** @see https://github.com/kubernetes/kubernetes/blob/master/pkg/scheduler/framework/plugins/noderesources/fit.go */
const NO_NODE = /^no node accepts Pod .*(?:Insufficient|Too many pods)/;

/** @param options `makeRoom` deletes the idle Pods of the repository, and returns whether there was one. */
export function createRoom(options: {
  readonly makeRoom: () => Promise<boolean>;
  readonly report: (reason: string) => void;
  readonly signal: AbortSignal;
  /** Default: one minute. */
  readonly waitMs?: number;
}): Room {
  const { signal, waitMs = WAIT_MS } = options;
  let made: Promise<boolean> | undefined;
  let deadline = 0;
  let webhookDeadline: number | undefined;

  async function make(): Promise<boolean> {
    const hasMade = await options.makeRoom();
    if (hasMade) options.report('deleting idle Pods of this repository to make room');
    deadline = performance.now() + waitMs;
    return hasMade;
  }

  async function pauseBefore(end: number): Promise<boolean> {
    if (performance.now() > end) return false;
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }

  return {
    async mayCreate(refusal) {
      if (isWebhookAway(refusal)) {
        options.report(`waiting for an admission webhook of the cluster: ${refusal.message}`);
        return await pauseBefore((webhookDeadline ??= performance.now() + waitMs));
      }
      if (!QUOTA.test(refusal.message) || !(await (made ??= make()))) return false;
      return await pauseBefore(deadline);
    },
    onWaiting(reason) {
      if (NO_NODE.test(reason)) made ??= make();
    },
  };
}
