import { setImmediate } from 'node:timers/promises';

let last = Promise.resolve();

/**
 * Waits until the event loop has run other work. Callers continue one at a time. Long work that calls this between
 * its pieces does not delay incoming requests or other long work.
 */
export function yieldToEventLoop(): Promise<void> {
  last = last.then(() => setImmediate());
  return last;
}
