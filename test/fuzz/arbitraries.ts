import { readdirSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';

/** Strings that break parsers: control characters, unusual letters, special names, markup and syntax. */
const CONTROLS = [
  '\0',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '\u001b[31m',
  '\u001b]8;;x\u0007',
  '\u009b',
  '\u202e',
  '\u2028',
  '\ufeff',
];
const LETTERS = ['\ud800', '\udc00', '👩‍👩‍👧', 'İ', 'ſ', '\u212a', 'x'.repeat(300), '9'.repeat(40)];
const NAMES = '__proto__ constructor toString hasOwnProperty null undefined NaN true -0 1e999 0x10'.split(' ');
const SIGNS = `' " \` \\ $(x) $\{x} ; & &amp; <b> </b> <!-- %00 % %s .. ../ // / ? # @ : , = == . - _`.split(' ');
const SYNTAX = ['*', '**', '!', '&a', '*a', '<<: *a', '- ', '? ', '|', '>', '{', '}', '[', ']', '---\n', '%YAML 1.1\n'];
const MORE_SYNTAX = ['!!binary x', '"\\x', '{"', '[[[[', '.git', '.lock', '@{', 'refs/heads/', 'sha256='];
const TROUBLE = [CONTROLS, LETTERS, NAMES, SIGNS, SYNTAX, MORE_SYNTAX].flat();

const trouble: fc.Arbitrary<string> = fc.constantFrom(...TROUBLE);

/** Text of ASCII, of all of Unicode, of halves of surrogate pairs, or of the troublesome strings above. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 2, arbitrary: fc.string({ maxLength: 60 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  {
    weight: 1,
    arbitrary: fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      maxLength: 30,
    }),
  },
  { weight: 3, arbitrary: fc.array(trouble, { maxLength: 8 }).map((parts) => parts.join('')) },
);

interface Change {
  readonly kind: 'insert' | 'delete' | 'double' | 'swap' | 'cut' | 'splice';
  readonly at: number;
  readonly length: number;
  readonly text: string;
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('insert', 'insert', 'delete', 'double', 'swap', 'cut', 'splice'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 200 })),
  text: fc.oneof(trouble, anyText),
});

/** Real texts with few changes or none: most texts that break a parser are almost valid. */
export function mutated(corpus: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...corpus), fc.constantFrom(...corpus), fc.array(change, { maxLength: 5 }))
    .map(([text, other, changes]) => changes.reduce((changed, one) => apply(changed, one, other), text));
}

function apply(text: string, { kind, at, length, text: piece }: Change, other: string): string {
  const start = Math.floor(at * text.length);
  const [before, middle, after] = [text.slice(0, start), text.slice(start, start + length), text.slice(start + length)];
  switch (kind) {
    case 'insert':
      return before + piece + middle + after;
    case 'delete':
      return before + after;
    case 'double':
      return before + middle + middle + after;
    case 'swap':
      return before + piece + after;
    case 'cut':
      return before;
    case 'splice':
      return before + other.slice(Math.floor(at * other.length), Math.floor(at * other.length) + length * 8);
  }
}

/** Any JSON. Its keys often have the given names, so that readers find fields. */
export function jsonWith(names: readonly string[], values: readonly unknown[] = []): fc.Arbitrary<unknown> {
  const key = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: anyText });
  return fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      ...(values.length > 0 ? [fc.constantFrom(...values)] : []),
      anyText,
      fc.constantFrom(null, true, false, 0, -1, 137, 1e300, '', [], {}),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
    ),
  })).value;
}

/** A real object with any members removed or replaced. */
export function bent(sample: unknown, other: fc.Arbitrary<unknown> = jsonWith(['a'])): fc.Arbitrary<unknown> {
  const paths = listPaths(sample);
  return fc
    .array(fc.tuple(fc.constantFrom(...paths), fc.oneof(other, fc.constant(undefined))), { maxLength: 4 })
    .map((changes) => changes.reduce<unknown>((value, [path, to]) => setAt(value, path, to), sample));
}

function listPaths(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, member]) => listPaths(member, [...path, name]))];
}

function setAt(value: unknown, [name, ...rest]: readonly string[], to: unknown): unknown {
  if (name === undefined) return to;
  if (typeof value !== 'object' || value === null) return value;
  const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
  (copy as Record<string, unknown>)[name] = setAt((value as Record<string, unknown>)[name], rest, to);
  return copy;
}

/** Bytes, cut into pieces at any positions. */
export function inPieces(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<{ whole: Buffer; pieces: Buffer[] }> {
  return fc
    .tuple(bytes, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }))
    .map(([whole, cuts]) => {
      const places = [0, ...cuts.map((cut) => Math.floor(cut * whole.length)).sort((a, b) => a - b), whole.length];
      return { whole, pieces: places.slice(1).map((end, index) => whole.subarray(places[index], end)) };
    });
}

/** Returns the texts of the files in a folder of the repository whose names have this ending. */
export function readCorpus(folder: string, ending: string): string[] {
  const directory = new URL(`../../${folder}/`, import.meta.url);
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => readFileSync(new URL(name, directory), 'utf8'));
}
