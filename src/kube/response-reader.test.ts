import { describe, expect, test } from 'vitest';
import { createReadBudget, readBody, readLines, type ReadBudget } from './response-reader.ts';

const MIB = 1024 * 1024;
const FREE: ReadBudget = { receive: () => {}, delay: () => 0, buffer: () => false };

async function* pour(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

describe('the lines of an answer', () => {
  test('are read whole, however they are split into chunks', async () => {
    const text = 'one\n\ntwo 😀\nthree\nnot whole';
    for (const size of [1, 2, 3, 7, 100]) {
      const bytes = Buffer.from(text);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      expect(await collect(readLines(pour(...chunks), { budget: FREE }))).toEqual(['one', '', 'two 😀', 'three']);
    }
  });

  test('have a maximum size', async () => {
    const fits = pour(...Array.from({ length: 32 }, () => 'x'.repeat(64 * 1024)), '\n');
    expect(await collect(readLines(fits, { budget: FREE }))).toEqual(['x'.repeat(2 * MIB)]);
    const endless = pour(...Array.from({ length: 33 }, () => 'x'.repeat(64 * 1024)), '\n');
    await expect(collect(readLines(endless, { budget: FREE }))).rejects.toMatchObject({
      code: 'CLUSTER_UNREACHABLE',
      message: "A line of the cluster's watch is larger than 2097152 bytes",
    });
  });

  test.each([
    ['each long line', Array.from({ length: 20 }, () => `${'x'.repeat(100_000)}\n`), 20],
    ['two hundred short lines', ['\n'.repeat(2_000)], 10],
  ])('let other work run after %s', async (_, chunks, least) => {
    let turns = 0;
    let timer = setImmediate(count);
    function count(): void {
      turns += 1;
      timer = setImmediate(count);
    }
    await collect(readLines(pour(...chunks), { budget: FREE }));
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(least);
  });
});

describe('the values in an answer', () => {
  const EMPTY = '{},'.repeat(50_000);

  test('have a maximum number, counted for each line', async () => {
    await expect(readBody(pour('[', EMPTY, EMPTY), { budget: FREE })).rejects.toMatchObject({
      code: 'CLUSTER_UNREACHABLE',
      message: "The cluster's answer has more than 100000 values",
    });
    const lines = readLines(pour(EMPTY, '\n', EMPTY, '\n'), { budget: FREE });
    expect(await collect(lines)).toEqual([EMPTY, EMPTY]);
  });

  test('count as 32 bytes each when they are smaller', async () => {
    const taken: number[] = [];
    const budget: ReadBudget = { ...FREE, delay: (bytes) => (taken.push(bytes), 0) };
    await readBody(pour('{}', '[1,2,3]', 'x'.repeat(100)), { budget });
    expect(taken).toEqual([32, 96, 100]);
  });
});

describe('the body of an answer', () => {
  test('has a maximum size', async () => {
    const fits = pour(...Array.from({ length: 4 }, () => 'x'.repeat(MIB)));
    expect(await readBody(fits, { budget: FREE })).toHaveLength(4 * MIB);
    const endless = pour(...Array.from({ length: 4 }, () => 'x'.repeat(MIB)), 'x');
    await expect(readBody(endless, { budget: FREE })).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' });
  });

  test('is not read any more after an abort', async () => {
    const stop = new AbortController();
    const budget: ReadBudget = { ...FREE, delay: () => (stop.abort(new Error('enough')), 3_600_000) };
    await expect(readBody(pour('x'), { budget, signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('a cluster may send 16 MiB at once, then half a MiB per second', () => {
  let nowMs = 0;
  const budget = createReadBudget(() => nowMs);
  expect(budget.delay(16 * MIB)).toBe(0);
  expect(budget.delay(MIB)).toBe(2_000);
  expect(budget.delay(MIB)).toBe(4_000);
  nowMs += 4_000;
  expect(budget.delay(0)).toBe(0);
  nowMs += 1_000;
  expect(budget.delay(MIB)).toBe(1_000);
  nowMs += 3_600_000;
  expect(budget.delay(16 * MIB)).toBe(0);
});

test('bytes that were counted at a socket are not counted again in a body', () => {
  const budget = createReadBudget(() => 0);
  budget.receive(16 * MIB);
  expect(budget.delay(10 * MIB)).toBe(0);
  budget.receive(MIB);
  expect(budget.delay(0)).toBe(2_000);
  expect(budget.delay(8 * MIB)).toBe(4_000);
});

test('incomplete answers of a cluster have at most 16 MiB together, and stop counting when they end', async () => {
  let nowMs = 0;
  // Hours pass between the bytes, so that the rate has no effect.
  const budget = createReadBudget(() => (nowMs += 3_600_000));
  const lines = Array.from({ length: 17 }, () =>
    readLines(pour('x'.repeat(MIB), '\n', 'y'.repeat(MIB), '\n'), { budget }),
  );
  const ends = Promise.withResolvers<Uint8Array>();
  async function* hang(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(new Uint8Array(MIB));
    yield await ends.promise;
  }
  const hanging = Array.from({ length: 16 }, async () => await readBody(hang(), { budget }));
  await new Promise((resolve) => setImmediate(resolve));
  await expect(lines[0]?.next()).rejects.toMatchObject({
    code: 'CLUSTER_UNREACHABLE',
    message: "A line of the cluster's watch and other incomplete answers have more than 16777216 bytes",
  });
  ends.resolve(new Uint8Array(0));
  await Promise.all(hanging);
  for (const one of lines.slice(1)) expect((await one.next()).value).toBe('x'.repeat(MIB));
  expect(budget.buffer(16 * MIB)).toBe(false);
});
