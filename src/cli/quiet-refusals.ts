import type { Reporter } from '../engine/index.ts';

/**
 * A reporter that keeps a refused build to itself when `take` says that there were enough. Anybody can make c3 refuse a build of any
 * repository, with a token of their own; whoever reads the operator's chat must not drown in that, nor their own builds wait for it.
 *
 * @param take 0: it may be told
 */
export function quietRefusals(reporter: Reporter, take: () => number, onKept: () => void): Reporter {
  let isKept: boolean | undefined;
  return {
    ...reporter,
    report(state) {
      // A build that is refused is reported once, when it is over.
      if (isKept === undefined) {
        const isRefused = state.phase.kind === 'ended' && state.phase.ending.kind === 'refused';
        isKept = isRefused && take() > 0;
        if (isKept) onKept();
      }
      if (!isKept) reporter.report(state);
    },
    finish: () => reporter.finish(),
  };
}
