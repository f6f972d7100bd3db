import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMasking } from '../sealing/index.ts';

import {
  createLogLines,
  MAX_LINE_CHARACTERS,
  SLICE_CHARACTERS,
  SLICE_LINES,
  toLeadIn,
  type LogPosition,
  type PlacedLine,
} from './log-lines.ts';

const START: LogPosition = { offset: 0, pieces: 0 };

interface Told {
  readonly lines: PlacedLine[];
  /** Every position, and how many lines came before it. */
  readonly ends: { readonly end: LogPosition; readonly count: number }[];
}

/**
 * All lines of a log from a place on, whose bytes come in chunks that end where `cuts` say, and which are taken few
 * at a time.
 */
function read(log: Buffer, secrets: readonly string[], from = START, cuts: readonly number[] = []): Told {
  const maker = createLogLines(from, createMasking(secrets));
  const told: Told = { lines: [], ends: [] };
  function take(): void {
    for (let isAll = false; !isAll;) {
      const { lines, end } = maker.drain(2);
      told.lines.push(...lines);
      told.ends.push({ end, count: told.lines.length });
      isAll = lines.length === 0;
    }
  }
  const begin = toLeadIn(from);
  const places = [
    begin,
    ...cuts.filter((cut) => cut > begin && cut < log.length).toSorted((a, b) => a - b),
    log.length,
  ];
  for (const [index, place] of places.slice(1).entries()) {
    maker.push(log.subarray(places[index], place));
    take();
  }
  maker.end();
  take();
  return told;
}

const texts = (log: string | Buffer, secrets: readonly string[] = [], from = START): string[] =>
  read(Buffer.from(log), secrets, from).lines.map(({ text }) => text);

describe('the lines of a log', () => {
  it('are those of its text, the last also without an end', () => {
    expect(texts('')).toEqual([]);
    expect(texts('\n')).toEqual(['']);
    expect(texts('a\r\n\nb')).toEqual(['a\r', '', 'b']);
    expect(texts('a\n').concat(texts('é'))).toEqual(['a', 'é']);
  });

  it('have their place in the raw log, whatever is hidden before', () => {
    const { lines } = read(Buffer.from('one\nis s3cr3t-s3cr3t here\ntwo'), ['s3cr3t-s3cr3t']);
    expect(lines).toEqual([
      { text: 'one', offset: 0, pieces: 0 },
      { text: 'is *** here', offset: 4, pieces: 0 },
      { text: 'two', offset: 26, pieces: 0 },
    ]);
  });

  it('come in pieces when they are too long, no character in two', () => {
    const long = `${'x'.repeat(MAX_LINE_CHARACTERS - 1)}😀${'y'.repeat(MAX_LINE_CHARACTERS)}`;
    const lengths = texts(`${long}\nz\n`).map((text) => text.length);
    expect(lengths).toEqual([MAX_LINE_CHARACTERS - 1, MAX_LINE_CHARACTERS, 2, 1]);
    expect(texts('x'.repeat(MAX_LINE_CHARACTERS))).toHaveLength(1);
    const from = { offset: 0, pieces: 2 };
    expect(texts(`${long}\nz\n`, [], from).map((text) => text.length)).toEqual([2, 1]);
  });

  it('are taken in slices, and continue at the end of each, also within a line', () => {
    const long = Array.from({ length: 6 }, (_, index) => String(index).repeat(MAX_LINE_CHARACTERS));
    const log = Buffer.from(`a\n${long.join('')}\n${'\n'.repeat(2 * SLICE_LINES)}z\n`);
    const maker = createLogLines(START, createMasking([]));
    maker.push(log);
    const slices = Array.from({ length: 5 }, () => maker.drain());
    expect(slices.map(({ lines }) => lines.length)).toEqual([4, SLICE_LINES, SLICE_LINES, 4, 0]);
    for (const { lines } of slices)
      expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(SLICE_CHARACTERS);
    const all = slices.flatMap(({ lines }) => lines);
    expect(all).toEqual(read(log, []).lines);
    expect(slices[0]?.end).toEqual({ offset: 2, pieces: 3 });
    expect(read(log, [], slices[0]?.end).lines).toEqual(all.slice(4));
  });

  it('show no beginning of a secret before it is known to be none', () => {
    const maker = createLogLines(START, createMasking(['s3cr3t-s3cr3t']));
    maker.push(Buffer.from('token: s3cr3t-s3'));
    expect(maker.partial()).toBe('token: ');
    maker.push(Buffer.from('x'));
    expect(maker.partial()).toBe('token: s3cr3t-s3x');
  });

  it('show nothing of a secret at whose first or second half the log is not known', () => {
    const secret = 'aaaa-1111\nbb\ncccc-2222';
    const maker = createLogLines(START, createMasking([secret]));
    maker.push(Buffer.from(`head\n${secret.slice(0, 11)}`));
    maker.breakOff();
    expect(maker.drain()).toEqual({ lines: [{ text: 'head', offset: 0, pieces: 0 }], end: { offset: 16, pieces: 0 } });
    const end = `${secret.slice(11)}\n${'-'.repeat(80)}\nlast\n`;
    maker.goOn(1000);
    maker.push(Buffer.from(end));
    const { lines } = maker.drain();
    expect(lines.map(({ text }) => text)).toEqual(['-'.repeat(29), 'last']);
    expect(lines[0]?.offset).toBe(1063);
  });
});

