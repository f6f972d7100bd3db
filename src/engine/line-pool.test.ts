import { expect, it, vi } from 'vitest';
import { createLinePool } from './line-pool.ts';
import type { Cut, Line } from './line.ts';

interface FakeLine extends Line {
  readonly isClosed: boolean;
  end(): void;
}

function createLine(): FakeLine {
  const over = Promise.withResolvers<Cut>();
  let isOver = false;
  let isClosed = false;
  return {
    get isOver() {
      return isOver;
    },
    get isClosed() {
      return isClosed;
    },
    over: over.promise,
    begin: () => Promise.resolve(true),
    ready: over.promise,
    perform: () => over.promise,
    close(): void {
      isClosed = true;
    },
    end(): void {
      isOver = true;
      over.resolve({ kind: 'cut', message: 'cut', isFinal: false });
    },
  };
}

it('hands a line that was kept to one taker', () => {
  const pool = createLinePool();
  const line = createLine();
  pool.keep('pod/main', line);
  expect(pool.take('pod/git')).toBeUndefined();
  expect(pool.take('pod/main')).toBe(line);
  expect(pool.take('pod/main')).toBeUndefined();
  expect(line.isClosed).toBe(false);
});

it('keeps several lines under a key and hands out the newest', () => {
  const pool = createLinePool();
  const [older, newer] = [createLine(), createLine()];
  pool.keep('pod/main', older);
  pool.keep('pod/main', newer);
  expect([pool.take('pod/main'), pool.take('pod/main'), pool.take('pod/main')]).toEqual([newer, older, undefined]);
});

it('hands out no line that has ended', async () => {
  const pool = createLinePool();
  const line = createLine();
  pool.keep('pod/main', line);
  line.end();
  await line.over;
  expect(pool.take('pod/main')).toBeUndefined();
});

it('closes a line that nobody takes in time', () => {
  vi.useFakeTimers();
  try {
    const pool = createLinePool({ keepMs: 1000 });
    const line = createLine();
    pool.keep('pod/main', line);
    vi.advanceTimersByTime(999);
    expect(line.isClosed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(line.isClosed).toBe(true);
    expect(pool.take('pod/main')).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

it('closes the oldest when there are too many, and all at its own end', () => {
  const pool = createLinePool({ maxLines: 2 });
  const lines = [createLine(), createLine(), createLine()];
  for (const [index, line] of lines.entries()) pool.keep(`pod${index}/main`, line);
  expect(lines.map(({ isClosed }) => isClosed)).toEqual([true, false, false]);
  pool.close();
  expect(lines.map(({ isClosed }) => isClosed)).toEqual([true, true, true]);
});
