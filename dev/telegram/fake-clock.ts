import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/reporters/reporter.ts';

export interface FakeClock extends Clock {
  /** Waits until a timer is set, then jumps to the earliest and fires it. Answers how far it jumped, in milliseconds. */
  jump(): Promise<number>;
  /** Jumps from timer to timer until the promise settles; answers what it does. */
  jumpUntil<T>(promise: Promise<T>): Promise<T>;
  /** While it is under way the time stands still: what takes real time takes none of this clock's. */
  hold<T>(promise: Promise<T>): Promise<T>;
  /** Moves the time on; what is due fires with the next {@link FakeClock.jump}. */
  pass(ms: number): void;
}

/** A clock that stands still unless told, so that minutes of waiting take no time. */
export function createFakeClock(start: number): FakeClock {
  let now = start;
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>();
  let timerSet = Promise.withResolvers<void>();

  const held = new Set<Promise<unknown>>();

  /** Lets whoever was just woken settle: it may cancel its timer, or set one. */
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
