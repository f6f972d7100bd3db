import type { Workspace } from '../engine/cluster.ts';
import { createDenials } from './denials.ts';
import type { ExecClient } from './exec.ts';
import type { Gate } from './gate.ts';

export interface PodExecTarget {
  readonly namespace: string;
  /** Its name. */
  readonly pod: string;
  readonly execs: ExecClient;
  /** Bounds the execs that are being opened. */
  readonly openings: Gate;
}

/**
 * The cluster answers 101 before the container's runtime has started the program, and the runtime is what must be spared: an exec
 * counts as being opened until its program says something or ends, but no longer than this, for it may be a quiet one.
 */
const MAX_STARTING_MS = 1_000;

/**
 * Execs into one Pod, whoever wants them: of all in the cluster, few are being opened at a time. Once one has been opened, those that are
 * refused are worth another try for a while.
 */
export function createPodExec({ namespace, pod, execs, openings }: PodExecTarget): Workspace['exec'] {
  const denials = createDenials();
  return async (container, argv, options) => {
    const leave = await openings.enter(options.signal);
    if (!leave) return { kind: 'refused', message: 'aborted', isTransient: false };
    const target = { namespace, pod, container, argv };
    const answer = await execs.open(target, {
      signal: options.signal,
      onStdout: (chunk) => (leave(), options.onStdout(chunk)),
      onStderr: (chunk) => (leave(), options.onStderr(chunk)),
    });
    if (answer.kind === 'refused') {
      leave();
      return { kind: 'refused', message: answer.message, isTransient: answer.isTransient || denials.mayPass(answer) };
    }
    denials.forget();
    const timer = setTimeout(leave, MAX_STARTING_MS);
    void answer.session.done.then(() => {
      clearTimeout(timer);
      leave();
    });
    return answer;
  };
}
