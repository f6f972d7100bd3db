import type { LookupAddress, lookup } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createNameLookups, type LookUpName } from './name-lookups.ts';

const ADDRESS: LookupAddress = { address: '93.184.216.34', family: 4 };

/** Lookups that are under way, by name, in the order in which they began: each ends when the test says so. */
let underWay: Map<string, (addresses: LookupAddress[] | Error) => void>;
let find: LookUpName;
/** What came of those who asked, in order. */
let told: string[];

beforeEach(() => {
  vi.useFakeTimers();
  [underWay, told] = [new Map(), []];
  const fake = (name: string, _: object, callback: (error: Error | null, found?: LookupAddress[]) => void): void => {
    underWay.set(name, (found) => {
      underWay.delete(name);
      if (found instanceof Error) callback(found);
      else callback(null, found);
    });
  };
  find = createNameLookups(fake as unknown as typeof lookup);
});
afterEach(() => vi.useRealTimers());

async function ask(...names: string[]): Promise<void> {
  for (const name of names) {
    find(name, { family: 0 }).then(
      ([first]) => told.push(`${name} ${first?.address ?? 'nothing'}`),
      (error: Error) => told.push(error.message),
    );
  }
  await vi.advanceTimersByTimeAsync(0);
}
function begun(): string[] {
  return [...underWay.keys()];
}
async function answer(name: string, found: LookupAddress[] | Error = [ADDRESS]): Promise<void> {
  underWay.get(name)?.(found);
  await vi.advanceTimersByTimeAsync(0);
}

test('a name is looked up once for all who ask for it meanwhile, and anew for who comes later', async () => {
  await ask('api.one.test', 'api.one.test', 'api.one.test');
  expect(begun()).toEqual(['api.one.test']);
  await answer('api.one.test');
  expect(told).toEqual(Array.from({ length: 3 }, () => 'api.one.test 93.184.216.34'));
  await ask('api.one.test');
  expect(begun()).toEqual(['api.one.test']);
});

test('names of different owners take turns, however many each has', async () => {
  await ask('a.many.test', 'b.many.test', 'c.many.test', 'd.many.test', 'api.one.test', 'api.two.co.uk', 'b.two.co.uk');
  const order: string[] = [];
  for (let [name] = begun(); name !== undefined; [name] = begun()) {
    order.push(name);
    await answer(name, new Error('ENOTFOUND'));
  }
  expect(order).toEqual([
    'a.many.test',
    'api.one.test',
    'api.two.co.uk',
    'b.many.test',
    'b.two.co.uk',
    'c.many.test',
    'd.many.test',
  ]);
});

describe('a name of a slow server', () => {
  const SLOW = ['a.slow.test', 'b.slow.test', 'c.slow.test'];

  test('leaves the place of those that answer after two seconds, with all of its family', async () => {
    await ask(...SLOW, 'api.one.test');
    expect(begun()).toEqual(['a.slow.test']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(begun()).toEqual(['a.slow.test', 'api.one.test']);
    await answer('api.one.test');
    await ask('new.slow.test', 'api.two.test');
    expect(begun()).toEqual(['a.slow.test', 'api.two.test']);
    await answer('a.slow.test');
    expect(begun()).toEqual(['api.two.test', 'b.slow.test']);
  });

  test('still has its place among the slow ones when it answers quickly between', async () => {
    await ask('a.slow.test');
    await vi.advanceTimersByTimeAsync(2_000);
    await answer('a.slow.test');
    await ask('b.slow.test');
    await answer('b.slow.test');
    await ask('c.slow.test', 'd.slow.test', 'api.one.test');
    expect(begun()).toEqual(['c.slow.test', 'api.one.test']);
  });

  test('of one family and one of another hold no more than two places, of which the first to be free is for others', async () => {
    await ask('a.slow.test', 'a.tough.test', 'api.one.test');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(begun()).toEqual(['a.slow.test', 'a.tough.test']);
    await answer('a.slow.test');
    expect(begun()).toEqual(['a.tough.test', 'api.one.test']);
  });

  test('is given up by who waits for a turn too long, in words that say so', async () => {
    await ask(...SLOW);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(told).toEqual(['b', 'c'].map((name) => `other names were looked up before ${name}.slow.test`));
    await answer('a.slow.test');
    expect(begun()).toEqual([]);
    expect(told.at(-1)).toBe('a.slow.test 93.184.216.34');
  });
});

describe('a name that has answered before', () => {
  test('has the addresses that it had when it does not answer within a second', async () => {
    await ask('api.one.test');
    await answer('api.one.test');
    await ask('api.one.test');
    await vi.advanceTimersByTimeAsync(999);
    expect(told).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(['api.one.test 93.184.216.34', 'api.one.test 93.184.216.34']);
  });

  test('has them too while others hold its place, and its new ones once they are known', async () => {
    await ask('api.one.test');
    await answer('api.one.test');
    await ask('a.slow.test', 'api.one.test');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told.at(-1)).toBe('api.one.test 93.184.216.34');
    await vi.advanceTimersByTimeAsync(1_000);
    await answer('api.one.test', [{ address: '1.1.1.1', family: 4 }]);
    await ask('api.one.test');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told.at(-1)).toBe('api.one.test 1.1.1.1');
  });

  test('is told as unknown when it is so now', async () => {
    await ask('api.one.test');
    await answer('api.one.test');
    await ask('api.one.test');
    await answer('api.one.test', new Error('getaddrinfo ENOTFOUND api.one.test'));
    expect(told.at(-1)).toBe('getaddrinfo ENOTFOUND api.one.test');
  });
});
