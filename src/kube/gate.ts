/** Lets a number of holders in at a time; the others wait, first come first served. */
export interface Gate {
  /**
   * Resolves with the function that leaves again (calling it twice does no harm), or with undefined when `signal` was
   * aborted before a place was free.
   */
  enter(signal: AbortSignal): Promise<(() => void) | undefined>;
  /** Places taken now, and how many wait for one. */
  readonly size: { readonly inside: number; readonly waiting: number };
}

export function createGate(capacity: number): Gate {
  const waiting: (() => void)[] = [];
  let inside = 0;

  function createLeave(): () => void {
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      inside -= 1;
      waiting.shift()?.();
    };
  }

  return {
    get size() {
      return { inside, waiting: waiting.length };
    },
    async enter(signal) {
      if (signal.aborted) return undefined;
      if (inside < capacity) {
        inside += 1;
        return createLeave();
      }
      return await new Promise((resolve) => {
        function admit(): void {
          signal.removeEventListener('abort', giveUp);
          inside += 1;
          resolve(createLeave());
        }
        function giveUp(): void {
          waiting.splice(waiting.indexOf(admit), 1);
          resolve(undefined);
        }
        waiting.push(admit);
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
  };
}
