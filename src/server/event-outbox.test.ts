import { expect, test } from 'vitest';
import { RUNNING } from '../../dev/telegram/build-states.ts';
import { createFakeBuild } from '../../test/browser/fake-view.ts';
import type { LogLine } from '../logs/index.ts';
import { Outbox } from './event-outbox.ts';

const order = { sealed: 'SEALED', canControl: false, nonce: 'n', now: 0 };
const END = { offset: 1, pieces: 0 };

function create(): { outbox: Outbox; leave: AbortController } {
  const leave = new AbortController();
  const { view } = createFakeBuild(RUNNING);
  return { outbox: new Outbox(view, { order, known: new Map(), signal: leave.signal }), leave };
}

/** More than an outbox keeps. */
function createLines(): LogLine[] {
  return Array.from({ length: 1_000 }, () => ({ text: 'x'.repeat(100), seconds: undefined }));
}

function listSteps(outbox: Outbox): unknown[] {
  return outbox.take().map(({ data }) => (data as { step?: string }).step);
}

test('of however many logs, lines of one are waiting, and those of the next once they are taken', async () => {
  const { outbox } = create();
  const added = [0, 1, 2].map((index) => outbox.onLines({ index, attempt: 1 }, createLines(), END));
  expect(listSteps(outbox)).toStrictEqual(['git']);
  await added[0];
  expect(listSteps(outbox)).toStrictEqual(['lint']);
  await added[1];
  expect(listSteps(outbox)).toStrictEqual(['test']);
  await added[2];
  expect(listSteps(outbox)).toStrictEqual([]);
});

test('a long line that has not ended is not kept waiting, and counts as long as it is there', async () => {
  const { outbox } = create();
  const run = { index: 2, attempt: 1 };
  outbox.onPartial(run, '"'.repeat(16_000));
  await outbox.full;
  outbox.onPartial(run, 'short');
  // Else nobody would take it before it is emptied.
  expect(outbox.onLines(run, [{ text: 'short and whole', seconds: undefined }], END)).toBeUndefined();
});

test('who goes ends all waiting, and nothing is made for them any more', async () => {
  const { outbox, leave } = create();
  const added = [0, 1].map((index) => outbox.onLines({ index, attempt: 1 }, createLines(), END));
  leave.abort();
  for (const one of added) await one;
  expect(listSteps(outbox)).toStrictEqual(['git']);
});
