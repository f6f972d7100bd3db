import { setImmediate } from 'node:timers/promises';

let last = Promise.resolve();

/**
 * Resolves in a turn of the event loop in which nobody else's does: work that is done in pieces, each in its turn, holds up neither
 * what comes in nor the others who work so, however many they are.
 */
export function yieldToEventLoop(): Promise<void> {
  last = last.then(() => setImmediate());
  return last;
}
