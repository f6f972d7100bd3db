import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/reporters/reporter.ts';

export interface FakeClock extends Clock {
  /** Waits for a timer, jumps to the earliest one and fires it. Resolves with the jump in milliseconds. */
  jump(): Promise<number>;
  /** Jumps from timer to timer until the promise settles, and settles like it. */
  jumpUntil<T>(promise: Promise<T>): Promise<T>;
  /** Stops this clock until the promise settles: work in real time does not advance it. */
  hold<T>(promise: Promise<T>): Promise<T>;
  /** Advances the time; timers that are due fire with the next {@link FakeClock.jump}. */
  pass(ms: number): void;
}

/** Creates a clock that advances only on demand, so that waiting takes no real time. */
export function createFakeClock(start: number): FakeClock {
  let now = start;
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  let timerSet = Promise.withResolvers<void>();

  const held = new Set<Promise<unknown>>();

  /** Lets the code of the last timer run: it may cancel a timer or set one. */
  async function settle(): Promise<void> {
    await setImmediate();
    while (held.size > 0) {
      await Promise.allSettled(held);
      await setImmediate();
    }
  }

  async function jump(): Promise<number> {
    await settle();
    while (timers.size === 0) {
      timerSet = Promise.withResolvers<void>();
      await timerSet.promise;
      await settle();
    }
    return fire();
  }

  function fire(): number {
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
    async hold<T>(promise: Promise<T>): Promise<T> {
      held.add(promise);
      return await promise.finally(() => held.delete(promise));
    },
    async jumpUntil<T>(promise: Promise<T>): Promise<T> {
      let isOver = false;
      const over = promise.then(
        () => void (isOver = true),
        () => void (isOver = true),
      );
      for (;;) {
        await settle();
        if (isOver) return await promise;
        if (timers.size > 0) {
          fire();
          continue;
        }
        timerSet = Promise.withResolvers<void>();
        await Promise.race([over, timerSet.promise, ...held]);
      }
    },
  };
}
