import { expect, it } from 'vitest';
import type { BuildState } from '../build/index.ts';
import { createState } from '../../dev/telegram/build-states.ts';
import { createStateFeed } from './state-feed.ts';

function state(detail: string): BuildState {
  return createState({ kind: 'preparing', detail });
}

function detailOf(shown: BuildState | void): string | undefined {
  return shown?.phase.kind === 'preparing' ? shown.phase.detail : undefined;
}

it('shows the newest state first, and of several that came meanwhile the last', async () => {
  const feed = createStateFeed();
  feed.tell(state('one'));
  feed.tell(state('two'));
  const changes = feed.build?.changes(new AbortController().signal)[Symbol.asyncIterator]();
  expect(detailOf((await changes?.next())?.value)).toBe('two');
  for (const detail of ['three', 'four', 'five']) feed.tell(state(detail));
  expect(detailOf((await changes?.next())?.value)).toBe('five');
  const next = changes?.next();
  feed.tell(state('six'));
  expect(detailOf((await next)?.value)).toBe('six');
  feed.tell(state('seven'));
  feed.end();
  expect(detailOf((await changes?.next())?.value)).toBe('seven');
  expect(await changes?.next()).toEqual({ value: undefined, done: true });
});

it('shows everybody all, however slow another is, and ends for who has had enough', async () => {
  const feed = createStateFeed();
  feed.tell(state('one'));
  const stop = new AbortController();
  const leaving = feed.build?.changes(stop.signal)[Symbol.asyncIterator]();
  const staying = feed.build?.changes(new AbortController().signal)[Symbol.asyncIterator]();
  await leaving?.next();
  await staying?.next();
  const [gone, there] = [leaving?.next(), staying?.next()];
  stop.abort();
  expect(await gone).toEqual({ value: undefined, done: true });
  feed.tell(state('two'));
  expect(detailOf((await there)?.value)).toBe('two');
});
