import { expect, test } from 'vitest';

import { parsePipeline } from './parse-pipeline.ts';
import { formatProblem } from './format-problem.ts';

/** Traps of YAML, each with the sentence that helps. */
const head = [
  'k8s: aa.aXY.Y3Q.dGFn',
  'job: {apiVersion: v1, kind: Pod, metadata: {name: demo}, spec: {containers: [{name: sh}]}}',
  'checkout: false',
  'steps:',
  '',
].join('\n');

test.each([
  ['a misspelt option', '- sh: y\n  wen: main', '6:3 error: unknown key "wen"', 'did you mean "when"?'],
  [
    'a script that begins with *',
    '- sh: *.js',
    '5:7 error: this alias has no anchor',
    'a value that begins with "*" is an alias in YAML: put it in quotes if it is text',
  ],
  [
    'a script that begins with !',
    '- sh: !test -f a',
    '5:13 error: c3 does not know the tag of this value',
    'a value that begins with "!" is a tag in YAML: put it in quotes if it is text',
  ],
  [
    'binary',
    '- sh: !!binary bWFrZQ==',
    '5:16 error: c3 does not know the tag of this value',
    'a value that begins with "!" is a tag in YAML: put it in quotes if it is text',
  ],
  [
    'a second document',
    '- sh: a\n---\nsteps: []',
    '6:1 error: a second document begins here',
    'c3.yaml is one document: remove the "---"',
  ],
  ['a list as a key', '- [sh]: a', '5:3 error: a key must be text', 'not a list or a mapping'],
  ['a version', '- sh: 18.10', '5:7 error: the command of "sh" must be text, not a number', 'put it in quotes'],
  [
    'a number with a zero',
    '- sh: ls\n  env: {MODE: 0755}',
    '6:15 error: env.MODE must be text, not a number',
    'put it in quotes',
  ],
  [
    'a comment in a script',
    '- sh: echo #1',
    '5:12 warning: this is a comment, not part of the script',
    'to keep it, put the whole script in quotes or under "|"',
  ],
  [
    'a colon in a script',
    '- sh: echo foo: bar',
    '5:7 error: this text contains ": ", or the next line is indented deeper than this key',
    'for text, put the whole text in quotes, or on its own lines under "|"; for a key, align it with this one',
  ],
  [
    'a script that is not indented',
    '- sh: |\n  make',
    '5:7 warning: the text under "sh: |" is not indented deeper than "sh"; read as if it were',
    'line 6 belongs to this script: indent by 2 more spaces (`c3 lint --fix` does it)',
  ],
  [
    'a heredoc at the margin',
    '- sh: |\n    cat <<EOF\nhello there\nEOF',
    '7:1 error: this line is neither "key: value" nor part of the text above',
    'write `key: value`, or indent the line deeper than the key of the text above',
  ],
  ['a tab', '- sh: a\n\tname: b', '6:1 error: the line is indented with a tab', 'YAML is indented with spaces'],
  [
    'quotes that begin a script',
    '- sh: "a" && b',
    '5:11 error: this text is not expected here',
    'a value that begins with a quote or a bracket ends where that closes: put the whole text in quotes, or on its own lines under "|"',
  ],
  ['a script that begins with @', '- sh: @all', '5:7 error: text cannot begin with this character', 'put it in quotes'],
  ['the same key twice', '- sh: a\n  sh: b', '6:3 error: the key "sh" is here twice', 'the first is in line 5'],
  [
    'a bare number as a time limit',
    '- sh: a\n  timeout: 10',
    '6:12 error: timeout must be a duration, not a number',
    'add the unit, for example 90s, 10m or 1h30m',
  ],
])('%s', (_what, steps, headline, hint) => {
  const source = `${head}${steps}\n`;
  const texts = parsePipeline(source).problems.map((problem) => formatProblem(problem, source));
  expect(texts[0]?.split('\n')[0]).toBe(`c3.yaml:${headline}`);
  expect(texts[0]?.replace(/.*\^ /s, '')).toBe(hint);
});

const swallowed = 'the text under "sh: |" is not indented deeper than "sh"; read as if it were';

test.each([
  ['whne: {branch: main}', 'unknown key "whne": did you mean "when"?'],
  ['nmae: deploy', 'unknown key "nmae": did you mean "name"?'],
  ['tiemout: 10m', 'unknown key "tiemout": did you mean "timeout"?'],
  ['"wehn" : {branch: main}', 'unknown key "wehn": did you mean "when"?'],
  ['allowFailure: true', 'unknown key "allowFailure": did you mean "allow_failure"?'],
  ['only: main', 'unknown key "only": did you mean "when"?'],
  ['cache: yes', expect.stringContaining('unknown key "cache": ')],
  ['FOO: bar', 'unknown key "FOO": undefined'],
  ['when:{branch: main}', 'unknown key (not a word): write a space after the ":"'],
  ['tiemout:10m', expect.stringContaining('this line is neither "key: value" nor part of the text above')],
])('%s under a script that is indented like its key is an error', (line, expected) => {
  const { pipeline, problems } = parsePipeline(`${head}- sh: |\n  kubectl apply -f .\n  ${line}\n`);
  expect(pipeline).toBeUndefined();
  expect(problems.map(({ line: at, message, hint }) => [at, `${message}: ${hint}`])).toEqual([
    [5, expect.stringContaining(swallowed)],
    [7, expected],
  ]);
});

test('an option between the lines of a script is an error, and so is what is wrong after it', () => {
  const { problems } = parsePipeline(`${head}- sh: |\n  make\n  whne: {branch: main}\n  make test\n- hs: x\n`);
  expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual([
    `5 ${swallowed}`,
    '7 unknown key "whne"',
    '8 this line is neither "key: value" nor part of the text above',
    '9 the job has no container "hs"',
  ]);
});

