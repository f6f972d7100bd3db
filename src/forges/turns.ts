/** Gives each owner so many turns at a time; whoever asks for more waits, the longest first. */
export interface Turns {
  /** Resolves with what ends the turn, to be called once. @throws the signal's reason when it is aborted before */
  take(owner: string, signal: AbortSignal): Promise<() => void>;
}

interface Lane {
  taken: number;
  /** In order. */
  readonly waiting: Set<() => void>;
}

export function createTurns(maxAtOnce: number): Turns {
  const lanes = new Map<string, Lane>();
  return {
    async take(owner, signal) {
      signal.throwIfAborted();
      const lane = lanes.get(owner) ?? { taken: 0, waiting: new Set() };
      lanes.set(owner, lane);
      if (lane.taken < maxAtOnce) lane.taken += 1;
      else await wait(lane, signal);
      return () => {
        const [next] = lane.waiting;
        // Whoever waits has the place at once, so that nobody comes between.
        if (next) return next();
        lane.taken -= 1;
        if (lane.taken === 0) lanes.delete(owner);
      };
    },
  };
}

function wait({ waiting }: Lane, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    function leave(): void {
      waiting.delete(enter);
      signal.removeEventListener('abort', stop);
    }
    function enter(): void {
      leave();
      resolve();
    }
    function stop(): void {
      leave();
      reject(signal.reason);
    }
    waiting.add(enter);
    signal.addEventListener('abort', stop);
  });
}
