/** The time and timers of a reporter; handed in, so that tests spend no real seconds. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once after `ms`; the answer cancels it. */
  setTimer(callback: () => void, ms: number): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(callback, ms) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Where a reporter tells, once and in one sentence, that it gave up or had to change its way. pino's logger is one. */
export interface ReporterLog {
  warn(message: string): void;
}
