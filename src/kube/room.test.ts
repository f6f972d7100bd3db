import { expect, test } from 'vitest';
import { REFUSALS } from '../../dev/cluster/faults.ts';
import { createRoom, type Room } from './room.ts';

function create({ signal = new AbortController().signal, waitMs }: { signal?: AbortSignal; waitMs?: number } = {}): {
  room: Room;
  reasons: string[];
} {
  const reasons: string[] = [];
  const report = (reason: string): void => void reasons.push(reason);
  const makeRoom = async (): Promise<boolean> => await Promise.resolve(true);
  const room = createRoom({ makeRoom, report, signal, ...(waitMs === undefined ? {} : { waitMs }) });
  return { room, reasons };
}

const { quota, quotaRace, admission, webhookAway, webhookDenial } = REFUSALS;
const refuse = (fault: typeof quota) => ({ ...fault, kind: 'refused' }) as const;

test('waits for an admission webhook that is away, and says so', async () => {
  const { room, reasons } = create();
  expect(await room.mayCreate(refuse(webhookAway))).toBe(true);
  expect(reasons).toEqual([`waiting for an admission webhook of the cluster: ${webhookAway.message}`]);
});

test.each([webhookDenial, admission, quotaRace])('does not wait after: $message', async (fault) => {
  const { room, reasons } = create();
  expect(await room.mayCreate(refuse(fault))).toBe(false);
  expect(reasons).toEqual([]);
});

test.each([webhookAway, quota])('ends the wait after its time, and when the start ends: $message', async (fault) => {
  const { room } = create({ waitMs: -1 });
  expect(await room.mayCreate(refuse(fault))).toBe(false);
  const stop = new AbortController();
  const { room: other } = create({ signal: stop.signal });
  const answer = other.mayCreate(refuse(fault));
  stop.abort();
  expect(await answer).toBe(false);
});
