import { expect, test } from 'vitest';
import { parsePipeline } from './parse-pipeline.ts';
import { stepsOf } from './plan.ts';

test.each([
  ['one step in its container', '- a: make', ['a']],
  ['steps in several containers', '- a: make\n- b: make', ['a', 'b']],
  ['several steps in one container', '- a: make\n- a: make test\n- b: x', ['make', 'make test', 'b']],
  ['a name beside it', '- a: make\n- a: make test\n  name: tests', ['a', 'tests']],
  ['parallel and finally', '- parallel: [{a: lint}, {a: test}]\nfinally:\n- a: clean', ['lint', 'test', 'clean']],
  ['a list', '- a: [npm, ci]\n- a: make', ['npm ci', 'make']],
  [
    'options of the shell and comments first',
    '- a: |\n    #!/bin/sh\n    set -eu\n\n    # why\n    make   all\n- a: set -x',
    ['make all', 'set -x'],
  ],
  [
    'a long line',
    `- a: echo ${'x'.repeat(80)}\n- a: ${'😀'.repeat(61)}`,
    [`echo ${'x'.repeat(54)}…`, `${'😀'.repeat(59)}…`],
  ],
  ['a control character', '- a: "make\\tx\\e[1m"\n- a: x', ['make x [1m', 'x']],
])('the steps are named with %s', (_what, steps, names) => {
  const { pipeline, problems } = parsePipeline(
    [
      'k8s: aa.aXY.Y3Q.dGFn',
      'job: {apiVersion: v1, kind: Pod, metadata: {name: demo}, spec: {containers: [{name: a}, {name: b}]}}',
      'checkout: false',
      `steps:\n${steps}\n`,
    ].join('\n'),
  );
  expect(problems).toEqual([]);
  expect([...(pipeline?.steps ?? []), ...(pipeline?.finally ?? [])].flatMap(stepsOf).map(({ name }) => name)).toEqual(
    names,
  );
});
