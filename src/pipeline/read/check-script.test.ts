import { describe, expect, test } from 'vitest';

import { parsePipeline } from '../parse-pipeline.ts';

const head = [
  'k8s: aa.aXY.Y3Q.dGFn',
  'job: {apiVersion: v1, kind: Pod, metadata: {name: demo}, spec: {containers: [{name: c}]}}',
  'checkout: false',
  '',
].join('\n');

/** Returns the problems of steps whose first line is line 5. */
function lint(steps: string, key: 'steps' | 'finally' = 'steps'): string[] {
  const others = key === 'finally' ? 'steps: [{c: make}]\n' : '';
  const { pipeline, problems } = parsePipeline(`${head}${key}:\n${steps}\n${others}`);
  expect(pipeline).toBeDefined();
  return problems.map(({ line, column, severity, message }) => `${line}:${column} ${severity} ${message}`);
}

/** Writes a script under `|`. Its first line is line 6. */
function block(script: string): string {
  return `- c: |\n${script.replaceAll(/^/gm, '    ')}`;
}

const FOREIGN = 'warning c3 runs this script with `sh` and ignores "#!"';
const BASH_TEST = 'warning not every `sh` knows "[["; where it does not, `if [[ … ]]` is false';
const JOINED = 'warning YAML joins this line and the one above it into one command';
const EMPTIED = 'warning this empties the log of the step: it opens the log again as a file';

describe('the first line', () => {
  test.each([
    '#!/bin/bash',
    '#! /bin/bash -eu',
    '#!/usr/bin/env bash',
    '#!/usr/bin/env -S A=1 python3 -u',
    '#!/usr/bin/node',
    '#!/bin/busybox awk',
  ])('%s is ignored, which is reported', (line) => {
    expect(lint(block(`${line}\nmake`))).toEqual([`6:5 ${FOREIGN}`]);
  });

  test.each(['#!/bin/sh', '#!/bin/sh -eux', '#!/usr/bin/env sh', '#!/bin/busybox sh', '#!/bin/dash', '# bash', '#!'])(
    '%s does no harm',
    (line) => {
      expect(lint(block(`${line}\nmake`))).toEqual([]);
    },
  );

  test('may follow an empty line', () => {
    expect(lint(block('\n#!/bin/bash\nmake'))).toEqual([`7:5 ${FOREIGN}`]);
  });

  test('is the only warning of a script for bash', () => {
    expect(lint(block('#!/bin/bash\nif [[ $A == b ]]; then make; fi'))).toEqual([`6:5 ${FOREIGN}`]);
  });

  test('is reported in every place of a script', () => {
    const steps = '- parallel:\n  - container: c\n    run: "#!/bin/bash"\n  - c: |\n      #!/bin/bash';
    expect(lint(steps)).toEqual([`7:10 ${FOREIGN}`, `9:7 ${FOREIGN}`]);
    expect(lint(block('#!/bin/bash'), 'finally')).toEqual([`6:5 ${FOREIGN}`]);
  });
});

describe('a [[', () => {
  test.each([
    '[[ -f a ]] && make',
    'if [[ "$A" == main ]]; then make; fi',
    'a && [[ -f b ]]',
    '! [[ -f b ]]',
    'while true; do [[ -f b ]] && break; done',
    '(([[ -f a ]]))',
    'case $A in b) [[ -f a ]];; esac',
  ])('that is a command in %j is reported', (line) => {
    expect(lint(block(`make\n${line}`))).toEqual([`7:5 ${BASH_TEST}`]);
  });

  test.each([
    "grep '[[ ' a",
    'tr -d [[:space:]] < a',
    '[[:alpha:]]',
    "bash -c 'if [[ -f a ]]; then make; fi'",
    'bash -c "\n[[ -f a ]]\n"',
    'make # [[ -f a ]]',
    '# do not\n# [[ a ]]',
    "bash -eu <<'EOF'\nif [[ -f it's ]]; then\nEOF\nmake",
    'cat > a.sh <<-EOF | cat\n\t[[ -f a ]]\n\tEOF',
    'echo [[ a',
  ])('that sh does not run in %j is no trap', (script) => {
    expect(lint(block(script))).toEqual([]);
  });

  test('after a here-document is reported', () => {
    expect(lint(block('cat <<EOF\nit is\nEOF\n[[ a ]]'))).toEqual([`9:5 ${BASH_TEST}`]);
  });

  test('in a list is reported for sh', () => {
    expect(lint('- c: [sh, -c, "[[ -f a ]]"]')).toEqual([`5:15 ${BASH_TEST}`]);
    expect(lint('- c: [/bin/bash, -euc, "[[ -f a ]]"]')).toEqual([]);
    expect(lint('- c: [node, -c, "[[ -f a ]]"]')).toEqual([]);
  });
});

