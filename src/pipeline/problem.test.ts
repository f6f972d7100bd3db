import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Problem } from './pipeline.ts';
import { formatProblem, summarizeProblem } from './problem.ts';

const problem: Problem = {
  severity: 'error',
  message: 'unknown key "wen"',
  hint: 'did you mean "when"?',
  line: 3,
  column: 3,
  endColumn: 6,
};

test('shows the line, the one above, a caret and the hint', () => {
  expect(formatProblem(problem, 'steps:\n- sh: y\n  wen: main\n')).toBe(
    [
      'c3.yaml:3:3 error: unknown key "wen"',
      '  2 | - sh: y',
      '  3 |   wen: main',
      '    |   ^^^ did you mean "when"?',
    ].join('\n'),
  );
});

test('names the file as it is told to', () => {
  expect(summarizeProblem(problem, { file: 'ci/c3.yaml' })).toBe('ci/c3.yaml:3:3 error: unknown key "wen"');
});

test('cuts a summary to what a commit status keeps', () => {
  const summary = summarizeProblem({ ...problem, message: 'x'.repeat(500) });
  expect(summary).toHaveLength(140);
  expect(summary.endsWith('x…')).toBe(true);
});

test('keeps the caret under its column behind tabs and in long lines', () => {
  const line = `\t${'a'.repeat(150)}HERE${'b'.repeat(150)}`;
  const column = line.indexOf('HERE') + 1;
  const lines = formatProblem({ ...problem, line: 1, column, endColumn: column + 4 }, line).split('\n');
  const [, excerpt = '', carets = ''] = lines;
  expect(excerpt.indexOf('HERE')).toBe(carets.indexOf('^^^^'));
  expect(excerpt.length).toBeLessThan(115);
});

test.each([
  ['k8s: eyJhcGlWZXJzaW9u', 'k8s: …'],
  ['telegram: "110:AAH"', 'telegram: …'],
  ['"k8s": hunter2', '"k8s": …'],
  ['k8s: aa.aXY.Y3Q.dGFn', 'k8s: aa.aXY.Y3Q.dGFn'],
  ['k8s: <encrypted-k8s-config> # later', 'k8s: <encrypted-k8s-config> # later'],
  ['secrets: {A: hunter2}', 'secrets: …'],
])('shows %j as %j', (line, shown) => {
  const text = formatProblem({ ...problem, line: 1, column: 1, endColumn: 4 }, line);
  expect(text.split('\n')[1]).toBe(`  1 | ${shown}`);
});

test('hides the lines under a key of secrets, however broken the file is', () => {
  const source = 'secrets:\n  A: hunter2\n  hunter2\n\n# a comment\n  - hunter2\nsteps: [\n';
  const texts = [1, 2, 3, 4, 5, 6, 7].map((line) => formatProblem({ ...problem, line }, source));
  expect(texts.join('\n')).not.toContain('hunter2');
  expect(texts[6]).toContain('steps: [');
});

test('formats any place in any text', () => {
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
        // oxlint-disable-next-line no-control-regex -- the point of the test
        expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
      },
    ),
  );
});
