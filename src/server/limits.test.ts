import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError } from './limit-error.ts';
import { createBucket, createHookLimits, type HookLimits } from './limits.ts';

function createClock(): { now(): number; at: number } {
  const clock = { at: 1_000_000, now: () => clock.at };
  return clock;
}

function create(clock = createClock()): HookLimits {
  return createHookLimits({ rateLimit: 3, rateLimitNew: 2, maxBuilds: 2, now: clock.now });
}

/** How many of `count` deliveries are taken. */
function send(limits: HookLimits, hook: string, count: number): number {
  let taken = 0;
  for (let n = 0; n < count; n += 1) {
    try {
      limits.countNewcomer(hook);
      limits.countDelivery(hook);
      taken += 1;
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
    }
  }
  return taken;
}

describe('a bucket', () => {
  it('gives as many at once as fill it in a minute, and then one whenever one has come in', () => {
    const clock = createClock();
    const bucket = createBucket(60, clock.now);
    for (let n = 0; n < 60; n += 1) expect(bucket.take()).toBe(0);
    expect(bucket.take()).toBeCloseTo(1000);
    clock.at += 999;
    expect(bucket.take()).toBeCloseTo(1);
    clock.at += 1;
    expect(bucket.take()).toBe(0);
    expect(bucket.take()).toBeCloseTo(1000);
  });

  it('is full again after a minute, and never fuller', () => {
    const clock = createClock();
    const bucket = createBucket(7, clock.now);
    for (const pauseMs of [0, 60_000, 3_600_000]) {
      clock.at += pauseMs;
      const taken = Array.from({ length: 20 }, () => bucket.take()).filter((waitMs) => waitMs === 0);
      expect(taken.length).toBe(7);
    }
  });

  it('never gives more than its rate allows, and never makes one wait longer than it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.array(fc.integer({ min: 0, max: 5000 })), (rate, pauses) => {
        const clock = createClock();
        const startedAt = clock.at;
        const bucket = createBucket(rate, clock.now);
        let taken = 0;
        for (const pauseMs of pauses) {
          clock.at += pauseMs;
          const waitMs = bucket.take();
          clock.at += waitMs;
          const wait = waitMs === 0 ? 0 : bucket.take();
          expect(wait).toBe(0);
          taken += 1;
          expect(taken).toBeLessThanOrEqual(rate + ((clock.at - startedAt) * rate) / 60_000 + 1e-3);
        }
      }),
    );
  });
});

describe('deliveries', () => {
  it('of all new hooks share one budget', () => {
    const limits = create();
    expect(send(limits, 'a', 1) + send(limits, 'b', 5)).toBe(2);
  });

  it('of a hook that the forge has confirmed have their own, which strangers cannot use up', () => {
    const limits = create();
    limits.trust('mine');
    expect(send(limits, 'stranger', 100)).toBe(2);
    expect(send(limits, 'mine', 100)).toBe(3);
    limits.trust('other');
    expect(send(limits, 'other', 100)).toBe(3);
  });

  it('that are large are bounded by their size together, as long as their hooks are new', () => {
    const limits = create();
    const large = 5 * 1024 * 1024;
    for (let n = 0; n < 6; n += 1) limits.countDelivery(`stranger ${n}`, large);
    expect(() => limits.countDelivery('stranger', large)).toThrow(
      expect.objectContaining({ code: 'RATE_LIMITED', retryAfterSeconds: 10 }),
    );
    expect(() => limits.countDelivery('newcomer', 64 * 1024)).not.toThrow();
  });

  it('that are large and of a confirmed hook are bounded by their size for each hook', () => {
    const limits = createHookLimits({ rateLimit: 120, rateLimitNew: 2, maxBuilds: 2, now: () => 0 });
    const large = 5 * 1024 * 1024;
    for (let n = 0; n < 6; n += 1) limits.countDelivery(`stranger ${n}`, large);
    for (const hook of ['mine', 'yours']) limits.trust(hook);
    for (let n = 0; n < 6; n += 1) limits.countDelivery('mine', large);
    expect(() => limits.countDelivery('mine', large)).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'This webhook has sent more than c3 takes in a minute',
        retryAfterSeconds: 10,
      }),
    );
    expect(() => limits.countDelivery('mine', 64 * 1024)).not.toThrow();
    expect(() => limits.countDelivery('yours', large)).not.toThrow();
  });

  it('that are refused say why, and when to come again', () => {
    const limits = create();
    send(limits, 'a', 2);
    expect(() => limits.countNewcomer('a')).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'Webhooks that have proven nothing yet have sent more than c3 takes in a minute',
        retryAfterSeconds: 30,
      }),
    );
    limits.trust('a');
    send(limits, 'a', 3);
    expect(() => limits.countDelivery('a')).toThrow(
      expect.objectContaining({
        message: 'This webhook has sent more than c3 takes in a minute',
        retryAfterSeconds: 20,
      }),
    );
  });

  it('of a confirmed hook whose signature was never seen to be right use nothing up', () => {
    const limits = create();
    limits.trust('a');
    for (let n = 0; n < 100; n += 1) limits.countNewcomer('a');
    expect(send(limits, 'a', 100)).toBe(3);
  });

  it('are not given a fresh budget by each confirmation', () => {
    const limits = create();
    limits.trust('a');
    expect(send(limits, 'a', 5)).toBe(3);
    limits.trust('a');
    expect(send(limits, 'a', 5)).toBe(0);
  });

  it('of the hook that was longest away count as new when ten thousand others were confirmed since', () => {
    const limits = create();
    limits.trust('old');
    limits.trust('busy');
    for (let n = 0; n < 9_999; n += 1) {
      limits.trust(`hook ${n}`);
      if (n === 9_000) send(limits, 'busy', 1);
    }
    send(limits, 'stranger', 2);
    expect(send(limits, 'old', 1)).toBe(0);
    expect(send(limits, 'busy', 3)).toBe(2);
  });
});

describe('builds', () => {
  it('of a hook count for its repository once the forge has confirmed it', () => {
    const limits = create();
    for (const hook of ['a', 'b']) limits.enterBuild({ hook, repository: 'shop' });
    expect(() => limits.enterBuild({ hook: 'c', repository: 'shop' })()).not.toThrow();
    limits.trust('a');
    limits.trust('b');
    expect(() => limits.enterBuild({ hook: 'c', repository: 'shop' })).toThrow(LimitError);
    limits.trust('c');
    expect(() => limits.enterBuild({ hook: 'c', repository: 'shop' })).toThrow(LimitError);
  });
});
