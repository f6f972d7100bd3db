import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyedSemaphore, KeyedTokenBucket, LruMap, Semaphore, TokenBucket, type Release } from './limiter.ts';

describe('a semaphore', () => {
  it('allows as many holders as slots, and then the others in order of arrival', async () => {
    const semaphore = new Semaphore(2);
    const order: number[] = [];
    const first = await semaphore.acquire();
    await semaphore.acquire();
    const third = semaphore.acquire().then((release) => (order.push(3), release()));
    const fourth = semaphore.acquire().then((release) => (order.push(4), release()));
    expect(semaphore).toMatchObject({ held: 2, waiting: 2 });
    first();
    first();
    await Promise.all([third, fourth]);
    expect(order).toEqual([3, 4]);
    expect(semaphore).toMatchObject({ held: 1, waiting: 0 });
  });

  it('holds a free slot before acquire returns', () => {
    const semaphore = new Semaphore(1);
    void semaphore.acquire();
    expect(semaphore.held).toBe(1);
    expect(semaphore.tryAcquire()).toBeUndefined();
  });

  it('serves callers that wait before a new caller', async () => {
    const semaphore = new Semaphore(1);
    const release = await semaphore.acquire();
    const second = semaphore.acquire();
    release();
    expect(semaphore.tryAcquire()).toBeUndefined();
    (await second)();
    expect(semaphore.tryAcquire()).toBeTypeOf('function');
  });

  it('forgets a caller whose signal is aborted', async () => {
    const semaphore = new Semaphore(1);
    const release = await semaphore.acquire();
    const abort = new AbortController();
    const second = semaphore.acquire(abort.signal);
    const third = semaphore.acquire();
    abort.abort(new Error('gone'));
    await expect(second).rejects.toThrow('gone');
    expect(semaphore.waiting).toBe(1);
    release();
    (await third)();
    await expect(semaphore.acquire(abort.signal)).rejects.toThrow('gone');
    expect(semaphore).toMatchObject({ held: 0, waiting: 0 });
  });

  it('releases the slot of work that fails', async () => {
    const semaphore = new Semaphore(1);
    await expect(semaphore.run(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(await semaphore.run(async () => await Promise.resolve(semaphore.held))).toBe(1);
    expect(semaphore.held).toBe(0);
  });

  it('never has more holders than slots, and serves in order, for any sequence of calls', async () => {
    const actions = fc.array(fc.record({ kind: fc.constantFrom('acquire', 'release', 'abort'), index: fc.nat(20) }));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), actions, async (capacity, steps) => {
        const semaphore = new Semaphore(capacity);
        const served: number[] = [];
        const holders: Release[] = [];
        const waiting = new Map<number, AbortController>();
        for (const [id, { kind, index }] of steps.entries()) {
          if (kind === 'acquire') {
            const controller = new AbortController();
            waiting.set(id, controller);
            void semaphore.acquire(controller.signal).then(
              (release) => {
                waiting.delete(id);
                served.push(id);
                holders.push(release);
              },
              () => waiting.delete(id),
            );
          }
          if (kind === 'release') holders.splice(index % Math.max(1, holders.length), 1)[0]?.();
          if (kind === 'abort') [...waiting.values()].at(index % Math.max(1, waiting.size))?.abort();
          await new Promise(setImmediate);
          expect(semaphore).toMatchObject({ held: holders.length, waiting: waiting.size });
          expect(holders.length).toBeLessThanOrEqual(capacity);
          expect(waiting.size === 0 || holders.length === capacity).toBe(true);
        }
        expect(served).toEqual(served.toSorted((a, b) => a - b));
      }),
      { numRuns: 50 },
    );
  });
});

describe('a keyed semaphore', () => {
  it('does not limit callers with different keys together', async () => {
    const semaphore = new KeyedSemaphore(1);
    const releases = [await semaphore.acquire('a'), await semaphore.acquire('b')];
    expect([semaphore.size, semaphore.isHeld('a'), semaphore.isHeld('c')]).toEqual([2, true, false]);
    for (const release of releases) release();
    expect(semaphore.size).toBe(0);
  });

  it('holds a free slot before acquire returns', () => {
    const semaphore = new KeyedSemaphore(1);
    void semaphore.acquire('a');
    expect(semaphore.isHeld('a')).toBe(true);
  });

  it('makes callers with the same key wait', async () => {
    const semaphore = new KeyedSemaphore(2);
    const releases = [await semaphore.acquire('a'), await semaphore.acquire('a')];
    const order: string[] = [];
    const third = semaphore.run('a', async () => await Promise.resolve(order.push('third')));
    await semaphore.run('b', async () => await Promise.resolve(order.push('other')));
    expect(order).toEqual(['other']);
    for (const release of releases) release();
    await third;
    expect(order).toEqual(['other', 'third']);
    expect(semaphore.size).toBe(0);
  });

  it('keeps no state of a caller whose signal is aborted', async () => {
    const semaphore = new KeyedSemaphore(1);
    await expect(semaphore.acquire('a', AbortSignal.abort())).rejects.toThrow('aborted');
    const release = await semaphore.acquire('a');
    const abort = new AbortController();
    const second = semaphore.acquire('a', abort.signal);
    abort.abort();
    await expect(second).rejects.toThrow('aborted');
    expect(semaphore.isHeld('a')).toBe(true);
    release();
    release();
    expect(semaphore.size).toBe(0);
  });

  it('keeps the slot of a new holder when an old one releases twice', async () => {
    const semaphore = new KeyedSemaphore(1);
    const old = await semaphore.acquire('a');
    old();
    await semaphore.acquire('a');
    old();
    expect(semaphore.isHeld('a')).toBe(true);
  });
});

