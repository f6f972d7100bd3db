import type { BuildState } from '../build/index.ts';
import type { RunningBuild } from '../logs/index.ts';

/** What a build that runs is told about, and what watches it. */
export interface StateFeed {
  /** The newest state is kept, none before it: whoever is slow misses some and never holds up the build. */
  tell(state: BuildState): void;
  /** There will be no other. */
  end(): void;
  /** Undefined before the first state. */
  readonly build: RunningBuild | undefined;
}

export function createStateFeed(): StateFeed {
  let newest: BuildState | undefined;
  let isOver = false;
  const waiting = new Set<() => void>();

  function wake(): void {
    // Each takes itself out, and comes back only after it has run.
    for (const go of waiting) go();
  }

  function waitForChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      function go(): void {
        waiting.delete(go);
        signal.removeEventListener('abort', go);
        resolve();
      }
      waiting.add(go);
      signal.addEventListener('abort', go);
    });
  }

  async function* watch(first: BuildState, signal: AbortSignal): AsyncGenerator<BuildState, void> {
    let shown: BuildState | undefined;
    while (!signal.aborted) {
      const state = newest ?? first;
      if (state !== shown) {
        shown = state;
        yield state;
      } else if (isOver) {
        return;
      } else {
        await waitForChange(signal);
      }
    }
  }

  return {
    tell(state) {
      // Who may look may not control, and what is shown to all is made from this.
      newest = { ...state, links: undefined };
      wake();
    },
    end() {
      isOver = true;
      wake();
    },
    get build() {
      const first = newest;
      if (first === undefined) return undefined;
      return {
        get state() {
          return newest ?? first;
        },
        changes: (signal: AbortSignal) => watch(first, signal),
      };
    },
  };
}
