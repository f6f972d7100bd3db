import { toMessage } from '../errors.ts';
import type { Workspace } from '../engine/cluster.ts';
import type { KubeClient } from './client.ts';
import { describeOutput } from './container-output.ts';
import { createPodExec, type PodExecOptions } from './exec.ts';
import type { Lease } from './leases/lease.ts';
import { findLoss, findSidecarEnd, isNodeSilent } from './pod-health.ts';
import type { StartedPod } from './start-pod.ts';

export interface WorkspaceDependencies extends Omit<PodExecOptions, 'pod'> {
  readonly client: KubeClient;
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
  const { client, namespace, key, lease, giveBack, silentNodeMs } = dependencies;
  const lost = Promise.withResolvers<string>();
  const running = Promise.withResolvers<void>();
  let isLost = false;
  let trouble: string | undefined;
  let released: Promise<void> | undefined;
  let nodeTimer: NodeJS.Timeout | undefined;
  const runningTimer = setTimeout(loseNode, NOT_RUNNING_MS, 'has not reported for 120 s that the Pod runs').unref();

  function lose(sentence: string): void {
    isLost = true;
    lost.resolve(sentence);
    confirmRunning();
  }
  function loseNode(problem: string): void {
    lose(`node "${pod.nodeName}" of Pod ${pod.name} ${problem}: what runs there is unknown`);
  }
  function confirmRunning(): void {
    clearTimeout(runningTimer);
    running.resolve();
  }
  /** The workspace is lost after {@link WorkspaceDependencies.silentNodeMs} from the first miss without a contact. */
  function recordMiss(cause: string): void {
    const problem = `has been out of reach for ${Math.round(silentNodeMs / 1000)} s (${cause})`;
    nodeTimer ??= setTimeout(loseNode, silentNodeMs, problem);
  }
  function recordContact(): void {
    clearTimeout(nodeTimer);
    nodeTimer = undefined;
  }
  async function watchStates(): Promise<void> {
    for await (const state of states) {
      const loss = findLoss(state, pod);
      if (loss !== undefined) return lose(loss + (await describeOutput(client, namespace, state)));
      trouble ??= state && findSidecarEnd(state, pod);
      if (state?.phase !== 'Pending') confirmRunning();
      if (state && isNodeSilent(state)) recordMiss('it is not ready, the cluster says');
      else recordContact();
    }
  }
  async function giveBackOnce(isClean: boolean): Promise<void> {
    // As long as a healthy node needs.
    const late = setTimeout(confirmRunning, RUNNING_WAIT_MS);
    await running.promise;
    clearTimeout(late);
    stop.abort();
    recordContact();
    await giveBack({ isClean: isClean && !isLost && trouble === undefined });
  }
  if (pod.phase !== 'Pending') confirmRunning();
  void lease.lost.then(lose);
  // Without its watch the build cannot detect a loss, so a failed watch is a loss.
  watchStates().catch((error: unknown) => lose(toMessage(error)));

  return {
    name: pod.name,
    id: pod.uid,
    key,
    isWarm,
    epoch: lease.epoch,
    isAbandoned: lease.isAbandoned && isWarm,
    warnings: lease.warnings,
    lost: lost.promise,
    findTrouble: () => trouble,
    exec: watchExecs(createPodExec({ ...dependencies, pod: pod.name }), { recordMiss, recordContact }),
    release: async ({ isClean }) => await (released ??= giveBackOnce(isClean)),
  };
}

/** Reports to the workspace what execs show about the node. */
function watchExecs(
  exec: Workspace['exec'],
  { recordMiss, recordContact }: { recordMiss: (cause: string) => void; recordContact: () => void },
): Workspace['exec'] {
  return async (container, argv, options) => {
    const answer = await exec(container, argv, {
      signal: options.signal,
      onStdout: (chunk) => (recordContact(), options.onStdout(chunk)),
      onStderr: (chunk) => (recordContact(), options.onStderr(chunk)),
    });
    if (answer.kind === 'refused') {
      if (UNREACHABLE_NODE.test(answer.message)) recordMiss(answer.message);
      return answer;
    }
    void answer.session.done.then((end) => {
      // When the program itself ended, there is an exit code.
      const isUnknown = end.kind === 'status' && end.exitCode === undefined;
      if (isUnknown && UNREACHABLE_NODE.test(end.message)) recordMiss(end.message);
    });
    return answer;
  };
}
