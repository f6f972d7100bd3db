import { expect, test } from 'vitest';
import { createFakeBuild } from '../../test/browser/fake-view.ts';
import { createLink } from '../../test/fakes/sample-build.ts';
import { RUNNING } from '../../dev/telegram/build-states.ts';
import { EventWriter } from './event-writer.ts';
import type { Write } from './stream-text.ts';

const run = { index: 2, attempt: 1 };
const page = { sealed: 'SEALED', address: 'https://c3.example/b/SEALED', canControl: false, nonce: 'n', now: 0 };

function create(write: Write): EventWriter {
  const options = { link: createLink(), page, known: new Map(), signal: AbortSignal.abort() };
  return new EventWriter(createFakeBuild(RUNNING).view, write, options);
}

test.each([
  ['a state', (writer: EventWriter) => writer.onState(RUNNING)],
  ['lines', (writer: EventWriter) => writer.onLines(run, [], { offset: 1, pieces: 0 })],
  ['a partial line', (writer: EventWriter) => writer.onPartial(run, 'so far')],
])('waits for the reader after %s, and no longer once it has left', async (_, act) => {
  const reader = Promise.withResolvers<void>();
  let isDone = false;
  const done = act(create(() => reader.promise)).then(() => (isDone = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDone).toBe(false);
  reader.reject(new Error('the reader has left'));
  await done;
});
