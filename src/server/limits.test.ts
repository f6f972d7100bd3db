import { describe, expect, it } from 'vitest';
import type { Release } from '../limiter.ts';
import { HookLimits, LimitError, LIMITS, type Hook, type HookLimitsOptions } from './limits.ts';

/** Without options: 3 deliveries a minute of a known hook, 90 of all new hooks, 2 builds of a repository. */
function create(options: Partial<HookLimitsOptions> = {}): HookLimits {
  return new HookLimits({ rateLimit: 3, rateLimitNew: 90, maxBuilds: 2, now: () => 1_000_000, ...options });
}

/** A hook whose key c3 has sealed. */
function toHook(id: string, repository = 'forge.example/acme/shop'): Hook {
  return { id, repository, isSealedWithSecret: true };
}

/** A hook whose key somebody sealed with the public key. */
function toStranger(id: string, repository?: string): Hook {
  return { ...toHook(id, repository), isSealedWithSecret: false };
}

/** Returns how many of `count` deliveries are accepted. */
function send(limits: HookLimits, hook: Hook, count: number): number {
  let accepted = 0;
  for (let n = 0; n < count; n += 1) {
    try {
      limits.countDelivery(hook);
      accepted += 1;
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
    }
  }
  return accepted;
}

/** Six of these in a minute. */
const LARGE_BYTES = LIMITS.parsedBytesPerMinute / 6;

describe('the limits of deliveries', () => {
  it('give each hook whose key c3 has sealed its own bucket, from the start', () => {
    const limits = create();
    for (let n = 0; n < 1_000; n += 1) send(limits, toStranger(`stranger ${n}`, `forge.example/acme/shop${n}`), 10);
    expect(send(limits, toHook('mine'), 100)).toBe(3);
    expect(send(limits, toHook('other'), 100)).toBe(3);
  });

  it('give a hook of the public key its own bucket when the forge has confirmed it', () => {
    const limits = create();
    expect(send(limits, toStranger('mine'), 100)).toBe(11);
    limits.confirm(toStranger('mine'));
    expect(send(limits, toStranger('mine'), 100)).toBe(3);
    limits.confirm(toStranger('mine'));
    expect(send(limits, toStranger('mine'), 100)).toBe(0);
  });

  it('give all new hooks of a repository one part, which leaves parts for other repositories', () => {
    const limits = create();
    let taken = 0;
    for (let n = 0; n < 100; n += 1) taken += send(limits, toStranger(`stranger ${n}`), 1);
    expect(taken).toBe(11);
    for (const repository of ['a/a/a', 'b/b/b', 'c/c/c']) expect(send(limits, toStranger('x', repository), 5)).toBe(5);
  });

  it('leave room for a new hook while forty repositories are flooded', () => {
    let now = 0;
    const limits = create({ rateLimitNew: 300, now: () => now });
    const refused: number[] = [];
    for (; now < 120_000; now += 1_000) {
      for (let n = 0; n < 40; n += 1) send(limits, toStranger(`${now} ${n}`, `forge.example/acme/shop${n}`), 3);
      if (send(limits, toStranger('newcomer', `forge.example/new/shop${now}`), 1) === 0) refused.push(now);
    }
    expect(refused).toEqual([]);
  });

  it('count a large delivery of a new hook as many, so that six of 5 MiB are accepted at once', () => {
    const limits = create({ rateLimitNew: 300 });
    const deliver = (n: number): void => limits.countDelivery(toStranger('x', `a/b/c${n}`), LARGE_BYTES);
    for (let n = 0; n < 6; n += 1) deliver(n);
    expect(() => deliver(6)).toThrow(expect.objectContaining({ code: 'RATE_LIMITED', retryAfterSeconds: 11 }));
  });

  it('count a large delivery of a known hook for this hook alone', () => {
    const limits = create({ rateLimit: 120 });
    for (let n = 0; n < 6; n += 1) limits.countDelivery(toHook('mine'), LARGE_BYTES);
    expect(() => limits.countDelivery(toHook('mine'), LARGE_BYTES)).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'This webhook has sent more than c3 accepts in a minute',
        hint: 'try again later',
        retryAfterSeconds: 10,
      }),
    );
    expect(() => limits.countDelivery(toHook('yours'), LARGE_BYTES)).not.toThrow();
  });

  it('say which limit was reached, and what to do', () => {
    const limits = create();
    send(limits, toStranger('a'), 20);
    expect(() => limits.countDelivery(toStranger('a'))).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'New webhooks of this repository have sent more than c3 accepts in a minute',
        hint: 'try again later, or use a hook URL that /encrypt made, which has a limit of its own',
        retryAfterSeconds: 6,
      }),
    );
  });

  it('treat a confirmed hook of the public key as new after ten thousand other confirmations', () => {
    const limits = create();
    for (let n = -1; n < 10_000; n += 1) limits.confirm(toStranger(`hook ${n}`));
    expect([limits.isNew(toStranger('hook -1')), limits.isNew(toStranger('hook 0'))]).toEqual([true, false]);
  });
});

