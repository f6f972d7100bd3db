import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatLease,
  HEAD_MS,
  isFree,
  nextEpoch,
  planMove,
  toRecord,
  withBuild,
  withHolder,
  type Claimant,
  type LeaseRecord,
} from './lease-record.ts';

const NOW = Date.UTC(2026, 10, 22);
const REF = { namespace: 'ci', name: 'shop-1', labels: { 'c3.build/job': 'shop' }, now: NOW };

function claimant(build: string, nonce = 'n1', isResumed = false): Claimant {
  return { identity: `${build}@${nonce}`, build, nonce, isResumed };
}
function record(changes: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    version: '7',
    holder: '',
    durationMs: 30_000,
    renewedAt: NOW,
    epoch: 5,
    queue: [],
    builds: [],
    unfitPod: '',
    ...changes,
  };
}

describe('a record', () => {
  test('reads back from the Lease as it was written', () => {
    const text = fc.string({ maxLength: 20 });
    fc.assert(
      fc.property(
        text,
        text,
        fc.array(text),
        fc.array(fc.record({ build: text, pod: text })),
        (holder, unfitPod, queue, builds) => {
          const written = record({ holder, unfitPod, queue, builds });
          expect(toRecord(formatLease(written, REF))).toEqual(written);
        },
      ),
    );
  });

  test('can be read from any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.json(), (value, text) => {
        const annotations = { 'c3.build/queue': text, 'c3.build/builds': text };
        const read = toRecord({ metadata: { annotations }, spec: value });
        expect(read.queue.every((entry) => typeof entry === 'string')).toBe(true);
        expect(read.builds.every(({ build, pod }) => typeof build === 'string' && typeof pod === 'string')).toBe(true);
      }),
    );
  });

  test('has the limits of what c3 writes, whatever the Lease contains', () => {
    const queue = ['x'.repeat(129), ...Array.from({ length: 300 }, (_, index) => `b${index}@n`)];
    const builds = [...Array.from({ length: 40 }, (_, index) => [`b${index}`, 'p']), ['x'.repeat(129), 'p']];
    const annotations = {
      'c3.build/queue': JSON.stringify(queue),
      'c3.build/builds': JSON.stringify(builds),
      'c3.build/unfit-pod': 'x'.repeat(10_000),
    };
    const read = toRecord({ metadata: { annotations } });
    expect(read.queue).toEqual(queue.slice(1, 101));
    expect(read.builds.map(({ build }) => build)).toEqual(builds.slice(-17, -1).map(([build]) => build));
    expect(read.unfitPod).toHaveLength(128);
  });

  test('keeps the last 16 builds, each once', () => {
    let latest = record();
    for (let number = 0; number < 20; number += 1) latest = withBuild(latest, { build: `b${number}`, pod: 'p' });
    latest = withBuild(latest, { build: 'b10', pod: 'q' });
    expect(latest.builds).toHaveLength(16);
    expect(latest.builds.filter(({ build }) => build === 'b10')).toEqual([{ build: 'b10', pod: 'q' }]);
    expect(latest.builds.at(-1)).toEqual({ build: 'b10', pod: 'q' });
  });
});

test('an epoch is greater than the last one, and than that of a Lease that was deleted', () => {
  expect(nextEpoch(5, Date.UTC(2026, 0, 1, 0, 0, 3))).toBe(6);
  expect(nextEpoch(0, Date.UTC(2026, 0, 1, 1))).toBe(3600);
  expect(nextEpoch(0, Date.UTC(2093, 0, 1))).toBeLessThan(2 ** 31);
});

describe('a Lease is free', () => {
  test.each<[string, boolean, Partial<LeaseRecord>, Claimant, number]>([
    ['that nobody holds', true, {}, claimant('b'), 0],
    ['whose holder has not renewed it in time', true, { holder: 'a@n2' }, claimant('b'), 30_000],
    ['of an earlier build of the same client', true, { holder: 'a@n1' }, claimant('b'), 0],
    ['of the resumed build', true, { holder: 'b@n2' }, claimant('b', 'n1', true), 0],
    ['but not before its duration is over', false, { holder: 'a@n2' }, claimant('b'), 29_999],
    ['but not for a build of the same name that is not resumed', false, { holder: 'b@n2' }, claimant('b'), 0],
    ['but not for another resumed build', false, { holder: 'bb@n2' }, claimant('b', 'n1', true), 0],
  ])('%s: %s', (_what, expected, changes, who, holderMs) => {
    expect(isFree(record(changes), who, holderMs)).toBe(expected);
  });
});

describe('a claimant', () => {
  const now = { holderMs: 0, headMs: 0 };

  test('takes a free Lease, and leaves the queue, if it is the first', () => {
    expect(planMove(record(), claimant('b'), now)).toBe('take');
    expect(planMove(record({ queue: ['b@n1', 'c@n2'] }), claimant('b'), now)).toBe('take');
    expect(withHolder(record({ queue: ['b@n1', 'c@n2'] }), claimant('b'), NOW)).toMatchObject({
      holder: 'b@n1',
      queue: ['c@n2'],
    });
  });

  test('enters the queue behind a holder and earlier claimants', () => {
    expect(planMove(record({ holder: 'a@n2' }), claimant('b'), now)).toBe('queue');
    expect(planMove(record({ queue: ['c@n2'] }), claimant('b'), now)).toBe('queue');
    expect(planMove(record({ queue: ['c@n2', 'b@n1'] }), claimant('b'), now)).toBe('wait');
  });

  test('skips a first claimant that does not take the Lease, and removes it from the queue', () => {
    const waiting = record({ queue: ['dead@n2', 'b@n1', 'c@n3'] });
    expect(planMove(waiting, claimant('b'), { holderMs: 0, headMs: HEAD_MS - 1 })).toBe('wait');
    expect(planMove(waiting, claimant('b'), { holderMs: 0, headMs: HEAD_MS })).toBe('take');
    expect(withHolder(waiting, claimant('b'), NOW).queue).toEqual(['c@n3']);
  });

  test('waits outside the queue when the queue is full', () => {
    const queue = Array.from({ length: 100 }, (_, index) => `b${index}@n2`);
    expect(planMove(record({ queue }), claimant('b'), now)).toBe('wait');
  });
});
