/** Whether `npm run test:long` runs: the random suites in full, from a new seed. `npm test` runs a short part of each, always the same. */
export const isLong: boolean = process.env['TEST_LONG'] === '1';

/** TEST_SEED repeats the random inputs of a run that failed. */
export const SEED: number = Number(process.env['TEST_SEED'] ?? (isLong ? Date.now() % 1_000_000_000 : 1));

/** Whole numbers below the limit. */
export type Random = (limit: number) => number;

/** Mulberry32: small, and good enough to place faults. */
export function createRandom(seed: number): Random {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
