import { describe, expect, it } from 'vitest';
import type { Release } from '../limiter.ts';
import { HookLimits, LimitError, LIMITS, type BuildClaim, type HookLimitsOptions } from './limits.ts';

/** Without options: 3 deliveries a minute of a confirmed hook, 2 of all new hooks, 2 builds of a repository. */
function create(options: Partial<HookLimitsOptions> = {}): HookLimits {
  return new HookLimits({ rateLimit: 3, rateLimitNew: 2, maxBuilds: 2, now: () => 1_000_000, ...options });
}

/** Returns how many of `count` deliveries are accepted. */
function send(limits: HookLimits, hook: string, count: number): number {
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

describe('the limits of deliveries', () => {
  it('give all new hooks one bucket', () => {
    const limits = create();
    expect(send(limits, 'a', 1) + send(limits, 'b', 5)).toBe(2);
  });

  it('give each confirmed hook its own bucket, which strangers cannot use up', () => {
    const limits = create();
    limits.confirm('mine');
    expect(send(limits, 'stranger', 100)).toBe(2);
    expect(send(limits, 'mine', 100)).toBe(3);
    limits.confirm('other');
    expect(send(limits, 'other', 100)).toBe(3);
  });

  it('count a large delivery of a new hook as many, so that six of 5 MiB are accepted in a minute', () => {
    const limits = create({ rateLimitNew: 300 });
    for (let n = 0; n < 6; n += 1) limits.countDelivery(`stranger ${n}`, LIMITS.hookBodyBytes);
    expect(() => limits.countDelivery('stranger', LIMITS.hookBodyBytes)).toThrow(
      expect.objectContaining({ code: 'RATE_LIMITED', retryAfterSeconds: 10 }),
    );
  });

  it('count a large delivery of a confirmed hook for this hook alone', () => {
    const limits = create({ rateLimit: 120, rateLimitNew: 300 });
    for (let n = 0; n < 6; n += 1) limits.countDelivery(`stranger ${n}`, LIMITS.hookBodyBytes);
    for (const hook of ['mine', 'yours']) limits.confirm(hook);
    for (let n = 0; n < 6; n += 1) limits.countDelivery('mine', LIMITS.hookBodyBytes);
    expect(() => limits.countDelivery('mine', LIMITS.hookBodyBytes)).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'This webhook has sent more than c3 accepts in a minute',
        retryAfterSeconds: 10,
      }),
    );
    expect(() => limits.countDelivery('yours', LIMITS.hookBodyBytes)).not.toThrow();
  });

  it('say which limit was reached, and when to retry', () => {
    const limits = create();
    send(limits, 'a', 2);
    expect(() => limits.countDelivery('a')).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'Webhooks that the forge has not confirmed yet have sent more than c3 accepts in a minute',
        retryAfterSeconds: 30,
      }),
    );
    limits.confirm('a');
    send(limits, 'a', 3);
    expect(() => limits.countDelivery('a')).toThrow(expect.objectContaining({ retryAfterSeconds: 20 }));
  });

  it('are not reset by another confirmation', () => {
    const limits = create();
    limits.confirm('a');
    expect(send(limits, 'a', 5)).toBe(3);
    limits.confirm('a');
    expect(send(limits, 'a', 5)).toBe(0);
  });

  it('treat the least recently used hook as new after ten thousand other confirmations', () => {
    const limits = create();
    limits.confirm('old');
    limits.confirm('busy');
    for (let n = 0; n < 9_999; n += 1) {
      limits.confirm(`hook ${n}`);
      if (n === 9_000) send(limits, 'busy', 1);
    }
    send(limits, 'stranger', 2);
    expect(send(limits, 'old', 1)).toBe(0);
    expect(send(limits, 'busy', 3)).toBe(2);
  });
});

describe('the slots for builds', () => {
  const mine = { hook: 'mine', repository: 'forge.example/acme/shop' };
  const strangers = Array.from({ length: 20 }, (_, n) => ({ ...mine, hook: `stranger ${n}` }));

  /** Acquires slots until there is none. `confirmed`: the forge confirms the hook before or after the first one. */
  function fill(limits: HookLimits, claim: BuildClaim, confirmed?: 'before' | 'after'): Release[] {
    if (confirmed === 'before') limits.confirm(claim.hook);
    const releases: Release[] = [];
    try {
      while (releases.length < 10_000) releases.push(limits.acquireBuildSlot(claim));
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
    }
    if (confirmed === 'after') limits.confirm(claim.hook);
    return releases;
  }

  it.each(['before', 'after'] as const)('are shared by all hooks of a repository, confirmed %s they start', (when) => {
    const limits = create({ maxBuilds: 50 });
    let held = 0;
    for (let n = 0; n < 20; n += 1) held += fill(limits, { ...mine, hook: `token ${n}` }, when).length;
    expect(held).toBe(50);
    expect(() => limits.acquireBuildSlot(mine)).toThrow('50 builds of this repository run or wait already');
    expect(fill(limits, { hook: 'other', repository: 'forge.example/acme/other' }, 'before')).toHaveLength(50);
  });

  it("of a repository's owner are not filled by strangers with tokens of their own, who get 250 together", () => {
    const limits = create({ maxBuilds: 50 });
    expect(strangers.flatMap((stranger) => fill(limits, stranger))).toHaveLength(250);
    expect(() => limits.acquireBuildSlot({ hook: 'newcomer', repository: 'forge.example/acme/new' })).toThrow(
      '250 builds of unconfirmed webhooks run or wait already',
    );
    expect(fill(limits, mine, 'before')).toHaveLength(50);
  });

  it('are limited for one new hook', () => {
    const limits = create();
    expect(fill(limits, mine)).toHaveLength(2);
    expect(() => limits.acquireBuildSlot(mine)).toThrow('2 builds of this webhook run or wait already');
  });

  it.each([undefined, 'before', 'after'] as const)('are released once each, confirmed: %s', (confirmed) => {
    const limits = create();
    const releases = fill(limits, mine, confirmed);
    expect(releases).toHaveLength(2);
    for (const release of [...releases, ...releases]) release();
    expect(fill(limits, mine, 'before')).toHaveLength(2);
  });

  it('are limited for one owner, however many repositories and groups the owner has', () => {
    const limits = create({ maxBuilds: 50 });
    let held = 0;
    for (let n = 0; n < 20; n += 1) {
      const repository = `forge.example/greedy/group${n}/shop`;
      held += fill(limits, { hook: `hook ${n}`, repository }, n % 2 === 0 ? 'before' : 'after').length;
    }
    expect(held).toBe(500);
    const one = { hook: 'one more', repository: 'forge.example/greedy/more' };
    expect(() => limits.acquireBuildSlot(one)).toThrow('500 builds of this owner run or wait already');
    expect(fill(limits, mine, 'before')).toHaveLength(50);
  });

  it('are limited for everybody together', () => {
    const limits = create({ maxBuilds: 50 });
    for (let n = 0; n < 20; n += 1) {
      fill(limits, { hook: `hook ${n}`, repository: `forge.example/owner${n}/shop` }, 'before');
    }
    expect(() => limits.acquireBuildSlot(mine)).toThrow('1000 builds of all repositories run or wait already');
  });
});
