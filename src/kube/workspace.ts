import { toMessage } from '../errors.ts';
import type { Workspace } from '../engine/cluster.ts';
import type { Pod } from './api-types.ts';
import { createPodExec, type PodExecOptions } from './exec.ts';
import type { Lease } from './leases/lease.ts';
import { findLoss, isNodeSilent } from './pod-health.ts';
import type { StartedPod } from './start-pod.ts';

export interface WorkspaceDependencies extends Omit<PodExecOptions, 'pod'> {
  /** {@link Workspace.key} */
  readonly key: string;
  /** When the Lease is lost, the workspace is lost. */
  readonly lease: Lease;
  /** When the node was unreachable for this time, the workspace is lost. */
  readonly silentNodeMs: number;
  /** Gives the Pod back. Called once, after the watch has ended. */
  readonly giveBack: (outcome: { readonly isClean: boolean }) => Promise<void>;
}

/**
 * What an API server says when it cannot reach the node's kubelet: in an answer, or, if it has answered 101 itself,
 * in a status.
 *
 * @see https://github.com/kubernetes/apimachinery/blob/master/pkg/util/proxy/upgradeaware.go
 */
const UNREACHABLE_NODE = /error dialing backend|error sending request|dial tcp |no route to host/i;

/**
 * A build can use a new Pod before its status shows that it runs (`pod-events.ts`). The Pod is not given back before
 * the status shows it, because it could not be reused, and a kubelet may take a minute to delete a Pod that it never
 * saw running (kubelet 1.20). The kubelet updates the status once a second.
 */
const RUNNING_WAIT_MS = 3_000;
/**
 * When the status does not show it by then, the node is unreachable. The API server marks only ready Pods of such a
 * node.
 */
const NOT_RUNNING_MS = 120_000;

/**
 * Creates the engine's view of a running Pod. The watch that saw the Pod start continues, and detects when it is
 * lost.
 */
export function createWorkspace(started: StartedPod, dependencies: WorkspaceDependencies): Workspace {
  const { pod, isWarm, states, stop } = started;
  const { lease, giveBack } = dependencies;
  const exec = createPodExec({ ...dependencies, pod: pod.name });
  const lost = Promise.withResolvers<string>();
  let isLost = false;
  let released: Promise<void> | undefined;

  async function watchStates(): Promise<void> {
    for await (const state of states) {
      const loss = findLoss(state, pod);
      if (loss !== undefined) return lose(loss);
      if (state?.phase !== 'Pending') running.confirm();
      if (state && isNodeSilent(state)) node.recordMiss('it is not ready, the cluster says');
      else node.recordContact();
    }
  }
  function lose(sentence: string): void {
    isLost = true;
    lost.resolve(sentence);
    running.confirm();
  }
  async function giveBackOnce(isClean: boolean): Promise<void> {
    await running.wait();
    stop.abort();
    node.stop();
    await giveBack({ isClean: isClean && !isLost });
  }
  const running = createRunningCheck(pod, lose);
  const node = createNodeCheck(dependencies.silentNodeMs, (cause) => {
    const seconds = Math.round(dependencies.silentNodeMs / 1000);
    const label = `node "${pod.nodeName}" of Pod ${pod.name}`;
    lose(`${label} has been out of reach for ${seconds} s (${cause}): what runs there is unknown`);
  });
  void lease.lost.then(lose);
  // Without its watch the build cannot detect a loss, so a failed watch is a loss.
  watchStates().catch((error: unknown) => lose(toMessage(error)));

  return {
    name: pod.name,
    id: pod.uid,
    key: dependencies.key,
    isWarm,
    epoch: lease.epoch,
    warnings: lease.warnings,
    lost: lost.promise,
    async exec(container, argv, options) {
      const answer = await exec(container, argv, {
        signal: options.signal,
        onStdout: (chunk) => (node.recordContact(), options.onStdout(chunk)),
        onStderr: (chunk) => (node.recordContact(), options.onStderr(chunk)),
      });
      if (answer.kind === 'refused') {
        if (UNREACHABLE_NODE.test(answer.message)) node.recordMiss(answer.message);
        return answer;
      }
      void answer.session.done.then((end) => {
        // When the program itself ended, there is an exit code.
        if (end.kind === 'status' && end.exitCode === undefined && UNREACHABLE_NODE.test(end.message)) {
          node.recordMiss(end.message);
        }
      });
      return answer;
    },
    async release({ isClean }) {
      released ??= giveBackOnce(isClean);
      await released;
    },
  };
}

/** Waits for the Pod's status to show that it runs. `onTimeout` is called when that takes too long. */
function createRunningCheck({ phase, name, nodeName }: Pod, onTimeout: (sentence: string) => void) {
  const confirmed = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    const seconds = NOT_RUNNING_MS / 1000;
    onTimeout(
      `node "${nodeName}" of Pod ${name} has not reported for ${seconds} s that the Pod runs: what runs there is unknown`,
    );
  }, NOT_RUNNING_MS).unref();
  function confirm(): void {
    clearTimeout(timer);
    confirmed.resolve();
  }
  if (phase !== 'Pending') confirm();
  return {
    confirm,
    /** Waits as long as a healthy node needs, and ends the check. */
    async wait(): Promise<void> {
      const late = setTimeout(confirm, RUNNING_WAIT_MS);
      await confirmed.promise;
      clearTimeout(late);
      confirm();
    },
  };
}

/**
 * Measures the time since the first miss without a later contact. `onTimeout` is called, at most once, when it
 * reaches the limit.
 */
function createNodeCheck(limitMs: number, onTimeout: (cause: string) => void) {
  let timer: NodeJS.Timeout | undefined;
  function recordContact(): void {
    clearTimeout(timer);
    timer = undefined;
  }
  return {
    recordContact,
    recordMiss(cause: string): void {
      timer ??= setTimeout(() => onTimeout(cause), limitMs);
    },
    stop: recordContact,
  };
}
