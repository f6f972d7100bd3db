import type { EventEmitter } from 'node:events';

export interface Interruption {
  /** Aborted with the first signal. */
  readonly signal: AbortSignal;
  /** Resolves with the second. */
  readonly second: Promise<void>;
  close(): void;
}

const NAMES = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * One Ctrl-C can arrive twice: the terminal sends it to the whole group of processes, and `npm run`, which is in it, hands it on.
 * Nobody presses a key twice in so short a time.
 */
const ECHO_MS = 100;

/** SIGINT, SIGTERM and SIGHUP, whichever comes. */
export function listenForSignals(source: EventEmitter = process, now: () => number = Date.now): Interruption {
  const first = new AbortController();
  const second = Promise.withResolvers<void>();
  let last: { name: string; at: number } | undefined;
  function onSignal(name: string): void {
    const isEcho = last?.name === name && now() - last.at < ECHO_MS;
    last = { name, at: now() };
    if (isEcho) return;
    if (first.signal.aborted) second.resolve();
    else first.abort();
  }
  for (const name of NAMES) source.on(name, onSignal);
  return {
    signal: first.signal,
    second: second.promise,
    close(): void {
      for (const name of NAMES) source.off(name, onSignal);
    },
  };
}
