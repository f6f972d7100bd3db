import { expect, test } from 'vitest';

import { createSafeLines } from './safe-lines.ts';

function show(source: string): string {
  const lineAt = createSafeLines(source);
  return source
    .split('\n')
    .map((_line, index) => lineAt(index + 1).text)
    .join('\n');
}

const job = 'job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: sh}]}}';

test.each([
  ['k8s: eyJhcGlWZXJzaW9u', 'k8s: …'],
  ['telegram: "110:AAH"', 'telegram: …'],
  ['"k8s": hunter2', '"k8s": …'],
  // What only looks sealed would be shown too, and so would a token between the brackets of a placeholder.
  ['k8s: aa.aXY.Y3Q.dGFn', 'k8s: …'],
  ['k8s: <hunter2> # later', 'k8s: …'],
  ['secrets: {A: hunter2, B: [a, b]}', 'secrets: {A: …, B: […, …]}'],
  ['secrets: {hunter2, hunter2 b}', 'secrets: {…, …}'],
  ['secrets:\n  # hunter2\n  A: hunter2 # hunter2\n# hunter2\nenv: {}', 'secrets:\n  …\n  A: …\n…\nenv: {}'],
  ['secrets:\n  A: |2-\n    hunter2: x\n    y', 'secrets:\n  A: |2-\n    …\n    …'],
  ['secrets:\n  A:\n    hunter2: x', 'secrets:\n  A:\n    …: …'],
  ['secrets: !hunter2 {A: &hunter2 b, C: *hunter2}', 'secrets: … {A: …, C: …}'],
  ['k8s:\n  users: [{token: hunter2}]', 'k8s:\n  …: [{…: …}]'],
  ['telegram: {to: a, notify: never, log: true, token: b}', 'telegram: {to: …, notify: never, log: true, token: …}'],
])('shows no value of a key that is sealed: %j', (source, shown) => {
  expect(show(source)).toBe(shown);
});

test.each([
  ['indented', '  secrets:\n    A: hunter2', '  secrets:\n    A: …'],
  ['with an anchor', '&s secrets:\n  A: hunter2', '… secrets:\n  A: …'],
  ['with a tag', '!!str secrets:\n  A: hunter2', '… secrets:\n  A: …'],
  ['with a question mark', '? secrets\n: A: hunter2', '? secrets\n: A: …'],
  ['with an escape', '"sec\\x72ets":\n  A: hunter2', '…:\n  A: …'],
  ['in braces', '{k8s: hunter2, "secrets":{"A":"hunter2"}}', '{k8s: …, "secrets":{"A":…}}'],
  ['behind the start of a document', '--- {k8s: hunter2}', '--- {k8s: …}'],
  ['by an alias', 'x-a: &p hunter2\nsecrets: {A: *p}', 'x-a: …\nsecrets: {A: …}'],
  ['by an alias of what is harmless', 'timeout: &p hunter2\nsecrets: {A: *p}', 'timeout: &p …\nsecrets: {A: …}'],
  [
    'by an alias of an alias',
    'when: &w {tag: &p hunter2}\nx-a: &q [*p]\nk8s: *q',
    'when: … {tag: &p …}\nx-a: … […]\nk8s: …',
  ],
  ['by an alias where it is harmless', 'secrets: {A: &p hunter2}\ntimeout: *p', 'secrets: {A: …}\ntimeout: *p'],
  ['by a merge key', 'when: &w {tag: hunter2}\nsecrets: {<<: *w}', 'when: … {tag: …}\nsecrets: {<<: …}'],
  ['as a variable', 'env: {A: hunter2}\nsteps: [{env: {A: hunter2}}]', 'env: {A: …}\nsteps: [{env: {A: …}}]'],
  ['as a key without a value', 'job: {kind: Pod, hunter2}\nsteps: [{hunter2}]', 'job: {kind: Pod, …}\nsteps: [{…}]'],
  ['with a comment that takes its key', '{timeout: #1h, k8s: x\nhunter2}', '{timeout: …\n…}'],
  ['misspelt', 'secrts: {A: hunter2}', 'secrts: {A: …}'],
  ['as others spell it', 'kubeconfig: hunter2', 'kubeconfig: …'],
  ['in a step', `${job}\nsteps:\n- sh: x\n  secrets:\n  A: hunter2`, `${job}\nsteps:\n- sh: x\n  secrets:\n  A: …`],
  [
    'in a job',
    'job:\n  kind: Pod\n  a: {A: hunter2}\n  spec:\n    k8s: hunter2',
    'job:\n  kind: Pod\n  a: {A: …}\n  spec:\n    k8s: …',
  ],
])('knows a key however it is written: %s', (_how, source, shown) => {
  expect(show(source)).toBe(shown);
});

