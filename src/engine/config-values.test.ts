import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument, visit } from 'yaml';

import { readPipeline } from './prepare.ts';

/**
 * What c3 reports about a c3.yaml reaches Telegram, the commit status, the page and the HTTP API. It quotes keys and
 * the names of containers and volumes, and no other value: any other value can be a secret that somebody put there in
 * clear text.
 */
const corpus = join(import.meta.dirname, '../../test/fixtures/c3-yaml');
const sources = ['good', 'bad'].flatMap((folder) =>
  readdirSync(join(corpus, folder))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join(corpus, folder, name), 'utf8'))
    .filter((source) => source.length < 4_000),
);
const POD = 'job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: sh, image: alpine}]}}';
const MARKER = 'hunter2';

/**
 * No name of a container or a volume: those are quoted. As text, as a number, and as text that almost has a meaning.
 */
const marker = fc.constantFrom(
  `${MARKER}_X`,
  `${MARKER}: _X`,
  `${MARKER} _X\n${MARKER}_Y`,
  `/${MARKER}_X/`,
  `refs/heads/${MARKER}_X`,
  `[${MARKER}_X`,
  `!${MARKER}_X/`,
  `<${MARKER} x>`,
  `${'x'.repeat(30)}_${MARKER}`,
  `sleep ${MARKER}_X`,
  8_123_456_789,
);

function report(text: string): string {
  const warnings: string[] = [];
  const answer = { kind: 'found', text } as const;
  const repository = {
    lineUrl: (path: string, sha: string, line: number) => `https://f.example/${sha}/${path}#L${line}`,
  };
  const file = { answer, sha: '1'.repeat(40), repository };
  const result = readPipeline(file, {}, { warn: (some) => void warnings.push(...some) });
  return JSON.stringify([result.kind === 'ended' ? result.ending : undefined, warnings]);
}

const quoted = /hunter2|8123456789/;

function expectHidden(source: string): void {
  expect(report(source)).not.toMatch(quoted);
}

/** Returns the positions of all values that are scalars. */
function findValues(source: string): (readonly [start: number, end: number])[] {
  const values: (readonly [number, number])[] = [];
  visit(parseDocument(source), {
    Scalar(key, { range }) {
      if (key !== 'key' && range) values.push([range[0], range[1]]);
    },
  });
  return values;
}

/** A file of the corpus in which one value is the marker, or an alias of it. */
const marked = fc
  .tuple(fc.constantFrom(...sources), fc.nat(), marker, fc.boolean())
  .map(([source, index, value, isAlias]) => {
    const values = findValues(source);
    const [start, end] = values[index % values.length] ?? [source.length, source.length];
    const lineBreak = source.slice(start, end).endsWith('\n') ? '\n' : '';
    const written = JSON.stringify(value);
    const body = source.slice(0, start) + (isAlias ? '*m ' : written) + lineBreak + source.slice(end);
    return isAlias ? `secrets: {A: &m ${written}}\n${body}` : body;
  });

test('no value of c3.yaml is in the ending or in a warning', () => {
  fc.assert(fc.property(marked, expectHidden), { numRuns: 500 });
});

test('no value of a c3.yaml with a syntax error is in the ending or in a warning', () => {
  const insertions = ['', '"', "'", '{', ']', ': ', '\n', '  ', '\t', '@', '- ', '&a ', '|\n', '#', '!', '%', '\u0007'];
  const broken = fc
    .tuple(marked, fc.nat(), fc.nat(3), fc.constantFrom(...insertions))
    .map(([text, place, length, insertion]) => {
      const start = place % (text.length + 1);
      return text.slice(0, start) + insertion + text.slice(start + length);
    })
    // A mistake that makes a value a key makes it a name.
    .filter((text) => !/(?:hunter2|8123456789)[^\n]*:(?:\s|$)/m.test(text));
  fc.assert(fc.property(broken, expectHidden), { numRuns: 500 });
});

/** Places where an alias `*t` of a secret, or `*s` of the mapping that contains it, could be quoted. */
const places = [
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
  'job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {volumes: [{name: *t}], containers: [{name: *t}, {name: *t}]}}\nsteps: [{container: hunter, run: x}]',
  'job: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {volumes: [{name: *t}], containers: [{name: a, volumeMounts: [{name: hunter}]}]}}',
];

describe.each([
  ['secrets', 'secrets: &s {A: &t ', '}'],
  ['secrets', 'secrets: &s {A: {B: &t ', '}}'],
  ['telegram', 'telegram: &s {to: &t ', '}'],
  ['kubeconfig', 'kubeconfig: &s {A: &t ', '}'],
])('a secret in %s, written %s', (key, start, end) => {
  test.each(places.filter((place) => !place.startsWith(key)))('is not quoted at its alias in %s', (place) => {
    // These can be names of containers.
    for (const value of [MARKER, `${MARKER}-x`, 8_123_456_789]) {
      const source = `${start}${JSON.stringify(value)}${end}\n${place.startsWith('job') ? '' : `${POD}\n`}${place}\n`;
      expect(report(source)).not.toMatch(quoted);
    }
  });
});
