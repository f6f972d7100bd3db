import type { BuildState } from '../../src/build/index.ts';
import type { RunningBuild } from '../../src/logs/build-view.ts';

/** A running build, as the server holds it. */
export function createRunning(): { running: RunningBuild; onState(state: BuildState): void; end(): void } {
  const states: BuildState[] = [];
  let isOver = false;
  let wake = Promise.withResolvers<undefined>();
  function tell(): void {
    wake.resolve(undefined);
    wake = Promise.withResolvers();
  }
  return {
    onState(state): void {
      states.push(state);
      tell();
    },
    end(): void {
      isOver = true;
      tell();
    },
    running: {
      get state() {
        const state = states.at(-1);
        if (!state) throw new Error('it has no state yet');
        return state;
      },
      async *changes(signal) {
        const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        for (let at = 0; !signal.aborted;) {
          for (; at < states.length; at += 1) yield states[at] as BuildState;
          if (isOver) return;
          await Promise.race([wake.promise, aborted]);
        }
      },
    },
  };
}
