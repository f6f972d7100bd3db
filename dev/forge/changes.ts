/** Lets callers wait for a condition without polling. */
export interface Changes {
  /** Reports a change: all waiting callers check again. */
  announce(): void;
  /** Resolves with the first result of `find`, now or after a change. Rejects with what it throws, or the signal's reason. */
  waitFor<T>(find: () => T | undefined, signal: AbortSignal): Promise<T>;
}

export function createChanges(): Changes {
  const watchers = new Set<() => void>();
  return {
    announce() {
      for (const check of watchers) {
        check();
      }
    },
    waitFor: (find, signal) => waitFor(watchers, find, signal),
  };
}

function waitFor<T>(watchers: Set<() => void>, find: () => T | undefined, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      watchers.delete(check);
      signal.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      end();
      reject(signal.reason as Error);
    };
    const check = (): void => {
      try {
        const found = find();
        if (found === undefined) return;
        resolve(found);
      } catch (error) {
        reject(error);
      }
      end();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort);
    watchers.add(check);
    check();
  });
}
