import { describe, expect, test } from 'vitest';
import { truncate, toList, toMetadata, toPod, toPodEvent, toStatus } from './api-types.ts';
import { toRecord } from './leases/lease-record.ts';

const LONG = 'x'.repeat(4 * 1024 * 1024);

/** Returns the length of the longest text in a value. */
function findLongest(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Math.max(0, ...Object.values(value).map(findLongest));
}

describe('a text of megabytes', () => {
  test('is cut when it is read, in any field of a Pod', () => {
    const state = { waiting: { reason: LONG, message: LONG } };
    const lastState = { terminated: { exitCode: 1, reason: LONG, message: LONG } };
    const containerStatuses = [{ name: LONG, image: LONG, state, lastState }];
    const pod = toPod({
      metadata: { name: LONG, uid: LONG, resourceVersion: LONG, annotations: { 'c3.build/spec-hash': LONG } },
      spec: { nodeName: LONG, containers: [{ name: LONG, resources: { limits: { memory: LONG } } }] },
      status: {
        phase: LONG,
        reason: LONG,
        message: LONG,
        conditions: [{ type: LONG, message: LONG }],
        containerStatuses,
      },
    });
    expect(pod.containers[0]?.state).toMatchObject({ message: LONG.slice(0, 4096) });
    expect(findLongest({ ...pod, annotations: {} })).toBe(4096);
    expect(findLongest(pod)).toBe(16 * 1024);
    expect(Object.keys(pod.memoryLimits)).toEqual([LONG.slice(0, 256)]);
  });

  test('is cut in Events, Leases and refusals too', () => {
    const involvedObject = { name: LONG, uid: LONG, fieldPath: LONG };
    expect(findLongest(toPodEvent({ type: LONG, reason: LONG, message: LONG, involvedObject }))).toBe(1024);
    const metadata = { name: LONG, labels: { 'c3.build/scope': LONG }, annotations: { 'c3.build/queue': LONG } };
    expect(findLongest(toMetadata({ metadata }))).toBe(16 * 1024);
    expect(findLongest(toRecord({ metadata, spec: { holderIdentity: LONG } }))).toBe(256);
    expect(findLongest(toStatus({ status: LONG, reason: LONG, message: LONG }))).toBe(4096);
  });
});

describe('a list without end', () => {
  const ENDLESS = Array.from({ length: 100_000 }, () => ({}));

  test('is cut when it is read, in any field of a Pod', () => {
    const status = { conditions: ENDLESS, containerStatuses: ENDLESS, initContainerStatuses: ENDLESS };
    const { conditions, containers, initContainers, containerNames } = toPod({ spec: { containers: ENDLESS }, status });
    const lengths = [conditions, containers, initContainers, containerNames].map((list) => list.length);
    expect(lengths).toEqual([200, 200, 200, 200]);
    expect(toPod({ status: { conditions: [0, null, 'x'] } }).conditions).toHaveLength(3);
  });

  test('is cut when it is a list of objects', () => {
    expect(toList({ items: ENDLESS }).items).toHaveLength(1_000);
  });

  test('of containers has a limit for all its messages', () => {
    const containerStatuses = ENDLESS.map(() => ({ state: { waiting: { message: 'x'.repeat(4096) } } }));
    const { containers } = toPod({ status: { containerStatuses } });
    const words = containers.map(({ state }) => (state.kind === 'waiting' ? state.message : '')).join('');
    expect(words).toHaveLength(200 * 327);
    const [first] = toPod({ status: { containerStatuses: containerStatuses.slice(0, 16) } }).containers;
    expect(first?.state).toMatchObject({ message: 'x'.repeat(4096) });
  });
});

test('only the labels and annotations that c3 writes are read', () => {
  const given = { 'c3.build/spec-hash': 'a', 'example.com/more': 'b', constructor: 'c' };
  expect(toPod({ metadata: { annotations: given } }).annotations).toEqual({ 'c3.build/spec-hash': 'a' });
  expect(toMetadata({ metadata: { labels: given } }).labels).toEqual({ 'c3.build/spec-hash': 'a' });
});

test('a truncated text does not end with half a character', () => {
  expect(truncate('abc', 3)).toBe('abc');
  expect(truncate('abcd', 3)).toBe('abc');
  expect(truncate('ab😀', 3)).toBe('ab�');
});
