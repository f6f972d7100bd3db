import { afterEach, expect, it, vi } from 'vitest';
import { type BuildState, sealLink } from '../build/index.ts';
import { createLink, type LinkPart } from '../../test/fakes/sample-build.ts';
import { createState } from '../../dev/telegram/build-states.ts';
import type { BuildLook, RunningBuild, ViewRequest } from '../logs/index.ts';
import type { Forge } from '../forges/forge.ts';
import { parseKeyring, parseScope } from '../sealing/index.ts';
import { createOpenViews, type OpenViews, type ViewLimits } from './open-views.ts';

const keyring = parseKeyring('YzMtdGVzdC1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE');
const LINK = createLink({
  right: 'view',
  scope: parseScope('git.example.com/acme/shop'),
  id: '5f3a0c91d2e4',
  sha: 'a1'.repeat(20),
  trust: 'protected',
  ref: { kind: 'branch', name: 'main' },
  token: 'a-token',
});
const RUNNING = createState({ kind: 'running' });
const ENDED: BuildState = { ...RUNNING, phase: { kind: 'ended', ending: { kind: 'passed', allowed: [] } } };

interface Shown {
  readonly views: OpenViews;
  readonly requests: ViewRequest[];
  /** What was closed, in order. */
  readonly closed: string[];
  running: RunningBuild | undefined;
  look: () => Promise<BuildLook>;
}

const open: OpenViews[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(open.splice(0).map((views) => views.close()));
});

function setUp(limits: Partial<ViewLimits> = {}): Shown {
  const requests: ViewRequest[] = [];
  const closed: string[] = [];
  const forge = { openRepository: () => ({}) } as unknown as Forge;
  const views = createOpenViews({
    keyring,
    limits,
    forgeFor: () => forge,
    checkScope: () => {},
    findRunning: () => shown.running,
    open(request) {
      requests.push(request);
      return shown.look();
    },
  });
  const shown: Shown = {
    views,
    requests,
    closed,
    running: undefined,
    look: () => Promise.resolve(seen(closed, ENDED)),
  };
  open.push(views);
  return shown;
}

function seen(closed: string[], state: BuildState): BuildLook {
  return { kind: 'seen', view: { state, close: () => void closed.push('view') } } as unknown as BuildLook;
}

function outcome(state: 'failure' | 'pending'): BuildLook {
  const message = 'its Pod was deleted, and its logs with it';
  const { build, urls } = RUNNING;
  const status = { buildId: build.id, state, ending: undefined, text: '' };
  return { kind: 'outcome', outcome: { build, urls, status, message, problems: [] } };
}

function openView(
  { views }: Shown,
  part: LinkPart = {},
  signal = new AbortController().signal,
): ReturnType<OpenViews['open']> {
  return sealLink(keyring, createLink({ ...LINK.build, token: LINK.token, ...part })).then((sealed) =>
    views.open(sealed, signal),
  );
}

it('opens one view for both rights', async () => {
  const shown = setUp();
  const [first, second] = await Promise.all([
    openView(shown),
    openView(shown, { right: 'control', before: 'b2'.repeat(20) }),
  ]);
  expect([first.link.right, second.link.right]).toEqual(['view', 'control']);
  expect(second.found).toBe(first.found);
  // Either link may have come first, and only one to control has the commit before.
  const { before: _before, ...build } = LINK.build;
  expect(shown.requests).toMatchObject([{ build }]);
});

it.each([
  ['another token', { token: 'another-token' }],
  ['another build', { id: 'c0ffeec0ffee' }],
  ['another repository', { scope: parseScope('git.example.com/acme/other') }],
])('shares no view with a link that has %s', async (_, part) => {
  const shown = setUp();
  await openView(shown);
  await openView(shown, part);
  expect(shown.requests).toHaveLength(2);
});

it('keeps a view without readers for its idle time, and then closes it', async () => {
  vi.useFakeTimers();
  const shown = setUp({ idleMs: 1000 });
  const first = await openView(shown);
  first.release();
  first.release();
  await vi.advanceTimersByTimeAsync(900);
  const second = await openView(shown);
  await vi.advanceTimersByTimeAsync(5000);
  expect([shown.requests.length, shown.closed]).toEqual([1, []]);
  second.release();
  await vi.advanceTimersByTimeAsync(1001);
  expect(shown.closed).toEqual(['view']);
  expect(shown.requests[0]?.signal.aborted).toBe(true);
  await openView(shown);
  expect(shown.requests).toHaveLength(2);
});

it('opens a new view if the old one is outdated, and closes the old one with its last reader', async () => {
  const shown = setUp({ freshMs: 0 });
  shown.look = () => Promise.resolve(seen(shown.closed, RUNNING));
  const first = await openView(shown);
  await openView(shown);
  expect([shown.requests.length, shown.closed]).toEqual([2, []]);
  first.release();
  await expect.poll(() => shown.closed).toEqual(['view']);
});

