import { expect, test } from 'vitest';
import { createGate } from './gate.ts';
import { createPacedGate } from './paced-gate.ts';

const NEVER = new AbortController().signal;

test('lets a burst in at once, then one for each interval', async () => {
  let at = 1000;
  const gate = createPacedGate(createGate(10), { burst: 2, perSecond: 10, now: () => at });
  for (let count = 0; count < 2; count += 1) expect(await gate.enter(NEVER)).toBeDefined();
  const giveUp = new AbortController();
  const third = gate.enter(giveUp.signal);
  giveUp.abort();
  expect(await third).toBeUndefined();
  expect(gate.size).toEqual({ inside: 2, waiting: 0 });
  // The one that gave up had its turn.
  at += 200;
  expect(await gate.enter(NEVER)).toBeDefined();
});

test('has whoever is early wait inside until it is their turn', async () => {
  const gate = createPacedGate(createGate(10), { burst: 1, perSecond: 100, now: () => 0 });
  const leave = await gate.enter(NEVER);
  const second = gate.enter(NEVER);
  await Promise.resolve();
  expect(gate.size.inside).toBe(2);
  leave?.();
  (await second)?.();
  expect(gate.size.inside).toBe(0);
});

test('is as full as the gate', async () => {
  const gate = createPacedGate(createGate(1), { burst: 5, perSecond: 1 });
  const leave = await gate.enter(NEVER);
  const waiting = gate.enter(NEVER);
  expect(gate.size).toEqual({ inside: 1, waiting: 1 });
  leave?.();
  expect(await waiting).toBeDefined();
});
