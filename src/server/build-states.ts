import type { BuildState } from '../build/index.ts';
import type { RunningBuild } from '../logs/index.ts';

/** The states of a running build. Keeps only the newest one, so a slow watcher misses some and delays nobody. */
export class BuildStates implements RunningBuild {
  #newest: BuildState;
  #isOver = false;
  #changed = Promise.withResolvers<void>();

  constructor(first: BuildState) {
    this.#newest = withoutLinks(first);
  }

  get state(): BuildState {
    return this.#newest;
  }

  add(state: BuildState): void {
    this.#newest = withoutLinks(state);
    this.#wake();
  }

  /** Ends all watchers, once they have seen the newest state. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *changes(signal: AbortSignal): AsyncGenerator<BuildState, void> {
    let shown: BuildState | undefined;
    // It also wakes the other watchers, which find nothing new.
    signal.addEventListener('abort', this.#wake);
    try {
      while (!signal.aborted) {
        if (this.#newest !== shown) yield (shown = this.#newest);
        else if (this.#isOver) return;
        else await this.#changed.promise;
      }
    } finally {
      signal.removeEventListener('abort', this.#wake);
    }
  }

  readonly #wake = (): void => {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  };
}

/** A14: everybody sees this state, and a viewer must not get the control link. */
function withoutLinks(state: BuildState): BuildState {
  return { ...state, links: undefined };
}
