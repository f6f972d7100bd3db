import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { MAX_PIPELINE_BYTES, parsePipeline } from './parse-pipeline.ts';
import type { Problem } from './pipeline.ts';
import { formatProblem } from './format-problem.ts';

const root = join(import.meta.dirname, '../..');
const sealed = 'aa.aXY.Y3Q.dGFn';
const head = [
  `k8s: ${sealed}`,
  'job:',
  '  apiVersion: v1',
  '  kind: Pod',
  '  metadata: {name: demo}',
  '  spec:',
  '    volumes: [{name: project, emptyDir: {}}]',
  '    containers: [{name: git, volumeMounts: [{name: project, mountPath: /c3}]}]',
  '',
].join('\n');

describe('the example that c3 must run unchanged', () => {
  const source = readFileSync(join(root, 'examples/seed.c3.yaml'), 'utf8');

  test('has an under-indented script that is read as it is meant, with one warning', () => {
    const text = source.replace('<encrypted-k8s-config>', sealed);
    const { pipeline, problems } = parsePipeline(text);
    const steps = pipeline?.steps.flatMap((stage) => (stage.kind === 'step' ? [stage.step] : stage.steps));
    expect(steps?.map((step) => [step.container, step.line])).toEqual([
      ['git', 55],
      ['clj', 56],
      ['clj', 57],
      ['kaniko', 58],
    ]);
    expect(steps?.[3]?.run).toEqual({
      kind: 'script',
      text: [
        '/kaniko/executor \\',
        '--dockerfile=/c3/project/Dockerfile \\',
        '--context=/c3/project \\',
        '--no-push \\',
        '--tarPath=/c3/img',
        '',
      ].join('\n'),
    });
    expect(pipeline?.job).toMatchObject({ name: 'buildit', containers: ['main', 'git', 'clj', 'kaniko', 'kube'] });
    expect(problems.map((problem) => formatProblem(problem, text))).toEqual([
      [
        'c3.yaml:58:12 warning: the text under "kaniko: |" is not indented deeper than "kaniko"; read as if it were',
        '  57 | - clj: clojure -A:jar',
        '  58 | - kaniko:  |',
        '     |            ^ lines 59-63 belong to this script: indent by 2 more spaces (`c3 lint --fix` does it)',
      ].join('\n'),
    ]);
  });

  test('needs a kubeconfig in place of its placeholder', () => {
    const { pipeline, problems } = parsePipeline(source);
    expect(pipeline).toBeUndefined();
    expect(errorsOf(problems)).toEqual(['k8s is still the placeholder of an example']);
  });
});

test.each(readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.c3.yaml')))(
  'examples/%s is correct except for its sealed values',
  (name) => {
    const source = readFileSync(join(root, 'examples', name), 'utf8');
    expect(errorsOf(parsePipeline(sealPlaceholders(source)).problems)).toEqual([]);
    expect(parsePipeline(sealPlaceholders(source)).pipeline?.k8s).toEqual({ value: sealed });
  },
);

