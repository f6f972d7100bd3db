import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Problem } from './pipeline.ts';
import { formatProblem, summarizeProblem } from './format-problem.ts';

const problem: Problem = {
  severity: 'error',
  message: 'unknown key "wen"',
  hint: 'did you mean "when"?',
  line: 3,
  column: 3,
  endColumn: 6,
};

test('shows the line, the one above, a caret and the hint', () => {
  expect(formatProblem(problem, 'steps:\n- name: y\n  wen: main\n')).toBe(
    [
      'c3.yaml:3:3 error: unknown key "wen"',
      '  2 | - name: y',
      '  3 |   wen: main',
      '    |   ^^^ did you mean "when"?',
    ].join('\n'),
  );
});

test('uses the given name of the file', () => {
  expect(summarizeProblem(problem, { file: 'ci/c3.yaml' })).toBe('ci/c3.yaml:3:3 error: unknown key "wen"');
});

test('cuts a summary to the length of a commit status', () => {
  const summary = summarizeProblem({ ...problem, message: 'x'.repeat(500) });
  expect(summary).toHaveLength(140);
  expect(summary.endsWith('x…')).toBe(true);
});

test('keeps the caret under its column after tabs and in long lines', () => {
  const line = `env: {A:\t${'a'.repeat(150)}, HERE: ${'b'.repeat(150)}}`;
  const column = line.indexOf('HERE') + 1;
  const lines = formatProblem({ ...problem, line: 1, column, endColumn: column + 4 }, line).split('\n');
  const [, excerpt = '', carets = ''] = lines;
  expect(excerpt.indexOf('HERE')).toBe(carets.indexOf('^^^^'));
  expect(excerpt.length).toBeLessThan(115);
});

test('shows no character that controls a terminal or changes the direction of text', () => {
  const odd = 'a\t\u009b2J\u007f\u202eb\u2028c\u0085d';
  const hostile = { ...problem, line: 1, message: odd, hint: odd };
  const shown = 'a \uFFFD2J\uFFFD\uFFFDb\uFFFDc\uFFFDd';
  const text = formatProblem(hostile, 'steps: []');
  expect(text).toBe([`c3.yaml:1:3 error: ${shown}`, '  1 | steps: []', `    |   ^^^ ${shown}`].join('\n'));
  expect(summarizeProblem(hostile)).toBe(`c3.yaml:1:3 error: ${shown}`);
});

test('formats any position in any text', () => {
  const number = fc.integer({ min: 1, max: 400 });
  fc.assert(
    fc.property(
      fc.string({ maxLength: 300, unit: 'binary' }),
      number,
      number,
      number,
      (source, line, column, width) => {
        const text = formatProblem({ ...problem, line, column, endColumn: column + width }, source);
        expect(text.startsWith(`c3.yaml:${line}:${column} error: `)).toBe(true);
        expect(text).toContain('^');
        expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      },
    ),
  );
});
