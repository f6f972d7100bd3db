import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parsePipeline } from '../parse-pipeline.ts';
import { formatProblems, summarizeProblem } from '../problem.ts';

/**
 * A c3.yaml in which somebody has put secrets in the clear where sealed values belong, written in any of the ways that YAML has, right
 * or with a mistake: whatever is said of it, and whatever line of it is shown, holds none of them.
 */
const SECRET = 'hunter2hunter2';

type Tree = string | Secret | Tree[] | { [key: string]: Tree };

/** A value that must not be shown. */
class Secret {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a style is chosen by: numbers that fast-check can make smaller. */
interface Style {
  next(limit: number): number;
  readonly indent: number;
  readonly anchored: string[];
}

const junk = fc.constantFrom(
  '',
  ' ',
  ': ',
  ' #',
  '"',
  "'",
  '{',
  '}',
  '[',
  ', ',
  '&',
  '*',
  '!',
  '|',
  '%',
  '@',
  '\\',
  'é',
  '- ',
  '?',
);
const secret = fc.tuple(junk, junk, junk, fc.constantFrom('', '\n', '\nline: ')).map(([a, b, c, d]) => {
  return new Secret(`${a}${b}${SECRET}${d}${d === '' ? '' : SECRET}${c}`);
});
const name = fc.constantFrom('A', 'PW', 'TOKEN', 'name', 'steps', 'a-b', 'C3_X');
const secrets = fc.oneof(fc.dictionary(name, secret, { maxKeys: 3 }), secret, fc.array(secret, { maxLength: 2 }));
const telegram = fc.oneof(
  secret,
  fc.record({ to: secret, notify: fc.constantFrom('never', 'x') }),
  fc.record({ token: secret, chat: secret, log: fc.constant('true') }),
);
const kubeconfig = fc.oneof(
  secret,
  fc.record({ kind: fc.constant('Config'), users: fc.array(fc.record({ token: secret })) }),
);

const job = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'x' },
  spec: { containers: [{ name: 'sh', image: 'alpine', command: ['sleep', 'inf'] }] },
};
const step = fc.constantFrom<Tree>(
  { sh: 'make' },
  { sh: 'make', wen: 'x' },
  { hs: 'make' },
  { sh: ['a', 'b'], when: { branch: '[' } },
);
const harmless = fc.record(
  {
    job: fc.constant<Tree>(job),
    steps: fc.array(step, { maxLength: 3 }),
    env: fc.constantFrom<Tree>({ B: 'x' }, { 'a-b': 'x' }, 'x'),
    when: fc.constantFrom<Tree>({ branch: 'main' }, { brnch: 'x' }, 'x'),
    timeout: fc.constantFrom('1h', 'x'),
    unknown: fc.constant('x'),
  },
  { requiredKeys: [] },
);
const sealed = fc.record({ k8s: kubeconfig, telegram, secrets }, { requiredKeys: [] });

const file = fc
  .tuple(
    harmless,
    sealed,
    fc.array(fc.nat(), { minLength: 120, maxLength: 120 }),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom('', '  ', '    '),
    fc.constantFrom('', '--- \n', '# comment\n', '%YAML 1.2\n---\n', '\uFEFF'),
  )
  .map(([known, secretKeys, choices, indent, margin, start]) => {
    let at = 0;
    const style: Style = { indent, anchored: [], next: (limit) => (choices[at++ % choices.length] ?? 0) % limit };
    const entries = Object.entries<Tree>({ ...known, ...secretKeys });
    entries.sort(() => style.next(3) - 1);
    const isFlow = style.next(5) === 0;
    const body = isFlow
      ? writeFlow(Object.fromEntries(entries), style)
      : writeBlock(Object.fromEntries(entries), '', style);
    const anchors = style.anchored.map((line) => (isFlow ? '' : `${line}\n`)).join('');
    const text = `${anchors}${body.replace(/^\n/, '')}\n`;
    return start + text.replaceAll(/^(?=.)/gm, margin);
  });