test.each(['|', '>-', '|-'])('an option that is indented like the script above it is an error under %s', (style) => {
  const { problems } = parsePipeline(`${head}- sh: ${style}\n    make\n    whne: {branch: main}\n`);
  expect(problems).toEqual([
    {
      severity: 'error',
      message: 'this option is indented like the script above it',
      hint: 'indent it like the container',
      line: 7,
      column: 5,
      endColumn: 25,
    },
  ]);
});

test.each([
  ['a here-document', 'cat > a.yaml <<EOF\n    name: a\n    EOF'],
  ['quotes', "echo '\n    name: a\n    ' > a.yaml"],
  ['a deeper line', 'if a; then\n      name: a\n    fi'],
  ['another word', 'foo: bar'],
])('in %s of a script, a line can look like an option', (_what, script) => {
  expect(parsePipeline(`${head}- sh: |\n    ${script}\n`).problems).toEqual([]);
});

test('all mistakes are reported, also beside texts that are not YAML', () => {
  const steps = [
    '- sh: echo foo: bar',
    '  timeout: 10',
    '- sh: "a" && b',
    "- sh: 'it",
    '- sh: @all',
    '- sh: make',
    '    when: {branch: main}',
    '- sh: echo a',
    '    echo b: c',
    '- sh: [a, b',
    '- sh: |',
    '    cat <<EOF',
    'hello there',
    '    EOF',
    '- sh: "\\z"',
    '  wen: 1',
    '- hs: x',
    'wat: 1',
  ];
  const { problems } = parsePipeline(`${head}${steps.join('\n')}\n`);
  expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual([
    '5 this text contains ": ", or the next line is indented deeper than this key',
    '6 timeout must be a duration, not a number',
    '7 this text is not expected here',
    "8 the ' is not closed",
    '9 text cannot begin with this character',
    '10 this text contains ": ", or the next line is indented deeper than this key',
    '12 this text contains ": ", or the next line is indented deeper than this key',
    '14 the [ is not closed',
    '17 this line is neither "key: value" nor part of the text above',
    '19 this "\\" in double quotes does not begin an escape sequence',
    '20 unknown key "wen"',
    '21 the job has no container "hs"',
    '22 unknown key "wat"',
  ]);
});

test.each([
  ['k8s', 'k8s: aa: bb'],
  ['job', 'x-job: {a: "b}'],
  ['checkout', 'x-a: "b'],
])('a text that is not YAML before %s does not hide other mistakes', (key, line) => {
  const { problems } = parsePipeline(`${head}- hs: x\n`.replace(`${key}: `, `${line}\n$&`));
  expect(problems.map(({ message }) => message)).toContain('the job has no container "hs"');
});

test('an alias bomb is refused at the node that is too large', () => {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const source = level === 0 ? 'lol' : `*a${level - 1}`;
    return `x-${level}: &a${level} [${Array.from({ length: 9 }, () => source).join(', ')}]`;
  });
  const { problems } = parsePipeline(`${levels.join('\n')}\n${head}- sh: a\n`);
  expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual([
    '1 with its aliases written out this is larger than 256 KiB',
    '6 with its aliases written out this is larger than 256 KiB',
  ]);
});

test.each([
  ['a step', '- sh: a\n- *list', '7:3', 'a step must be a mapping `container: command`, not a list'],
  ['a parallel step', '- parallel:\n  - *list', '7:5', 'a step must be a mapping `container: command`, not a list'],
  ['a word', '- sh: [ls, *list]', '6:12', 'a word of the command of "sh" must be text, not a list'],
  ['a glob', '- sh: a\n  when: {branch: [*list]}', '7:19', 'when.branch must be text, not a list'],
])('an alias of a list as %s is reported where the alias is', (_what, steps, place, expected) => {
  const { problems } = parsePipeline(`x-list: &list [{sh: a}]\n${head}${steps}\n`);
  expect(problems.map(({ line, column, message, hint }) => [`${line}:${column}`, message, hint])).toEqual([
    [place, expected, 'an alias of a list cannot be inserted into a list: write an alias for each item'],
  ]);
});

test.each(['utf-16le', 'utf-16be'])('a file in %s is reported with the remedy', (encoding) => {
  const bytes = Buffer.from(`\uFEFF${head}`, 'utf16le');
  const { problems } = parsePipeline((encoding === 'utf-16le' ? bytes : bytes.swap16()).toString());
  expect(problems).toMatchObject([
    {
      message: 'the file contains the control character U+0000',
      hint: 'if the file is UTF-16, as the `>` of Windows PowerShell writes it, save it as UTF-8',
    },
  ]);
});

test.each([
  ['no', 'no'],
  ['on', 'on'],
  ['2024-01-01', '2024-01-01'],
  ['1_000', '1_000'],
  ['"0755"', '0755'],
])('%s is text in YAML 1.2', (value, text) => {
  const { pipeline, problems } = parsePipeline(`${head}- sh: a\nenv: {A: ${value}}\n`);
  expect(problems).toEqual([]);
  expect(pipeline?.env).toEqual({ A: text });
});

test('a merge key adds keys that are not there', () => {
  const { pipeline } = parsePipeline(`x-env: &env {A: a, B: b}\n${head}- sh: a\nenv: {<<: *env, B: c}\n`);
  expect(pipeline?.env).toEqual({ A: 'a', B: 'c' });
});

test('a byte order mark is not a column', () => {
  const [problem] = parsePipeline('\uFEFFwat: 1\n').problems.filter(({ message }) => message.startsWith('unknown'));
  expect(problem).toMatchObject({ line: 1, column: 1, endColumn: 4 });
});
