/** Lets others wait for something to become true, without asking again and again. */
export interface Changes {
  /** Something has changed: whoever waits looks again. */
  announce(): void;
  /** What `find` finds, now or after a change. Rejects with the signal's reason. */
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
      const found = find();
      if (found !== undefined) {
        end();
        resolve(found);
      }
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
