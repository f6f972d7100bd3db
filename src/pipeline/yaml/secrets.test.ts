import * as fc from 'fast-check';
import { expect, test } from 'vitest';

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