it('opens a new view once when the build starts to run here', async () => {
  const shown = setUp({ freshMs: 0 });
  shown.look = () => Promise.resolve({ kind: 'failed', message: 'there is no Pod' });
  await openView(shown);
  shown.running = { state: RUNNING, async *changes() {} };
  shown.look = () => Promise.resolve(seen(shown.closed, RUNNING));
  await openView(shown);
  await openView(shown);
  expect(shown.requests.map(({ running }) => running === undefined)).toEqual([true, false]);
});

it('limits the views that a token opens in a minute, and shows the old view after that', async () => {
  const shown = setUp({ opensPerMinute: 2, freshMs: 0 });
  shown.look = () => Promise.resolve({ kind: 'failed', message: 'the cluster does not answer' });
  for (let time = 0; time < 5; time += 1) expect((await openView(shown)).found.kind).toBe('failed');
  expect(shown.requests).toHaveLength(2);
  await expect(openView(shown, { id: '000000000002' })).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: 'c3 has opened too many builds of this repository in a minute',
    retryAfterSeconds: 30,
  });
  await openView(shown, { token: 'another-token' });
  shown.running = { state: RUNNING, async *changes() {} };
  await openView(shown);
  expect(shown.requests).toHaveLength(4);
});

it.each([
  ['an ended build', 1, (closed: string[]) => seen(closed, ENDED)],
  ['an outcome of the forge', 1, () => outcome('failure')],
  ['a pending status', 2, () => outcome('pending')],
  ['a failure', 2, () => ({ kind: 'failed', message: 'no' }) as const],
])('opens two requests for %s %i times', async (_, times, toLook) => {
  const shown = setUp({ freshMs: 0 });
  shown.look = () => Promise.resolve(toLook(shown.closed));
  await openView(shown);
  await openView(shown);
  expect(shown.requests).toHaveLength(times);
});

it('limits the readers of a build', async () => {
  const shown = setUp({ maxReaders: 2 });
  const first = await openView(shown);
  await openView(shown);
  await expect(openView(shown)).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: '2 readers view this build already',
    retryAfterSeconds: 30,
  });
  first.release();
  await openView(shown);
});

it('limits all readers', async () => {
  const shown = setUp({ maxReadersInAll: 2 });
  const first = await openView(shown);
  await openView(shown, { id: '000000000002' });
  await expect(openView(shown)).rejects.toMatchObject({ message: '2 readers view builds already' });
  first.release();
  first.release();
  await openView(shown);
  await expect(openView(shown)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it('limits the readers of one owner over all repositories, and accepts those of others', async () => {
  const shown = setUp({ maxReadersOfOwner: 2 });
  const first = await openView(shown);
  await openView(shown, { scope: parseScope('git.example.com/acme/other') });
  const third = { scope: parseScope('git.example.com/acme/third') };
  await expect(openView(shown, third)).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: '2 readers view builds of this owner already',
    retryAfterSeconds: 30,
  });
  await openView(shown, { scope: parseScope('git.example.com/ann/shop') });
  await openView(shown, { scope: parseScope('other.example.com/acme/shop') });
  first.release();
  first.release();
  await openView(shown, third);
  await expect(openView(shown, third)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it('counts a reader with a weight as several', async () => {
  const shown = setUp({ maxReaders: 5, maxReadersInAll: 6 });
  const raw = await shown.views.open(await sealLink(keyring, LINK), new AbortController().signal, 4);
  await openView(shown);
  await expect(openView(shown)).rejects.toMatchObject({ message: '5 readers view this build already' });
  raw.release();
  await openView(shown);
});

it('limits the views, and closes one without readers for a new one', async () => {
  const shown = setUp({ maxViews: 2 });
  const first = await openView(shown, { id: '000000000001' });
  await openView(shown, { id: '000000000002' });
  await expect(openView(shown, { id: '000000000003' })).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: 'c3 shows as many builds as it can',
  });
  first.release();
  await openView(shown, { id: '000000000003' });
  expect(shown.closed).toContain('view');
});

it('keeps opening for other readers when one leaves', async () => {
  const shown = setUp({ maxReaders: 1, maxReadersOfOwner: 1, maxReadersInAll: 1 });
  const opening = Promise.withResolvers<BuildLook>();
  shown.look = () => opening.promise;
  const leave = new AbortController();
  const gone = openView(shown, {}, leave.signal);
  await expect.poll(() => shown.requests.length).toBe(1);
  leave.abort(new Error('the client went away'));
  await expect(gone).rejects.toThrow('the client went away');
  const there = openView(shown);
  opening.resolve(seen(shown.closed, ENDED));
  expect((await there).found.kind).toBe('seen');
  expect(shown.requests).toHaveLength(1);
});

it('closes all views', async () => {
  const shown = setUp();
  await openView(shown);
  await shown.views.close();
  expect(shown.closed).toEqual(['view']);
});
