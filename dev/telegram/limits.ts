/** Telegram does not publish its limits. These come from its FAQ for bots and are similar. */
const MAX_PER_MINUTE_IN_GROUP = 20;
/** "Avoid sending more than one message per second"; short bursts pass. */
const BURST = 3;
const MINUTE_MS = 60_000;

export interface RateLimiter {
  /** Counts a send or edit of a bot; returns the seconds to wait, or 0. */
  take(botId: number, chatId: number): number;
}

/** `now` in epoch milliseconds. */
export function createRateLimiter(now: () => number): RateLimiter {
  const taken = new Map<string, number[]>();
  return {
    take(botId, chatId): number {
      const at = now();
      const key = `${botId} ${chatId}`;
      const recent = (taken.get(key) ?? []).filter((time) => time > at - MINUTE_MS);
      taken.set(key, recent);
      const inGroup = chatId < 0 && recent.length >= MAX_PER_MINUTE_IN_GROUP;
      if (inGroup) return Math.max(1, Math.ceil(((recent[0] ?? at) + MINUTE_MS - at) / 1000));
      const burst = recent.filter((time) => time > at - BURST * 1000).length;
      if (burst >= BURST) return 1;
      recent.push(at);
      return 0;
    },
  };
}