/** With a mistake: some characters less, or some that are none of its own. */
const mistake = fc.tuple(
  fc.nat(),
  fc.nat({ max: 3 }),
  fc.constantFrom('', '', '"', "'", '{', ']', ': ', '\n', '  ', '\t', '@', '- ', '&a ', '|\n', '#', '\u0007'),
);
const broken = fc
  .tuple(file, mistake)
  .map(([text, [place, length, insertion]]) => {
    const start = place % (text.length + 1);
    return text.slice(0, start) + insertion + text.slice(start + length);
  })
  // A mistake that makes a key of a value makes a name of it.
  .filter((text) => !/hunter2["']?\s*:\s/.test(text));

test('no value that should be sealed is shown, however the file is written', () => {
  fc.assert(fc.property(file, expectHidden), { numRuns: 300 });
});

test('no value that should be sealed is shown of a file with mistakes', () => {
  fc.assert(fc.property(broken, expectHidden), { numRuns: 400 });
});

const POD = 'job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: sh, image: alpine}]}}';

/** Where an alias of a secret, `*t`, or of all of them, `*s`, would be told of. */
const PLACES = [
  'when: {event: *t, branch: *t, tag: [*t], path: [*t, x]}',
  'when: {branch: *t}',
  'when: {path: *t}',
  'when: *t',
  'when: {<<: *s}',
  'env: {B: *t, C: [*t]}',
  'env: {<<: *s}',
  'env: *t',
  'steps: [{container: *t, run: x}]',
  'steps: [{sh: [*t], timeout: *t, retry: *t, allow_failure: *t, name: *t, when: {status: *t}, env: *s}]',
  'steps: [{sh: *t, container: *t}]',
  'steps: *t',
  'steps: [*t, *s]',
  'timeout: *t',
  'checkout: {container: *t, path: *t, depth: *t, submodules: *t, clean: *t}',
  'pod: {idle: *t, max_age: *t}',
  'concurrency: {cancel_previous: *t}',
  'telegram: {to: x, notify: *t, log: *t}',
  'job: *s',
  'job: {apiVersion: *t, kind: *t, metadata: {name: *t}, spec: {containers: [{name: *t, command: *t}]}}',
  'job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: *t, volumeMounts: [{name: *t}]}]}}\nsteps: [{hs: x}]',
];
const SEALED_KEYS = [
  ['secrets', 'secrets: &s {A: &t ', '}'],
  ['secrets', 'secrets: &s {A: {B: &t ', '}}'],
  ['telegram', 'telegram: &s {to: &t ', '}'],
  ['kubeconfig', 'kubeconfig: &s {A: &t ', '}'],
] as const;
const written = fc.oneof(
  secret.map(({ text }) => text),
  fc.tuple(secret, fc.nat(60)).map(([{ text }, length]) => 'x'.repeat(length) + text),
  fc.constantFrom(`${SECRET}/`, `/${SECRET}`, `refs/heads/${SECRET}`, `${SECRET}[`, `!${SECRET}/`, `${SECRET} `),
);

test.each(PLACES)('no value that should be sealed is told of where an alias leads to it: %s', (place) => {
  const sealed = fc.constantFrom(...SEALED_KEYS.filter(([key]) => !place.startsWith(key)));
  const aliased = fc.tuple(written, sealed).map(([text, [, start, end]]) => {
    return `${start}${JSON.stringify(text)}${end}\n${place.startsWith('job') ? '' : `${POD}\n`}${place}\n`;
  });
  fc.assert(fc.property(aliased, expectHidden), { numRuns: 40 });
});

describe('what is told of a value', () => {
  const tell = (source: string): string[] =>
    parsePipeline(source).problems.flatMap(({ message, hint }) => [message, ...(hint === undefined ? [] : [hint])]);

  test('is an ellipsis where an alias leads to it from a sealed key, be it a number', () => {
    expect(tell(`secrets: {A: &t hunter2-secret, B: &n 0x1E240}\n${POD}\nwhen: {event: *t}\ntimeout: *n\n`)).toEqual(
      expect.arrayContaining([
        'when.event does not know "…"',
        'timeout must be a duration, not the number …',
        'say the unit: …s, …m or …h',
      ]),
    );
  });

  test('is the value where no alias leads to it, and where one leads to what is not sealed', () => {
    const source = `secrets: {A: pusch, B: when}\nx-event: &e pusch\n${POD}\nwhen: {event: *e}\n`;
    expect(tell(source)).toEqual(expect.arrayContaining(['when.event does not know "pusch"', 'did you mean "push"?']));
  });

  test.each(['env: {PASSWORD: 8123456789}', 'steps: [{sh: x, env: {PASSWORD: 8123456789}}]'])(
    'is its kind alone where nobody knows what it holds: %s',
    (source) => {
      expect(tell(source)).toEqual(expect.arrayContaining(['env.PASSWORD must be text, not a number', 'quote it']));
    },
  );

  test.each(['secrets', 'env', 'steps'])('is its kind alone where all of %s is a number', (key) => {
    expect(tell(`${key}: 8123456789`).join('\n')).toContain('not a number');
    expect(tell(`${key}: 8123456789`).join('\n')).not.toContain('8123456789');
  });
});

function expectHidden(source: string): void {
  const { problems } = parsePipeline(source);
  const said = JSON.stringify(problems) + problems.map((problem) => summarizeProblem(problem)).join('\n');
  expect(said).not.toContain('hunter');
  const place = { severity: 'error', message: '', column: 1, endColumn: 400 } as const;
  const everyLine = source.split('\n').map((_line, index) => ({ ...place, line: index + 1 }));
  const shown = [...formatProblems(problems, source), ...formatProblems(everyLine, source)];
  expect(shown.filter((text) => text.includes('hunter'))).toEqual([]);
}

function writeKey(key: string, style: Style): string {
  const escaped = Array.from(key, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
  const ways = [
    key,
    key,
    key,
    key,
    `"${key}"`,
    `'${key}'`,
    `"${escaped}"`,
    `!!str ${key}`,
    `&k${style.next(9)} ${key}`,
  ];
  return ways[style.next(ways.length)] ?? key;
}

function writeBlock(tree: Tree, margin: string, style: Style): string {
  if (typeof tree === 'string' || tree instanceof Secret) return ` ${writeScalar(tree, margin, style)}`;
  const isEmpty = Object.keys(tree).length === 0;
  if (isEmpty || style.next(4) === 0) return ` ${writeFlow(tree, style)}`;
  if (Array.isArray(tree)) {
    return tree.map((item) => `\n${margin}-${writeBlock(item, `${margin}  `, style).replace(/^\n\s*/, ' ')}`).join('');
  }
  const inner = margin + ' '.repeat(style.indent);
  const lines = Object.entries(tree).map(([key, value]) => {
    const written = writeBlock(value, inner, style);
    const comment = value instanceof Secret && !/[\n|>"']/.test(written) && style.next(5) === 0 ? ` # ${SECRET}` : '';
    const line =
      style.next(9) === 0 ? `? ${writeKey(key, style)}\n${margin}:${written}` : `${writeKey(key, style)}:${written}`;
    return `\n${margin}${line}${comment}`;
  });
  return lines.join('');
}

function writeFlow(tree: Tree, style: Style): string {
  if (typeof tree === 'string' || tree instanceof Secret) return writeScalar(tree, undefined, style);
  const blank = ['', '', ' ', '\n      '][style.next(4)] ?? '';
  if (Array.isArray(tree)) return `[${blank}${tree.map((item) => writeFlow(item, style)).join(', ')}${blank}]`;
  const entries = Object.entries(tree).map(([key, value]) => `${writeKey(key, style)}: ${writeFlow(value, style)}`);
  return `{${blank}${entries.join(`,${blank} `)}${blank}}`;
}

/** As it should be written, or pasted as it is; but what then reads as a key is one, and nobody could tell it from a name. */
function writeScalar(value: string | Secret, margin: string | undefined, style: Style): string {
  if (typeof value === 'string') return /^[\w/]+$/.test(value) ? value : JSON.stringify(value);
  const { text } = value;
  const isKey = /hunter2[^]*:(?:\s|$)/.test(text);
  const inner = `\n${margin ?? ''}${' '.repeat(style.indent)} `;
  const ways = [
    isKey ? "''" : text.replaceAll('\n', inner),
    `'${text.replaceAll("'", "''").replaceAll('\n', inner)}'`,
    JSON.stringify(text),
    `!!str ${JSON.stringify(text)}`,
    `&s${style.next(9)} ${JSON.stringify(text)}`,
    isKey ? "''" : `"${text}"`,
  ];
  if (margin !== undefined) {
    const anchor = `p${style.anchored.length}`;
    ways.push(`|${inner}${text.replaceAll('\n', inner)}`, `>-${inner}${text.replaceAll('\n', inner)}`);
    ways.push(isKey ? "''" : `${inner}${text.replaceAll('\n', inner)}`, `*${anchor}`);
    const chosen = style.next(ways.length);
    if (chosen === ways.length - 1) style.anchored.push(`x-${anchor}: &${anchor} ${JSON.stringify(text)}`);
    return ways[chosen] ?? '';
  }
  return ways[style.next(ways.length)] ?? '';
}
