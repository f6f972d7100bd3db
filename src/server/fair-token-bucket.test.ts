import { describe, expect, it } from 'vitest';
import { FairTokenBucket } from './fair-token-bucket.ts';

describe('a fair token bucket', () => {
  /** Takes tokens one at a time for a key until it must wait; returns their number. */
  function drain(bucket: FairTokenBucket, key: string): number {
    let count = 0;
    while (bucket.take(key) === 0) count += 1;
    return count;
  }

  it('gives one key a ninth, and each further key a ninth of what is left', () => {
    const bucket = new FairTokenBucket({ perMinute: 90, maxKeys: 10, now: () => 0 });
    expect(['a', 'b', 'c'].map((key) => drain(bucket, key))).toEqual([11, 9, 8]);
  });

  it('returns the time after which a key gets a token, if nobody else takes one', () => {
    let now = 0;
    const bucket = new FairTokenBucket({ perMinute: 90, maxKeys: 10, now: () => now });
    drain(bucket, 'a');
    const waitMs = bucket.take('a');
    now = waitMs - 1;
    expect(bucket.take('a')).toBeGreaterThan(0);
    now = waitMs + 1e-3;
    expect(bucket.take('a')).toBe(0);
  });

  it('gives all keys together no more than the rate', () => {
    let now = 0;
    const bucket = new FairTokenBucket({ perMinute: 90, maxKeys: 1_000, now: () => now });
    let taken = 0;
    for (; now < 600_000; now += 100) for (let n = 0; n < 50; n += 1) if (bucket.take(`key ${n}`) === 0) taken += 1;
    expect(taken).toBeGreaterThan(600);
    expect(taken).toBeLessThanOrEqual(90 + 10 * 90);
  });

  it('works with a rate of one a minute', () => {
    let now = 0;
    const bucket = new FairTokenBucket({ perMinute: 1, maxKeys: 10, now: () => now });
    expect(bucket.take('a')).toBe(0);
    const waitMs = bucket.take('a');
    expect(waitMs).toBeGreaterThan(60_000);
    now = waitMs + 1;
    expect(bucket.take('a')).toBe(0);
  });

  it('forgets the key that was used longest ago', () => {
    const bucket = new FairTokenBucket({ perMinute: 90, maxKeys: 1, now: () => 0 });
    drain(bucket, 'a');
    bucket.take('b');
    expect(bucket.take('a')).toBe(0);
  });
});
