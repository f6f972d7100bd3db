import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectFailingLines } from './failing-lines.ts';
import { text } from './markup.ts';

const ROOM = 2_500;
const passing = (count: number): string[] => Array.from({ length: count }, (_, index) => ` ✓ error case ${index}`);

/** What Telegram shows before a tap: about three lines of the folded quote, and all last lines. */
function visible(lines: readonly string[], room = ROOM): string[] {
  const { folded, last } = selectFailingLines(lines.join('\n'), room);
  return [...folded.split('\n').slice(0, 3), ...last.split('\n')];
}

describe('the failing lines are visible before a tap', () => {
  test.each([
    [
      'vitest',
      passing(10),
      ['AssertionError: expected 2.35 to be 2.34'],
      ['', ' Tests  1 failed | 56 passed (57)', ''],
    ],
    ['go test', ['=== RUN TestA', 'ok  shop/cart 0.1s'], ['--- FAIL: TestPrice (0.00s)'], ['FAIL', 'exit status 1']],
    ['pytest', ['tests/test_a.py ....'], ["E   ValueError: 'x'"], ['=== 1 failed, 4 passed in 0.12s ===']],
    ['make', ['cc -c a.c'], ["a.c:3:1: error: unknown type name 'in'"], ['make: *** [a.o] Error 1']],
    ['npm', ['> build'], ['npm ERR! code ELIFECYCLE'], ['npm ERR! A complete log of this run']],
    ['tap', ['ok 1 - a', 'ok 2 - b'], ['not ok 3 - c'], ['# tests 3', '# pass 2', '# fail 1']],
    [
      'cargo',
      ['   Compiling thiserror v1.0.69', 'test parse_error ... ok'],
      ['error[E0382]: borrow of moved value: `x`'],
      ['For more information about this error, try `rustc --explain E0382`.'],
    ],
    ['pytest -v', ['tests/test_error.py::test_a PASSED [ 50%]'], ['tests/test_b.py::test_b FAILED [100%]'], ['in 1s']],
    ['maven', ['Tests run: 5, Failures: 0, Errors: 0'], ['[ERROR] COMPILATION ERROR :'], ['[INFO] BUILD FAILURE']],
    ['a program', ['npm warn deprecated error@1.0.0'], ['Segmentation fault (core dumped)'], ['cleaned']],
    ['a shell', ['+ cd /srv'], ['sh: deploy: not found'], ['+ cleanup', 'cleaning', 'cleaned']],
  ])('of %s', (_, before, failure, after) => {
    const context = Array.from({ length: 6 }, (__, index) => `    at line ${index}`);
    expect(visible([...passing(4), ...before, ...failure, ...context, ...after])).toContain(failure[0]);
  });

  test('of a program whose summary is longer than what is shown', () => {
    const table = Array.from({ length: 40 }, (_, index) => ` file-${index}.ts | 100 | 100 |`);
    expect(visible([...passing(3), '● rounds › failed', ...table])).toContain('● rounds › failed');
  });

  test('of a program that says nothing of a failure: its last lines', () => {
    const lines = Array.from({ length: 100 }, (_, index) => `step ${index}`);
    expect(visible(lines).slice(-3)).toEqual(['step 97', 'step 98', 'step 99']);
    expect(selectFailingLines(lines.join('\n'), ROOM).folded).toMatch(/^step 80\n[^]*\nstep 96$/);
  });

  test('of a program whose last line is long', () => {
    const line = `error: ${'x'.repeat(900)}`;
    expect(selectFailingLines(['one', line].join('\n'), ROOM)).toEqual({ folded: line, last: '' });
    const long = `${'y'.repeat(5_000)} the end`;
    expect(selectFailingLines(long, ROOM)).toEqual({ folded: expect.stringMatching(/^…y+ the end$/), last: '' });
  });
});

test('a gap before the last lines is marked, and a short output is not folded', () => {
  const lines = ['error: first', ...Array.from({ length: 50 }, (_, index) => `at ${index}`)];
  const { folded, last } = selectFailingLines(lines.join('\n'), ROOM);
  expect(folded).toMatch(/^error: first\nat 0\n[^]*\nat 14\n…$/);
  expect(last).toBe('at 47\nat 48\nat 49');
  expect(selectFailingLines('a\nb\nc\nd', ROOM)).toEqual({ folded: '', last: 'a\nb\nc\nd' });
  expect(selectFailingLines('', ROOM)).toEqual({ folded: '', last: '' });
});

test('no output takes more room than there is', () => {
  const line = fc.oneof(fc.string({ maxLength: 300 }), fc.constantFrom('error', '@a @b', '', 'x'.repeat(3_000)));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 0, max: ROOM }), (lines, room) => {
      const { folded, last } = selectFailingLines(lines.join('\n'), room);
      const parts = [folded, last].filter((part) => part !== '').join('\n');
      expect(text(parts).plain.length).toBeLessThanOrEqual(room);
    }),
  );
});
