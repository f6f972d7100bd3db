import { toMessage } from '../errors.ts';
import type { Workspace } from '../engine/cluster.ts';
import type { Pod } from './api-types.ts';
import type { ExecClient } from './exec.ts';
import type { Gate } from './gate.ts';
import type { Lease } from './leases/lease.ts';
import { findLoss, isNodeSilent } from './pod-health.ts';
import { createPodExec } from './pod-exec.ts';
import type { StartedPod } from './start-pod.ts';

export interface WorkspaceDependencies {
  /** {@link Workspace.key} */
  readonly key: string;
  readonly namespace: string;
  readonly execs: ExecClient;
  /** Bounds the execs that are being opened. */
  readonly openings: Gate;
  /** Whoever loses it loses the workspace. */
  readonly lease: Lease;
  /** A node that is out of reach for so long is lost with all that runs there. */
  readonly silentNodeMs: number;
  /** Gives the Pod back. Called once, when the watch has ended. */
  readonly giveBack: (outcome: { readonly isClean: boolean }) => Promise<void>;
}

/**
 * Words of an API server that does not reach the node's kubelet, as an answer or, where it has answered 101 itself, as a status.
 *
 * @see https://github.com/kubernetes/apimachinery/blob/master/pkg/util/proxy/upgradeaware.go
 */
const OUT_OF_REACH = /error dialing backend|error sending request|dial tcp |no route to host/i;

/**
 * A new Pod is used before its node has noticed that it runs (pod-events.ts). It is not given back before that: nobody could use
 * it as a warm one, and a kubelet that is to delete what it never saw may take a minute (seen with 1.20). It looks once a second.
 */
const NOTICE_MS = 3_000;
/** A node that has not noticed it by then is out of reach of the API server, which says so of Pods that were ready alone. */
const UNNOTICED_MS = 120_000;

/** A running Pod, as the engine sees it. The watch that saw it start goes on, and tells when it is lost. */
export function createWorkspace(started: StartedPod, dependencies: WorkspaceDependencies): Workspace {
  const { pod, isWarm, states, stop } = started;
  const { lease, giveBack } = dependencies;
  const exec = createPodExec({ ...dependencies, pod: pod.name });
  const lost = Promise.withResolvers<string>();
  let isLost = false;
  let released: Promise<void> | undefined;

  async function follow(): Promise<void> {
    for await (const state of states) {
      const loss = findLoss(state, pod);
      if (loss !== undefined) return lose(loss);
      if (state?.phase !== 'Pending') notice.hear();
      if (state && isNodeSilent(state)) node.miss('it is not ready, the cluster says');
      else node.hear();
    }
  }
  function lose(sentence: string): void {
    isLost = true;
    lost.resolve(sentence);
    notice.hear();
  }
  async function leave(isClean: boolean): Promise<void> {
    await notice.over();
    stop.abort();
    node.close();
    await giveBack({ isClean: isClean && !isLost });
  }
  const notice = createNotice(pod, lose);
  const node = createNodeWatch(dependencies.silentNodeMs, (words) => {
    const seconds = Math.round(dependencies.silentNodeMs / 1000);
    const label = `node "${pod.nodeName}" of Pod ${pod.name}`;
    lose(`${label} has been out of reach for ${seconds} s (${words}): what runs there is unknown`);
  });
  void lease.lost.then(lose);
  // A watch that is refused for good leaves the build blind: that is a loss too.
  follow().catch((error: unknown) => lose(toMessage(error)));

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
        onStdout: (chunk) => (node.hear(), options.onStdout(chunk)),
        onStderr: (chunk) => (node.hear(), options.onStderr(chunk)),
      });
      if (answer.kind === 'refused') {
        if (OUT_OF_REACH.test(answer.message)) node.miss(answer.message);
        return answer;
      }
      void answer.session.done.then((end) => {
        // A program's own end has an exit code.
        if (end.kind === 'status' && end.exitCode === undefined && OUT_OF_REACH.test(end.message))
          node.miss(end.message);
      });
      return answer;
    },
    async release({ isClean }) {
      released ??= leave(isClean);
      await released;
    },
  };
}

/** Whether a node has noticed that its Pod runs; `onSilent` is told when it takes too long. */
function createNotice({ phase, name, nodeName }: Pod, onSilent: (sentence: string) => void) {
  const noticed = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    const seconds = UNNOTICED_MS / 1000;
    onSilent(
      `node "${nodeName}" of Pod ${name} has not told for ${seconds} s that the Pod runs: what runs there is unknown`,
    );
  }, UNNOTICED_MS).unref();
  function hear(): void {
    clearTimeout(timer);
    noticed.resolve();
  }
  if (phase !== 'Pending') hear();
  return {
    hear,
    /** Waits for it as long as it should take; nobody asks for it afterwards. */
    async over(): Promise<void> {
      const late = setTimeout(hear, NOTICE_MS);
      await noticed.promise;
      clearTimeout(late);
      hear();
    },
  };
}

/** Counts the time since a node was first missed; to hear of it ends that. `onSilent` is told, at most once, when it is over the limit. */
function createNodeWatch(limitMs: number, onSilent: (words: string) => void) {
  let timer: NodeJS.Timeout | undefined;
  function hear(): void {
    clearTimeout(timer);
    timer = undefined;
  }
  return {
    hear,
    miss(words: string): void {
      timer ??= setTimeout(() => onSilent(words), limitMs);
    },
    close: hear,
  };
}