describe('limits', () => {
  test('refuses a file above its limit, measured in bytes, without parsing it', () => {
    const text = 'ü'.repeat(MAX_PIPELINE_BYTES / 2 + 1);
    expect(errorsOf(parsePipeline(text).problems)).toEqual(['the file has 65538 bytes, more than 65536']);
  });

  test('reads a file at its limit', () => {
    const start = `${head}steps:\n- git: |\n`;
    const line = '    echo "a: b # c"\n';
    const text = start + line.repeat(Math.floor((MAX_PIPELINE_BYTES - start.length) / line.length));
    expect(parsePipeline(text).problems).toEqual([]);
  });

  test('reports the first fifty problems and that there are more', () => {
    const { problems } = parsePipeline(Array.from({ length: 2_000 }, (_, index) => `k${index}:`).join('\n'));
    expect(problems).toHaveLength(51);
    expect(errorsOf(problems).at(-1)).toBe('more than 50 errors, the rest is not shown');
  });

  test('accepts 100 steps and refuses 101', () => {
    expect(parsePipeline(`${head}steps:\n${'- git: ls\n'.repeat(100)}`).problems).toEqual([]);
    expect(errorsOf(parsePipeline(`${head}steps:\n${'- git: ls\n'.repeat(101)}`).problems)).toEqual([
      'steps has more than 100 steps',
    ]);
  });

  test('limits the cost of merge keys', () => {
    const keys = Array.from({ length: 700 }, (_, index) => `k${index}: 1`).join(',');
    const text = `x-a: &a {${keys}}\nx-b: [${'{<<: *a}, '.repeat(200)}]\n${head}steps: [git: ls]\n`;
    expect(errorsOf(parsePipeline(text).problems)).toContain('merge keys bring in more than 10000 keys');
  });

  /**
   * Texts that are slow in the library, or could be in our code. The time limit of the test asserts that each is near
   * linear.
   */
  const pieces: readonly (readonly [string, string])[] = [
    ['opening brackets', '['],
    ['closing brackets', ']'],
    ['commas', '[,'],
    ['anchors', '&a '],
    ['tags', '!a '],
    ['directives', '%a\n'],
    ['bad escapes', '"\\z'],
    ['the same key', 'a:\n'],
    ['dashes', '- '],
    ['question marks', '? '],
    ['documents', '---\n'],
    ['blank lines', '\n'],
    ['under-indented scripts', 'steps:\n- a: |\n  b\n'],
    ['block headers', '|\t'],
    ['nested mappings', '- a: \'b\\z""'],
  ];
  const fill = 60_000;
  const texts: readonly (readonly [string, string])[] = [
    ...pieces.map(
      ([what, piece]) =>
        [`a whole file of ${what}`, piece.repeat(Math.floor(MAX_PIPELINE_BYTES / piece.length))] as const,
    ),
    ...pieces.map(([what, piece]) => [`1,000 ${what}`, piece.repeat(1_000)] as const),
    ['a secret behind spaces', `k8s: x${' '.repeat(fill)}y\nwat: 1\n`],
    ['a long number', `steps: ${'1'.repeat(fill)}\n`],
    [
      'a path of slashes',
      `job: {spec: {containers: [{name: a, volumeMounts: [{mountPath: ${'/'.repeat(fill)}x}]}]}}\n`,
    ],
    [
      'long names',
      `job: {spec: {volumes: [{name: ${'a'.repeat(fill / 2)}}], containers: [{name: a, volumeMounts: [{name: ${'b'.repeat(fill / 2)}}]}]}}\n`,
    ],
    ['a text of quotes', `steps:\n- a: x${'"'.repeat(fill)} #b\n`],
    ['a folded text of blank lines', `a: >\n${' x\n\n'.repeat(fill / 4)}`],
    ['a list of globs', `when: {path: [${"'{a,b}{c,d}*', ".repeat(1_500)}]}\n`],
  ];

  test.each(texts)('returns for %s', (_what, text) => {
    const { pipeline, problems } = parsePipeline(text);
    const shown = problems.map((problem) => formatProblem(problem, text));
    expect(pipeline).toBeUndefined();
    expect(errorsOf(problems).length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(102);
    // A position, two lines of the file, carets and a hint, each of limited length.
    expect(Math.max(...shown.map((each) => each.length))).toBeLessThan(1_000);
  });
});

describe('any text', () => {
  const words = [
    'k8s:',
    'job:',
    'steps:',
    '- ',
    '  ',
    '\n',
    '\n- git: ',
    '|',
    '>-',
    ': ',
    '#',
    '"',
    "'",
    '&a ',
    '*a',
    '<<: ',
  ];
  const more = [
    '{',
    '}',
    '[',
    ']',
    ',',
    '\t',
    '\r\n',
    '---\n',
    '!x ',
    '? ',
    'env:',
    'timeout: 10',
    '__proto__: ',
    '\u0000',
    '\uFEFF',
    'ü',
  ];
  const yamlish = fc.array(fc.constantFrom(...words, ...more), { maxLength: 60 }).map((parts) => parts.join(''));
  const afterHead = yamlish.map((text) => `${head}steps:\n- git: ls\n${text}`);

  test('has a pipeline or an error, and its problems are in order and inside the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), yamlish, afterHead), (text) => {
        const { pipeline, problems } = parsePipeline(text);
        expect(pipeline === undefined).toBe(errorsOf(problems).length > 0);
        const lineCount = text.split('\n').length;
        for (const [index, problem] of problems.entries()) {
          const before = problems[index - 1] ?? problem;
          expect(before.line < problem.line || (before.line === problem.line && before.column <= problem.column)).toBe(
            true,
          );
          expect(problem.line).toBeLessThanOrEqual(lineCount);
          expect(problem.column).toBeGreaterThanOrEqual(1);
          expect(problem.endColumn).toBeGreaterThan(problem.column);
          expect(formatProblem(problem, text)).toContain(problem.message);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('never reaches the prototype of an object', () => {
    const { pipeline } = parsePipeline(`${head}steps:\n- git: ls\nenv: {constructor: a, toString: b}\n`);
    expect(pipeline?.env).toEqual({ constructor: 'a', toString: 'b' });
    expect(errorsOf(parsePipeline(`${head}steps:\n- constructor: ls\n`).problems)).toEqual([
      'the job has no container "constructor"',
    ]);
    expect(errorsOf(parsePipeline(`${head}steps:\n- git: ls\nx-a: {__proto__: {a: 1}}\n`).problems)).toEqual([
      'the key "__proto__" is not allowed',
    ]);
  });
});

function errorsOf(problems: readonly Problem[]): string[] {
  return problems.filter((problem) => problem.severity === 'error').map((problem) => problem.message);
}

function sealPlaceholders(source: string): string {
  return source.replaceAll(/<[\w .:-]+>/g, sealed);
}
