import { expect, it, vi } from 'vitest';
import { createConnectionPool } from './connection-pool.ts';
import type { Cut, AgentConnection } from './connection.ts';

interface FakeLine extends AgentConnection {
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

const POD = { key: 'pod' };

it('hands a line that was kept to one taker', () => {
  const pool = createConnectionPool();
  const line = createLine();
  pool.of(POD, 'main').keep(line);
  expect(pool.of(POD, 'git').take()).toBeUndefined();
  expect(pool.of(POD, 'main').take()).toBe(line);
  expect(pool.of(POD, 'main').take()).toBeUndefined();
  expect(line.isClosed).toBe(false);
});

it('keeps several lines under a key and hands out the newest', () => {
  const pool = createConnectionPool();
  const [older, newer] = [createLine(), createLine()];
  pool.of(POD, 'main').keep(older);
  pool.of(POD, 'main').keep(newer);
  expect([pool.of(POD, 'main').take(), pool.of(POD, 'main').take(), pool.of(POD, 'main').take()]).toEqual([
    newer,
    older,
    undefined,
  ]);
});

it('hands out no line that has ended', async () => {
  const pool = createConnectionPool();
  const line = createLine();
  pool.of(POD, 'main').keep(line);
  line.end();
  await line.over;
  expect(pool.of(POD, 'main').take()).toBeUndefined();
});

it('closes a line that nobody takes in time', () => {
  vi.useFakeTimers();
  try {
    const pool = createConnectionPool({ keepMs: 1000 });
    const line = createLine();
    pool.of(POD, 'main').keep(line);
    vi.advanceTimersByTime(999);
    expect(line.isClosed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(line.isClosed).toBe(true);
    expect(pool.of(POD, 'main').take()).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

it('closes the oldest when there are too many, and all at its own end', () => {
  const pool = createConnectionPool({ maxLines: 2 });
  const lines = [createLine(), createLine(), createLine()];
  for (const [index, line] of lines.entries()) pool.of({ key: `pod${index}` }, 'main').keep(line);
  expect(lines.map(({ isClosed }) => isClosed)).toEqual([true, false, false]);
  pool.close();
  expect(lines.map(({ isClosed }) => isClosed)).toEqual([true, true, true]);
});
