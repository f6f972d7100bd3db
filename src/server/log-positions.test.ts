import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLink } from '../../test/fakes/sample-build.ts';
import { formatPositions, parsePositions, type StepPosition } from './log-positions.ts';

const link = createLink({
  right: 'view',
  scope: { host: 'github.com', owner: 'acme', name: 'shop' },
  id: '1f2e3d4c5b6a',
  sha: '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d',
  trust: 'protected',
  token: 'ghp_abcdefgh12345678',
});
const number = fc.nat(2 ** 31 - 1);
const position: fc.Arbitrary<StepPosition> = fc.oneof(
  fc.record({ kind: fc.constant('whole' as const), attempt: number }),
  fc.record({
    kind: fc.constant('part' as const),
    attempt: number,
    log: fc.record({ offset: fc.maxSafeNat(), pieces: number }),
    lines: fc.record({ line: number, style: fc.nat(2 ** 24 - 1) }),
  }),
);
const positions = fc.array(fc.tuple(fc.nat(99), position)).map((entries) => new Map(entries));

describe('positions', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(positions, (some) => {
        expect(parsePositions(formatPositions(some, link), link)).toEqual(some);
      }),
    );
  });

  test('hold nothing that an address or a header would have to escape', () => {
    fc.assert(
      fc.property(positions, (some) => {
        expect(formatPositions(some, link)).toMatch(/^[\w.~-]*$/);
      }),
    );
  });

  test('are short: thirty steps, one of them at a megabyte, take less than 200 characters', () => {
    const whole = Array.from({ length: 30 }, (_, index) => [index, { kind: 'whole', attempt: 1 }] as const);
    const part = { kind: 'part', attempt: 1, log: { offset: 1e6, pieces: 0 }, lines: { line: 9e4, style: 0 } } as const;
    expect(formatPositions(new Map<number, StepPosition>([...whole, [30, part]]), link).length).toBeLessThan(200);
  });

  const some = new Map<number, StepPosition>([
    [0, { kind: 'part', attempt: 1, log: { offset: 10, pieces: 0 }, lines: { line: 1, style: 0 } }],
  ]);

  test.each([
    ['another offset', formatPositions(some, link).replace('.a.', '.b.')],
    ['another proof', `AAAAAAAAAAAAAAAA.${formatPositions(some, link).split('.').slice(1).join('.')}`],
    ['no proof', '0.1.a.0.1.0'],
    ['nothing', ''],
    ['a short proof', 'AAAA.0.1'],
  ])('that nobody gave away are none: %s', (_, value) => {
    expect(parsePositions(value, link)).toBeUndefined();
  });

  test.each([
    ['build', { id: 'aaaaaaaaaaaa' }],
    ['repository', { scope: { ...link.build.scope, name: 'other' } }],
    ['token', { token: 'ghp_other' }],
  ])('of another %s are none', (_, change) => {
    expect(
      parsePositions(formatPositions(some, link), createLink({ ...link.build, token: link.token, ...change })),
    ).toBeUndefined();
  });

  test('are the same for both rights', () => {
    expect(parsePositions(formatPositions(some, link), { ...link, right: 'control' })).toStrictEqual(some);
  });
});
