import { expect, test } from 'vitest';

import { readYamlTokens } from './compose-yaml.ts';
import type { Repair } from './repair.ts';
import { repairScripts } from './repair.ts';

test('indents an under-indented script and reports where', () => {
  expect(repair('steps:\n- git: ls\n- clj:  |\n  make \\\n  test\n- git: ls\n')).toEqual({
    text: 'steps:\n- git: ls\n- clj:  |\n    make \\\n    test\n- git: ls\n',
    insertedColumns: new Map([
      [4, 2],
      [5, 2],
    ]),
    scripts: [{ key: 'clj', style: '|', header: { start: 25, end: 26 }, firstLine: 4, lastLine: 5 }],
  });
});

test.each([
  ['one line', '- clj: |\n  make\n', '- clj: |\n    make\n'],
  ['lines with colons', '- clj: |\n  a b: c\n  : d\n  e::f\n', '- clj: |\n    a b: c\n    : d\n    e::f\n'],
  ['lines that look like a list', '- clj: |\n  - x\n', '- clj: |\n    - x\n'],
  ['blank lines', '- clj: |\n\n  a\n\n  b\n\n- git: x\n', '- clj: |\n\n    a\n\n    b\n\n- git: x\n'],
  ['a comment in the shell', '- clj: |\n  # why\n  make\n', '- clj: |\n    # why\n    make\n'],
  ['deeper lines', '- clj: |\n  if a; then\n    b\n  fi\n', '- clj: |\n    if a; then\n      b\n    fi\n'],
  ['a folded script', '- clj: >-\n  a\n  b\n', '- clj: >-\n    a\n    b\n'],
  ['two in a row', '- clj: |\n  a\n- git: |\n  b\n', '- clj: |\n    a\n- git: |\n    b\n'],
  ['one that hides the next', '- clj: |\n  "x\n- git: |\n  b\n', '- clj: |\n    "x\n- git: |\n    b\n'],
  ['carriage returns', '- clj: |\r\n  a\r\n', '- clj: |\r\n    a\r\n'],
  ['a deeper list', '  - clj: |\n    a\n', '  - clj: |\n      a\n'],
  ['options after it', '- clj: |\n  a\n  timeout: 1m\n', '- clj: |\n    a\n  timeout: 1m\n'],
  ['reserved options after it', '- clj: |\n  a\n  when: x\n', '- clj: |\n    a\n  when: x\n'],
  ['misspelt options after it', '- clj: |\n  a\n  whne: x\n', '- clj: |\n    a\n  whne: x\n'],
  ['unknown words after it', '- clj: |\n  a\n  FOO: x\n  b\n', '- clj: |\n    a\n  FOO: x\n  b\n'],
  ['an option in quotes after it', '- clj: |\n  a\n  "whne" : x\n', '- clj: |\n    a\n  "whne" : x\n'],
  ['an option without a space after it', '- clj: |\n  a\n  tiemout:1m\n', '- clj: |\n    a\n  tiemout:1m\n'],
  [
    'steps of a parallel',
    '- parallel:\n  - clj: |\n    make\n  - git: x\n',
    '- parallel:\n  - clj: |\n      make\n  - git: x\n',
  ],
  ['the long form', '- container: clj\n  run: |\n  a\n', '- container: clj\n  run: |\n    a\n'],
])('repairs %s', (_what, steps, repaired) => {
  expect(repair(`steps:\n${steps}`)?.text).toBe(`steps:\n${repaired}`);
});

test('repairs forty scripts at once', () => {
  const count = 40;
  const repaired = repair(`steps:\n${'- clj: |\n  a b\n  c\n'.repeat(count)}`);
  expect(repaired?.scripts).toHaveLength(count);
  expect(repaired?.text).toBe(`steps:\n${'- clj: |\n    a b\n    c\n'.repeat(count)}`);
});

test.each([
  ['a script that is indented', 'steps:\n- clj: |\n    make\n'],
  ['a script indented by one column', 'steps:\n- clj: |\n   make\n'],
  ['an empty script', 'steps:\n- clj: |\n- git: ls\n'],
  ['an empty script with options', 'steps:\n- clj: |\n  name: x\n'],
  ['a line that reads as an option', 'steps:\n- clj: |\n  FOO: bar\n'],
  ['an option', 'steps:\n- clj: make\n  name: |\n  x\n'],
  ['an explicit indentation', 'steps:\n- clj: |2\n  make\n'],
  ['a line at the margin', 'steps:\n- clj: |\nmake\n'],
  ['a top-level key', 'steps: |\nmake\n'],
  ['the job', 'job:\n  a: |\n  b: x\n'],
  ['no block scalar at all', 'steps:\n- clj: make\n'],
])('does not change %s', (_what, text) => {
  expect(repair(text)).toBeUndefined();
});

test('repairs scripts under finally', () => {
  expect(repair('finally:\n- clj: |\n  make\n')?.text).toBe('finally:\n- clj: |\n    make\n');
});

function repair(source: string): (Omit<Repair, 'tokens'> & { readonly text: string }) | undefined {
  const tokens = readYamlTokens(source);
  const repaired = tokens && repairScripts(tokens);
  if (repaired === undefined) return undefined;
  const { tokens: after, ...rest } = repaired;
  return { text: after.text, ...rest };
}
