import { expect, it, vi } from 'vitest';
import { createBareWorkspace } from '../../test/fakes/bare-workspace.ts';
import type { ExecAnswer, Workspace } from '../engine/cluster.ts';
import type { AgentConnection, Cut } from './connection.ts';
import { createConnectionPool, createStepAgent, type StepAgent } from './step-agent.ts';

/** An agent into a workspace that refuses every exec for good, and of which the cluster says nothing. */
function refuse(): { agent: StepAgent; execs: () => number; waits: () => number } {
  let execs = 0;
  let waits = 0;
  function exec(): Promise<ExecAnswer> {
    execs += 1;
    return Promise.resolve({ kind: 'refused', message: 'container not found ("main")', isTransient: false });
  }
  const workspace: Workspace = {
    ...createBareWorkspace(exec),
    get lost() {
      waits += 1;
      return new Promise<string>(() => {});
    },
  };
  const agent = createStepAgent(workspace, 'main', { buildId: 'b1', epoch: 1, roots: ['/a', '/b'], silenceMs: 1000 });
  return { agent, execs: () => execs, waits: () => waits };
}

it('answers with the refusal when the cluster reports no reason, after one wait for all commands', async () => {
  const { agent, execs, waits } = refuse();
  for (let asked = 0; asked < 3; asked += 1) {
    const answer = await agent.perform('sweep b1\n', () => undefined);
    expect(answer).toMatchObject({ kind: 'cut', message: 'container not found ("main")', isFinal: true });
  }
  expect(execs()).toBe(3);
  expect(waits()).toBe(1);
});

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