describe('a token bucket', () => {
  function create(perMinute: number, capacity?: number) {
    const clock = { at: 1_000_000 };
    const options = { perMinute, now: () => clock.at, ...(capacity === undefined ? {} : { capacity }) };
    return { clock, bucket: new TokenBucket(options) };
  }

  it('gives all its tokens at once, and then one each interval', () => {
    const { clock, bucket } = create(60);
    for (let n = 0; n < 60; n += 1) expect(bucket.take()).toBe(0);
    expect(bucket.take()).toBeCloseTo(1000);
    clock.at += 999;
    expect(bucket.take()).toBeCloseTo(1);
    clock.at += 1;
    expect(bucket.take()).toBe(0);
    expect(bucket.take()).toBeCloseTo(1000);
  });

  it('is full again after a minute, and never fuller', () => {
    const { clock, bucket } = create(7);
    for (const pauseMs of [0, 60_000, 3_600_000]) {
      clock.at += pauseMs;
      const taken = Array.from({ length: 20 }, () => bucket.take()).filter((waitMs) => waitMs === 0);
      expect(taken.length).toBe(7);
    }
  });

  it('holds as many tokens as its capacity says', () => {
    const { bucket } = create(600, 2);
    expect([bucket.take(), bucket.take(), bucket.take()]).toEqual([0, 0, 100]);
    expect(bucket.take(3)).toBe(300);
  });

  it('makes the caller of reserve wait, and counts the tokens in any case', () => {
    const { clock, bucket } = create(600, 2);
    expect([bucket.reserve(2), bucket.reserve(), bucket.reserve()]).toEqual([0, 100, 200]);
    clock.at += 200;
    expect(bucket.take()).toBe(100);
  });

  it('never gives more than its rate allows, and never makes a caller wait longer than it says', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.array(fc.integer({ min: 0, max: 5000 })), (rate, pauses) => {
        const { clock, bucket } = create(rate);
        const startedAt = clock.at;
        for (const [index, pauseMs] of pauses.entries()) {
          clock.at += pauseMs;
          const waitMs = bucket.take();
          clock.at += waitMs;
          expect(waitMs === 0 ? 0 : bucket.take()).toBe(0);
          expect(index + 1).toBeLessThanOrEqual(rate + ((clock.at - startedAt) * rate) / 60_000 + 1e-3);
        }
      }),
    );
  });

  it('for each key forgets the key that was used longest ago', () => {
    const buckets = new KeyedTokenBucket({ perMinute: 1, maxKeys: 2, now: () => 0 });
    expect([buckets.take('a'), buckets.take('b'), buckets.take('a')]).toEqual([0, 0, 60_000]);
    expect(buckets.take('c')).toBe(0);
    expect([buckets.take('a'), buckets.take('b')]).toEqual([60_000, 0]);
  });
});

describe('an LRU map', () => {
  it('forgets the entry that was read or set longest ago, and returns its value', () => {
    const map = new LruMap<string, number>(2);
    expect([map.set('a', 1), map.set('b', 2)]).toEqual([undefined, undefined]);
    expect(map.get('a')).toBe(1);
    expect(map.set('c', 3)).toBe(2);
    expect([...map.values()]).toEqual([1, 3]);
    expect(map.set('a', 4)).toBeUndefined();
    expect([...map.values()]).toEqual([3, 4]);
    expect([map.has('c'), map.delete('c'), map.delete('c'), map.size]).toEqual([true, true, false, 1]);
    map.clear();
    expect([map.size, map.get('a')]).toEqual([0, undefined]);
  });

  it('holds the entries that were used last, after any sequence of calls', () => {
    const step = fc.record({ isRead: fc.boolean(), key: fc.nat(6) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step), (capacity, steps) => {
        const map = new LruMap<number, number>(capacity);
        let recent: number[] = [];
        for (const { isRead, key } of steps) {
          const isKnown = recent.includes(key);
          const value = isRead ? map.get(key) : (map.set(key, key), undefined);
          expect(value).toBe(isRead && isKnown ? key : undefined);
          if (!isRead || isKnown) recent = [...recent.filter((other) => other !== key), key].slice(-capacity);
          expect([...map.values()]).toEqual(recent);
        }
      }),
    );
  });
});