const secret = fc.oneof(
  fc.string({ minLength: 8, maxLength: 20, unit: fc.constantFrom('a', 'b', '\n') }),
  fc.string({ minLength: 60, maxLength: 150, unit: fc.constantFrom('a', 'b', 'c', '\n') }),
);
/** Much of what they write is of secrets, of a few letters, and of line ends. */
const logOf = (secrets: readonly string[]): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(...secrets).map((text) => Buffer.from(text)),
        fc
          .string({ maxLength: 9, unit: fc.constantFrom('a', 'b', 'c', '\n', '\n', 'é', '😀') })
          .map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 25 },
    )
    .map((parts) => Buffer.concat(parts));
const cases = fc
  .array(secret, { minLength: 1, maxLength: 3 })
  .chain((secrets) => fc.record({ secrets: fc.constant(secrets), log: logOf(secrets) }));
const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 12 });

describe('however a log comes', () => {
  it('its lines are the same', () => {
    fc.assert(
      fc.property(cases, cuts, ({ log, secrets }, where) => {
        expect(read(log, secrets, START, where).lines).toEqual(read(log, secrets).lines);
      }),
      { numRuns: 500 },
    );
  });

  it('are the same from every position that was passed on', () => {
    fc.assert(
      fc.property(cases, cuts, ({ log, secrets }, where) => {
        const { lines, ends } = read(log, secrets, START, where);
        for (const { end, count } of ends) expect(read(log, secrets, end, where).lines).toEqual(lines.slice(count));
      }),
      { numRuns: 300 },
    );
  });

  it('from no place at all is there a byte that was hidden', () => {
    fc.assert(
      fc.property(cases, fc.nat({ max: 400 }), ({ log, secrets }, place) => {
        const offset = Math.min(place, log.length);
        const expected = listClear(log, secrets).filter(([at]) => at >= offset);
        const shown = read(log, secrets, { offset, pieces: 0 }).lines.map(({ text }) => text);
        const letters = (text: string): string => text.replaceAll(/[^abc]/g, '');
        expect(letters(shown.join(''))).toBe(letters(Buffer.from(expected.map(([, byte]) => byte)).toString('latin1')));
      }),
      { numRuns: 500 },
    );
  });
});

/** The bytes that the masker leaves of the whole log, each with its place. */
function listClear(log: Buffer, secrets: readonly string[]): (readonly [number, number])[] {
  const masker = createMasking(secrets).createPieceMasker();
  const pieces = [...masker.push(log), ...masker.flush()].filter(({ isMask }) => !isMask);
  return pieces.flatMap(({ bytes, offset }) => Array.from(bytes, (byte, index) => [offset + index, byte] as const));
}
