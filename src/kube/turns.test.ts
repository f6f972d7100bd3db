import { describe, expect, test } from 'vitest';
import { createGate } from './gate.ts';
import { createTurns } from './turns.ts';

const NEVER = new AbortController().signal;

describe('a gate', () => {
  test('lets as many in as it has places, the others first come first served', async () => {
    const gate = createGate(2);
    const order: number[] = [];
    const first = await gate.enter(NEVER);
    await gate.enter(NEVER);
    const third = gate.enter(NEVER).then((leave) => (order.push(3), leave?.()));
    const fourth = gate.enter(NEVER).then((leave) => (order.push(4), leave?.()));
    expect(gate.size).toEqual({ inside: 2, waiting: 2 });
    first?.();
    first?.();
    await Promise.all([third, fourth]);
    expect(order).toEqual([3, 4]);
    expect(gate.size).toEqual({ inside: 1, waiting: 0 });
  });

  test('forgets who gives up', async () => {
    const gate = createGate(1);
    const leave = await gate.enter(NEVER);
    const abort = new AbortController();
    const second = gate.enter(abort.signal);
    const third = gate.enter(NEVER);
    abort.abort();
    expect(await second).toBeUndefined();
    leave?.();
    expect(await third).toBeTypeOf('function');
    expect(await gate.enter(abort.signal)).toBeUndefined();
  });
});

describe('turns', () => {
  test('at different keys do not wait for each other', async () => {
    const turns = createTurns();
    const leaveA = await turns.enter('a', NEVER);
    const leaveB = await turns.enter('b', NEVER);
    expect(turns.count).toBe(2);
    expect(turns.isTaken('a')).toBe(true);
    leaveA?.();
    leaveB?.();
    expect(turns.count).toBe(0);
  });

  test('a turn is taken at once where nobody has it', () => {
    const turns = createTurns();
    void turns.enter('a', NEVER);
    expect(turns.isTaken('a')).toBe(true);
  });

  test('nothing is left of who gave up', async () => {
    const turns = createTurns();
    expect(await turns.enter('a', AbortSignal.abort())).toBeUndefined();
    expect(turns.count).toBe(0);
  });
});