test('shows what is no secret', () => {
  const source = [
    job,
    'steps:',
    '- &build {sh: make -j4, name: it, retry: 2, env: {}}',
    '# every push',
    '- <<: *build',
    '  when: {branch: [main, !x y], status: failure}',
    '- parallel:',
    '  - sh: |',
    '      a: b # c',
    '  - sh: [a, "b"]',
    'finally: [{sh: x}]',
    'timeout: 1h # long enough',
    'checkout: {path: /a/b}',
    'pod: &p {idle: 1h}',
  ].join('\n');
  expect(show(source)).toBe(source.replace('&p', '…'));
});

test('shows what aliases bring to where it is harmless, and of the rest the keys', () => {
  const source = `x-a: &w {branch: main, foo: bar}\nx-b: &s {sh: make, wen: x}\n${job}\nsteps: [*s, {sh: x, when: *w}]\nx-c: [*s]`;
  expect(show(source)).toBe(
    `x-a: … {branch: main, foo: …}\nx-b: … {sh: …, wen: …}\n${job}\nsteps: [*s, {sh: x, when: *w}]\nx-c: […]`,
  );
});

test.each([
  ['- run: x: hunter2', '- run: …'],
  ['- a: x: hunter2', '- …'],
  ['steps: "hunter2\nb: hunter2', 'steps: …\n…'],
  ['env:\n A: [hunter2, hunter2 }', 'env:\n … […, … }'],
  ['{k8s: hunter2, b: hunter2', '{k8s: …, …'],
  [
    'secrets:\n  A: @hunter2\n  hunter2\n\n# hunter2\n  - hunter2\nsteps: [',
    'secrets:\n  …\n  …\n\n…\n  - …\nsteps: [',
  ],
  ['steps\n- a: hunter2', 'steps\n…'],
  ['hunter2', '…'],
  ['- hunter2\n- k8s: hunter2', '- …\n- k8s: …'],
])('shows of a text that is no mapping the marks, and the words of c3: %j', (source, shown) => {
  expect(show(source)).toBe(shown);
});

test('shows of a text that is not YAML which container a step runs in', () => {
  const source = `job: {spec: {containers: [{name: clj}]}}\nsteps:\n- clj: echo a: b\n- "clj": x\n- x: clj\n- hunter2: a`;
  expect(show(source)).toBe('job: {spec: {containers: [{name: …}]}}\nsteps:\n- clj: …\n- "clj": …\n- …\n- …');
});

test('shows nothing of what is too large to be read', () => {
  expect(show(`${'- a\n'.repeat(5_000)}\n  k8s: x`)).toBe(`${'…\n'.repeat(5_000)}\n  …`);
});

test('reads on behind a control character', () => {
  expect(show(`${job}\nsteps: [sh: a\u0007b]\nk8s: \u0002hunter2\u001f`)).toBe(`${job}\nsteps: [sh: a\uFFFDb]\nk8s: …`);
});

test('keeps the lines of a repaired script, and their columns', () => {
  const source = `${job}\nsteps:\n- sh: |\n  make\n  test\nsecrets: {A: hunter2}`;
  expect(show(source)).toBe(source.replace('hunter2', '…'));
  expect(createSafeLines(source)(4).toColumn(3)).toBe(3);
});

test('tells where a column is beside what is left out', () => {
  const line = createSafeLines('secrets: {A: hunter2, B: x}')(1);
  expect(line.text).toBe('secrets: {A: …, B: …}');
  expect([1, 11, 14, 18, 21, 23, 26, 28, 99].map((column) => line.toColumn(column))).toEqual([
    1, 11, 14, 14, 15, 17, 20, 22, 22,
  ]);
  expect(createSafeLines('')(7)).toMatchObject({ text: '' });
});
