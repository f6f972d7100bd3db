import { LruMap, type TokenBucketOptions } from '../limiter.ts';

/** What one key, or all keys, have taken. It decays by half in 42 seconds, so that a constant use stays constant. */
interface Use {
  readonly tokens: number;
  readonly at: number;
}

/** The free tokens divided by this number are what one key may have in use. */
const FAIR_PART = 8;

/**
 * Shares a rate between keys. A key may take tokens while its own use is at most an eighth of the free tokens. One key
 * alone gets a ninth of the rate, and when `n` keys take all that they may, `8 / (8 + n)` of the rate stays free for
 * others.
 *
 * @see https://doi.org/10.1109/90.664262, "Dynamic queue length thresholds for shared-memory packet switches"
 */
export class FairTokenBucket {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #uses: LruMap<string, Use>;
  #total: Use = { tokens: 0, at: 0 };

  /** The rate is that of all keys together. As many tokens may be taken at once. */
  constructor({ perMinute, maxKeys, now = () => performance.now() }: FairTokenBucketOptions) {
    this.#perMinute = perMinute;
    this.#now = now;
    this.#uses = new LruMap(maxKeys);
  }

  /** Takes tokens and returns 0; or takes none and returns the milliseconds to wait. The wait is a minimum, because other keys take tokens too. */
  take(key: string, count = 1): number {
    const at = this.#now();
    const total = decay(this.#total, at);
    const own = decay(this.#uses.get(key), at);
    // Both limits, as factors by which the uses must decay. One token more than the rate, so that a rate of 1 works.
    const excess = Math.max((total + FAIR_PART * own) / this.#perMinute, total / (this.#perMinute + 1 - count));
    if (excess > 1) return MINUTE_MS * Math.log(excess);
    this.#total = { tokens: total + count, at };
    this.#uses.set(key, { tokens: own + count, at });
    return 0;
  }
}

export interface FairTokenBucketOptions extends Pick<TokenBucketOptions, 'perMinute' | 'now'> {
  /** Keys that are remembered. The key that was used longest ago is forgotten, and may then take as a new one. */
  readonly maxKeys: number;
}

const MINUTE_MS = 60_000;

function decay(use: Use | undefined, now: number): number {
  return use === undefined ? 0 : use.tokens * Math.exp((use.at - now) / MINUTE_MS);
}
