import type { LookupAddress, lookup } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createNameLookups, type LookUpName } from './name-lookups.ts';

const ADDRESS: LookupAddress = { address: '93.184.216.34', family: 4 };

/** Running lookups by name, in the order in which they started. Each ends when the test calls it. */
let running: Map<string, (addresses: LookupAddress[] | Error) => void>;
let find: LookUpName;
/** The results of the callers, in order. */
let results: string[];

beforeEach(() => {
  vi.useFakeTimers();
  [running, results] = [new Map(), []];
  const fake = (name: string, _: object, callback: (error: Error | null, found?: LookupAddress[]) => void): void => {
    running.set(name, (found) => {
      running.delete(name);
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
      ([first]) => results.push(`${name} ${first?.address ?? 'nothing'}`),
      (error: Error) => results.push(error.message),
    );
  }
  await vi.advanceTimersByTimeAsync(0);
}
function started(): string[] {
  return [...running.keys()];
}
async function answer(name: string, found: LookupAddress[] | Error = [ADDRESS]): Promise<void> {
  running.get(name)?.(found);
  await vi.advanceTimersByTimeAsync(0);
}

test('concurrent callers share the lookup of a name, and a later caller starts a new one', async () => {
  await ask('api.one.test', 'api.one.test', 'api.one.test');
  expect(started()).toEqual(['api.one.test']);
  await answer('api.one.test');
  expect(results).toEqual(Array.from({ length: 3 }, () => 'api.one.test 93.184.216.34'));
  await ask('api.one.test');
  expect(started()).toEqual(['api.one.test']);
});

test('domains take turns, however many names each has', async () => {
  await ask('a.many.test', 'b.many.test', 'c.many.test', 'd.many.test', 'api.one.test', 'api.two.co.uk', 'b.two.co.uk');
  const order: string[] = [];
  for (let [name] = started(); name !== undefined; [name] = started()) {
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

  test('leaves the quick lane after two seconds, with all names of its domain', async () => {
    await ask(...SLOW, 'api.one.test');
    expect(started()).toEqual(['a.slow.test']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(started()).toEqual(['a.slow.test', 'api.one.test']);
    await answer('api.one.test');
    await ask('new.slow.test', 'api.two.test');
    expect(started()).toEqual(['a.slow.test', 'api.two.test']);
    await answer('a.slow.test');
    expect(started()).toEqual(['api.two.test', 'b.slow.test']);
  });

  test('stays in the slow lane after one quick answer', async () => {
    await ask('a.slow.test');
    await vi.advanceTimersByTimeAsync(2_000);
    await answer('a.slow.test');
    await ask('b.slow.test');
    await answer('b.slow.test');
    await ask('c.slow.test', 'd.slow.test', 'api.one.test');
    expect(started()).toEqual(['c.slow.test', 'api.one.test']);
  });

  test('and a name of another slow domain occupy both lanes, and the first free lane serves others', async () => {
    await ask('a.slow.test', 'a.tough.test', 'api.one.test');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(started()).toEqual(['a.slow.test', 'a.tough.test']);
    await answer('a.slow.test');
    expect(started()).toEqual(['a.tough.test', 'api.one.test']);
  });

  test('makes others of its domain time out, with a message that says why', async () => {
    await ask(...SLOW);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(results).toEqual(['b', 'c'].map((name) => `other names were looked up before ${name}.slow.test`));
    await answer('a.slow.test');
    expect(started()).toEqual([]);
    expect(results.at(-1)).toBe('a.slow.test 93.184.216.34');
  });
});

describe('a name that was resolved before', () => {
  test('gets its previous addresses when there is no answer within a second', async () => {
    await ask('api.one.test');
    await answer('api.one.test');
    await ask('api.one.test');
    await vi.advanceTimersByTimeAsync(999);
    expect(results).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(results).toEqual(['api.one.test 93.184.216.34', 'api.one.test 93.184.216.34']);
  });

  test('gets them also while it waits for its turn, and gets its new addresses later', async () => {
    await ask('api.one.test');
    await answer('api.one.test');
    await ask('a.slow.test', 'api.one.test');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(results.at(-1)).toBe('api.one.test 93.184.216.34');
    await vi.advanceTimersByTimeAsync(1_000);
    await answer('api.one.test', [{ address: '1.1.1.1', family: 4 }]);
    await ask('api.one.test');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(results.at(-1)).toBe('api.one.test 1.1.1.1');
  });

  test('fails when it does not exist any more', async () => {
    await ask('api.one.test');
    await answer('api.one.test');
    await ask('api.one.test');
    await answer('api.one.test', new Error('getaddrinfo ENOTFOUND api.one.test'));
    expect(results.at(-1)).toBe('getaddrinfo ENOTFOUND api.one.test');
  });
});
