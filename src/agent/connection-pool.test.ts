import { expect, it, vi } from 'vitest';
import { createConnectionPool } from './connection-pool.ts';
import type { Cut, AgentConnection } from './connection.ts';

interface FakeConnection extends AgentConnection {
  readonly isClosed: boolean;
  end(): void;
}

function createFake(): FakeConnection {
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

it('gives a kept connection to one taker', () => {
  const pool = createConnectionPool();
  const connection = createFake();
  pool.of(POD, 'main').keep(connection);
  expect(pool.of(POD, 'git').pop()).toBeUndefined();
  expect(pool.of(POD, 'main').pop()).toBe(connection);
  expect(pool.of(POD, 'main').pop()).toBeUndefined();
  expect(connection.isClosed).toBe(false);
});

it('keeps several connections under a key and gives out the newest', () => {
  const pool = createConnectionPool();
  const [older, newer] = [createFake(), createFake()];
  pool.of(POD, 'main').keep(older);
  pool.of(POD, 'main').keep(newer);
  expect([pool.of(POD, 'main').pop(), pool.of(POD, 'main').pop(), pool.of(POD, 'main').pop()]).toEqual([
    newer,
    older,
    undefined,
  ]);
});

it('gives out no connection that has ended', async () => {
  const pool = createConnectionPool();
  const connection = createFake();
  pool.of(POD, 'main').keep(connection);
  connection.end();
  await connection.over;
  expect(pool.of(POD, 'main').pop()).toBeUndefined();
});

it('closes a connection that nobody takes in time', () => {
  vi.useFakeTimers();
  try {
    const pool = createConnectionPool({ keepMs: 1000 });
    const connection = createFake();
    pool.of(POD, 'main').keep(connection);
    vi.advanceTimersByTime(999);
    expect(connection.isClosed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(connection.isClosed).toBe(true);
    expect(pool.of(POD, 'main').pop()).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});

it('closes the oldest when there are too many, and all when it is closed', () => {
  const pool = createConnectionPool({ maxConnections: 2 });
  const connections = [createFake(), createFake(), createFake()];
  for (const [index, connection] of connections.entries()) pool.of({ key: `pod${index}` }, 'main').keep(connection);
  expect(connections.map(({ isClosed }) => isClosed)).toEqual([true, false, false]);
  pool.close();
  expect(connections.map(({ isClosed }) => isClosed)).toEqual([true, true, true]);
});