describe('lines that YAML joins', () => {
  test.each([
    ['folded', '- c: >\n    echo install\n    exit 5'],
    ['folded and stripped', '- c: >-\n    make a &&\n    make b\n    make c'],
    ['plain', '- c: echo install\n    exit 5'],
    ['in double quotes', '- c: "echo install\n    exit 5"'],
    ['in single quotes', "- c: 'echo install\n    exit 5'"],
    ['in a list for a shell', '- c: [bash, -c, "make\n    exit 5"]'],
    ['after a comment', '- c: >\n    # comment\n    make'],
  ])('%s: the second command is reported', (_style, steps) => {
    const problems = lint(steps);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(JOINED);
  });

  test('are reported at the second line, with the remedy', () => {
    const [problem] = parsePipeline(`${head}steps:\n- c: >\n    echo install\n    exit 5\n`).problems;
    expect(problem).toEqual({
      severity: 'warning',
      message: 'YAML joins this line and the one above it into one command',
      hint: 'put the script under "|", where each line stays a line',
      line: 7,
      column: 5,
      endColumn: 11,
    });
  });

  test.each([
    '- c: |\n    make\n    make test',
    '- c: >\n    curl\n    --fail\n    -o a https://example.com\n',
    '- c: >\n    make a &&\n    make b\n    && make c ||\n    exit 1;\n    make d\n    | cat\n    > log',
    '- c: >\n    (\n    make\n    )',
    '- c: >\n    if a; then\n    make; else\n    exit 1; fi',
    '- c: >\n    make\n\n    make test',
    '- c: >\n    make\n      make test\n    make all',
    '- c: curl\n    --fail',
    '- c: "make &&\n    make test"',
    '- c: "make \\\n    test"',
    "- c: >\n    echo 'a\n    b'",
    '- c: [echo, "a\n    b"]',
    '- c: make\n  name: one\n    two',
  ])('%j continues its lines', (steps) => {
    expect(lint(steps)).toEqual([]);
  });
});

describe('the output of the step, opened as a file', () => {
  test.each([
    'echo a > /dev/stderr',
    'echo a >/dev/stderr',
    'echo a 1>| "/dev/stderr"',
    'make 2> /dev/stdout',
    'make &> /dev/fd/1',
    'make > /proc/self/fd/2',
    'out=$(make | tee /dev/stderr)',
    'out="$(make | tee /dev/stderr)"',
    'make | tee log /dev/stderr | grep a',
    'make | tee -i /dev/stdout',
  ])('by %j is reported', (line) => {
    expect(lint(block(`make\n${line}`))).toEqual([`7:5 ${EMPTIED}`]);
  });

  test.each([
    'echo a >&2',
    'echo a >> /dev/stderr',
    'make | tee -a /dev/stderr',
    'make | tee -ia /dev/stderr',
    'make | tee --append /dev/stderr',
    'make 2> /dev/stdout | grep a',
    'out=$(make 2> /dev/stdout)',
    'echo "not > /dev/stderr"',
    'make # > /dev/stderr',
    'cat < /dev/stderr',
    'make > /dev/stderr.log',
    'make > /dev/null',
    'awk \'{print > "/dev/stderr"}\' a',
  ])('is not what %j does', (line) => {
    expect(lint(block(line))).toEqual([]);
  });

  test('is reported in a script for bash, and in a list', () => {
    expect(lint(block('#!/bin/bash\necho a > /dev/stderr'))).toEqual([`6:5 ${FOREIGN}`, `7:5 ${EMPTIED}`]);
    expect(lint('- c: [bash, -euc, "echo a > /dev/stderr"]')).toEqual([`5:19 ${EMPTIED}`]);
  });
});

test('a long line of traps takes little time', () => {
  const script = 'x "/dev/stderr" [[ "a '.repeat(2_000);
  expect(lint(block(script))).toEqual([]);
  expect(lint(`- c: >\n${'    "a\n'.repeat(3_000)}`)).toHaveLength(1);
});
