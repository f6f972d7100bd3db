import { expect, test } from 'vitest';

import { parsePipeline } from '../parse-pipeline.ts';

/** What `kubectl label --local -f - a=b -o json` (1.32) makes of each value. */
test.each<readonly [string, unknown]>([
  ['0400', 256],
  ['-0400', -256],
  ['+0400', 256],
  ['0o400', 256],
  ['0O17', 15],
  ['-0o17', -15],
  ['0777_7', 4095],
  ['0_7', 7],
  ['00', 0],
  ['08', 8],
  ['0400.5', 400.5],
  ['0x1F', 31],
  ['0X1F', 31],
  ['0x_1F', 31],
  ['+0x1f', 31],
  ['0b11', 3],
  ['-0b11', -3],
  ['0b12', '0b12'],
  ['0o8', '0o8'],
  ['1_000', 1000],
  ['1__0', 10],
  ['1_', 1],
  ['-_1', -1],
  ['_1', '_1'],
  ['1_0.5', 10.5],
  ['.5_0', 0.5],
  ['685.230_15e+03', 685_230.15],
  ['1e3', 1000],
  ['1e', '1e'],
  ['5.', 5],
  ['+.5', 0.5],
  ['1:30', '1:30'],
  ['190:20:30', '190:20:30'],
  ['2024-01-01', '2024-01-01'],
  ['2001-12-14 21:59:43.10 -5', '2001-12-14 21:59:43.10 -5'],
  ['=', '='],
  ['<<', '<<'],
  ['~', null],
  ['NULL', null],
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'TRUE'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'False'].map((word) => [word, false] as const),
  ['tRUE', 'tRUE'],
  ['"yes"', 'yes'],
  ["'0400'", '0400'],
  ['!!str 0400', '0400'],
  ["!!int '0400'", 256],
  ['!!bool yes', true],
])('a value %s in the job is what kubectl sends', (value, expected) => {
  const { pipeline, problems } = parsePipeline(toFile(`value: ${value}`));
  expect(problems).toEqual([]);
  expect(pipeline?.job.manifest['spec']).toMatchObject({ 'x-test': { value: expected } });
});

test.each([
  ['on: 1', 'kubectl reads the key "on" as true: put it in quotes'],
  ['0400: 1', 'kubectl reads the key "0400" as 256: put it in quotes'],
  ['1.0: 1', 'kubectl reads the key "1.0" as 1: put it in quotes'],
  ['~: 1', 'kubectl reads the key "~" as nothing: put it in quotes'],
  ['value: 9007199254740993', 'this number has more digits than c3 keeps: put it in quotes'],
  ['value: .inf', 'JSON has no such number: put it in quotes'],
  ['value: !!binary aGk=', 'c3 does not know the tag of this value'],
  ['a: 1, <<: *a', 'for kubectl, "<<" replaces the same keys above it: put it before the keys that it must not change'],
  ['<<: *b, <<: *a', 'for kubectl, "<<" replaces the same keys above it'],
])('{%s} in the job is an error with the fix', (entry, expected) => {
  const { problems } = parsePipeline(`x-a: &a {a: 2}\nx-b: &b {a: 3}\n${toFile(entry)}`);
  expect(problems.map(({ message, hint }) => `${message}: ${hint}`)).toEqual([expect.stringContaining(expected)]);
});

test.each(["'on': 1, '0400': 2", '2024-01-01: 1, 123: 2', '<<: *a, a: 1', '<<: [*a, *b]'])(
  '{%s} in the job is correct',
  (entry) => {
    const { problems } = parsePipeline(`x-a: &a {a: 2}\nx-b: &b {a: 3}\n${toFile(entry)}`);
    expect(problems).toEqual([]);
  },
);

test.each([
  ['metadata: {name: demo, labels: {a: yes}}', 'this value must be text, not a boolean'],
  ['metadata: {name: demo, annotations: {a: 1.10}}', 'this value must be text, not a number'],
  ['spec: {nodeSelector: {gpu: on}, containers: [{name: sh}]}', 'this value must be text, not a boolean'],
  [
    'spec: {containers: [{name: sh, env: [{name: A, value: 0400}]}]}',
    'the value of a variable must be text, not a number',
  ],
  ['spec: {containers: [{name: sh, command: [sleep, off]}]}', 'a word of command must be text, not a boolean'],
  [
    'spec: {initContainers: [{name: a, env: [{name: A, value: 1_0}]}], containers: [{name: sh}]}',
    'the value of a variable must be text, not a number',
  ],
])('in the job, %s: %s', (line, expected) => {
  const key = line.slice(0, line.indexOf(':'));
  const { problems } = parsePipeline(toFile('a: 1').replace(new RegExp(`^  ${key}: .*$`, 'm'), `  ${line}`));
  expect(problems.map(({ message, hint }) => `${message}: ${hint}`)).toEqual([`${expected}: put it in quotes`]);
});

test('the same words outside of the job stay texts', () => {
  const { pipeline } = parsePipeline(`${toFile('a: 1')}env: {A: yes, B: 1_000}\n`);
  expect(pipeline?.env).toEqual({ A: 'yes', B: '1_000' });
});

test.each(['\u0085', '\u2028', '\u2029'])('a line separator that only YAML 1.1 knows is an error', (separator) => {
  const { problems } = parsePipeline(toFile(`value: "a${separator}b"`));
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^the file contains the control character U\+/),
  ]);
});

function toFile(entry: string): string {
  return [
    'k8s: aa.aXY.Y3Q.dGFn',
    'job:',
    '  apiVersion: v1',
    '  kind: Pod',
    '  metadata: {name: demo}',
    `  spec: {containers: [{name: sh}], x-test: {${entry}}}`,
    'checkout: false',
    'steps: [sh: make]',
    '',
  ].join('\n');
}
