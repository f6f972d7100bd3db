import { toMessage } from '../errors.ts';
import type { Workspace } from '../engine/cluster.ts';
import type { ExecClient } from './exec.ts';
import type { Gate } from './gate.ts';
import { findLoss } from './loss.ts';
import type { StartedPod } from './pod-start.ts';

export interface WorkspaceDependencies {
  readonly namespace: string;
  readonly execs: ExecClient;
  /** Bounds the execs that are being opened. */
  readonly openings: Gate;
  /** Gives the Pod back. Called once, when the watch has ended. */
  readonly giveBack: (outcome: { readonly isClean: boolean }) => Promise<void>;
}

/**
 * The cluster answers 101 before the container's runtime has started the program, and the runtime is what must be spared: an exec
 * counts as being opened until its program says something or ends, but no longer than this, for it may be a quiet one.
 */
const MAX_STARTING_MS = 1_000;

/** A running Pod, as the engine sees it. The watch that saw it start goes on, and tells when it is lost. */
export function createWorkspace(started: StartedPod, dependencies: WorkspaceDependencies): Workspace {
  const { pod, isWarm, states, stop } = started;
  const { namespace, execs, openings, giveBack } = dependencies;
  const lost = Promise.withResolvers<string>();
  let isLost = false;
  let released: Promise<void> | undefined;

  async function follow(): Promise<void> {
    for await (const state of states) {
      const loss = findLoss(state, pod);
      if (loss !== undefined) return lose(loss);
    }
  }
  function lose(sentence: string): void {
    isLost = true;
    lost.resolve(sentence);
  }
  // A watch that is refused for good leaves the build blind: that is a loss too.
  follow().catch((error: unknown) => lose(toMessage(error)));

  return {
    name: pod.name,
    id: pod.uid,
    isWarm,
    epoch: 0,
    warnings: [],
    lost: lost.promise,
    async exec(container, argv, options) {
      const leave = await openings.enter(options.signal);
      if (!leave) return { kind: 'refused', message: 'aborted', isTransient: false };
      const target = { namespace, pod: pod.name, container, argv };
      const answer = await execs.open(target, {
        signal: options.signal,
        onStdout: (chunk) => (leave(), options.onStdout(chunk)),
        onStderr: (chunk) => (leave(), options.onStderr(chunk)),
      });
      if (answer.kind === 'refused') leave();
      else {
        const timer = setTimeout(leave, MAX_STARTING_MS);
        void answer.session.done.then(() => (clearTimeout(timer), leave()));
      }
      return answer;
    },
    async release({ isClean }) {
      stop.abort();
      released ??= giveBack({ isClean: isClean && !isLost });
      await released;
    },
  };
}
