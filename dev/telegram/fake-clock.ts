import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/reporters/clock.ts';

export interface FakeClock extends Clock {
  /** Waits until a timer is set, then jumps to the earliest and fires it. Answers how far it jumped, in milliseconds. */
  jump(): Promise<number>;
  /** Jumps from timer to timer until the promise settles; answers what it does. */
  jumpUntil<T>(promise: Promise<T>): Promise<T>;
  /** Moves the time on; what is due fires with the next {@link FakeClock.jump}. */
  pass(ms: number): void;
}

/** A clock that stands still unless told, so that minutes of waiting take no time. */
export function createFakeClock(start: number): FakeClock {
  let now = start;
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  let timerSet = Promise.withResolvers<void>();

  async function jump(): Promise<number> {
    // Lets whoever was just woken settle first: it may cancel its timer.
    await setImmediate();
    while (timers.size === 0) {
      timerSet = Promise.withResolvers<void>();
      await timerSet.promise;
      await setImmediate();
    }
    const [next] = [...timers].sort((a, b) => a.at - b.at);
    if (next === undefined) throw new Error('No timer is set');
    timers.delete(next);
    const jumped = Math.max(0, next.at - now);
    now += jumped;
    next.callback();
    return jumped;
  }

  return {
    now: () => now,
    setTimer(callback, ms): () => void {
      const timer = { at: now + ms, callback };
      timers.add(timer);
      timerSet.resolve();
      return () => void timers.delete(timer);
    },
    pass(ms): void {
      now += ms;
    },
    jump,
    async jumpUntil<T>(promise: Promise<T>): Promise<T> {
      const settled = promise.then(
        () => true,
        () => true,
      );
      while (!(await Promise.race([settled, jump().then(() => false)])));
      return promise;
    },
  };
}