describe('the slots for builds', () => {
  const mine = toHook('mine');
  const stranger = toStranger('stranger');

  /** Acquires slots until there is none. `confirmed`: the forge confirms the hook before or after the first one. */
  function fill(limits: HookLimits, hook: Hook, confirmed?: 'before' | 'after'): Release[] {
    if (confirmed === 'before') limits.confirm(hook);
    const releases: Release[] = [];
    try {
      while (releases.length < 10_000) releases.push(limits.acquireBuildSlot(hook));
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
    }
    if (confirmed === 'after') limits.confirm(hook);
    return releases;
  }

  it.each(['before', 'after'] as const)('are shared by all hooks of a repository, confirmed %s they start', (when) => {
    const limits = create({ maxBuilds: 50 });
    let held = 0;
    for (let n = 0; n < 20; n += 1) held += fill(limits, toStranger(`token ${n}`), when).length;
    expect(held + fill(limits, mine).length).toBe(50);
    expect(() => limits.acquireBuildSlot(mine)).toThrow('50 builds of this repository run or wait already');
    expect(fill(limits, toHook('other', 'forge.example/acme/other'))).toHaveLength(50);
  });

  it("of a repository's owner are not filled by strangers with tokens of their own", () => {
    const limits = create({ maxBuilds: 50 });
    const strangers = Array.from({ length: 20 }, (_, n) => toStranger(`stranger ${n}`));
    expect(strangers.flatMap((one) => fill(limits, one))).toHaveLength(28);
    expect(() => limits.acquireBuildSlot(stranger)).toThrow('28 builds of new webhooks run or wait already');
    expect(fill(limits, mine)).toHaveLength(50);
  });

  it('of new hooks are shared by repository, 250 at most', () => {
    const limits = create({ maxBuilds: 50 });
    const held: number[] = [];
    for (let n = 0; n < 300; n += 1) held.push(fill(limits, toStranger('x', `forge.example/acme/shop${n}`)).length);
    expect(held.slice(0, 10)).toEqual([28, 25, 22, 20, 18, 16, 14, 12, 11, 10]);
    expect(held.reduce((sum, count) => sum + count)).toBe(250);
    expect(fill(limits, mine)).toHaveLength(50);
  });

  it.each([undefined, 'before', 'after'] as const)('are released once each, confirmed: %s', (confirmed) => {
    const limits = create();
    const releases = fill(limits, stranger, confirmed);
    expect(releases).toHaveLength(2);
    for (const release of [...releases, ...releases]) release();
    expect(fill(limits, mine)).toHaveLength(2);
  });

  it('leave half of the free ones to others, however many repositories and groups an owner has', () => {
    const limits = create({ maxBuilds: 50 });
    let held = 0;
    for (let n = 0; n < 20; n += 1) held += fill(limits, toHook('x', `forge.example/greedy/group${n}/shop`)).length;
    expect(held).toBe(500);
    const one = toHook('one more', 'forge.example/greedy/more');
    expect(() => limits.acquireBuildSlot(one)).toThrow('500 builds of this owner run or wait already');
    for (let n = 0; n < 20; n += 1) held += fill(limits, toHook('x', `forge.example/second/shop${n}`)).length;
    expect(held).toBe(750);
    expect(fill(limits, mine)).toHaveLength(50);
  });
});
