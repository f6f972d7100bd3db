/** C3_FAULT_SEED repeats the schedules of a run that failed. */
export const SEED: number = Number(process.env['C3_FAULT_SEED'] ?? Date.now() % 1_000_000_000);

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
