import { afterEach, expect, it, vi } from 'vitest';
import { type BuildState, sealLink } from '../build/index.ts';
import { createLink, type LinkPart } from '../../test/fakes/sample-build.ts';
import { createState } from '../../dev/telegram/build-states.ts';
import type { BuildLook, RunningBuild, ViewRequest } from '../logs/index.ts';
import type { Forge } from '../forges/forge.ts';
import { parseKeyring, parseScope } from '../sealing/index.ts';
import { createViews, type ViewLimits, type Views } from './views.ts';

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
  readonly views: Views;
  readonly orders: ViewRequest[];
  /** What was freed, in order. */
  readonly closed: string[];
  running: RunningBuild | undefined;
  look: () => Promise<BuildLook>;
}

const open: Views[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(open.splice(0).map((views) => views.close()));
});

function setUp(limits: Partial<ViewLimits> = {}): Shown {
  const orders: ViewRequest[] = [];
  const closed: string[] = [];
  const forge = { openRepository: () => ({}) } as unknown as Forge;
  const views = createViews({
    keyring,
    limits,
    forgeFor: () => forge,
    checkScope: () => {},
    watch: () => shown.running,
    open(order) {
      orders.push(order);
      return shown.look();
    },
  });
  const shown: Shown = {
    views,
    orders,
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

function look({ views }: Shown, part: LinkPart = {}, signal = new AbortController().signal): ReturnType<Views['look']> {
  return sealLink(keyring, createLink({ ...LINK.build, token: LINK.token, ...part })).then((sealed) =>
    views.look(sealed, signal),
  );
}

it('opens a link to what it leads to, for both rights one view', async () => {
  const shown = setUp();
  const [first, second] = await Promise.all([look(shown), look(shown, { right: 'control', before: 'b2'.repeat(20) })]);
  expect([first.link.right, second.link.right]).toEqual(['view', 'control']);
  expect(second.look).toBe(first.look);
  expect(shown.orders).toMatchObject([{ build: LINK.build }]);
});

it.each([
  ['another token', { token: 'another-token' }],
  ['another build', { id: 'c0ffeec0ffee' }],
  ['another repository', { scope: parseScope('git.example.com/acme/other') }],
])('shows through a link with %s nothing that another one opened', async (_, part) => {
  const shown = setUp();
  await look(shown);
  await look(shown, part);
  expect(shown.orders).toHaveLength(2);
});

it('keeps a view that nobody looks at for its idle time, and then frees all of it', async () => {
  vi.useFakeTimers();
  const shown = setUp({ idleMs: 1000 });
  const first = await look(shown);
  first.release();
  first.release();
  await vi.advanceTimersByTimeAsync(900);
  const second = await look(shown);
  await vi.advanceTimersByTimeAsync(5000);
  expect([shown.orders.length, shown.closed]).toEqual([1, []]);
  second.release();
  await vi.advanceTimersByTimeAsync(1001);
  expect(shown.closed).toEqual(['view']);
  expect(shown.orders[0]?.signal.aborted).toBe(true);
  await look(shown);
  expect(shown.orders).toHaveLength(2);
});

it('looks anew, after a while, at what does not change by itself, and closes the old view with its last reader', async () => {
  const shown = setUp({ freshMs: 0 });
  shown.look = () => Promise.resolve(seen(shown.closed, RUNNING));
  const first = await look(shown);
  await look(shown);
  expect([shown.orders.length, shown.closed]).toEqual([2, []]);
  first.release();
  await expect.poll(() => shown.closed).toEqual(['view']);
});

it('looks anew when the build has begun to run here, and then no more, since that view changes with it', async () => {
  const shown = setUp({ freshMs: 0 });
  shown.look = () => Promise.resolve({ kind: 'failed', message: 'there is no Pod' });
  await look(shown);
  shown.running = { state: RUNNING, async *changes() {} };
  shown.look = () => Promise.resolve(seen(shown.closed, RUNNING));
  await look(shown);
  await look(shown);
  expect(shown.orders.map(({ running }) => running === undefined)).toEqual([true, false]);
});

it('asks the forge so often a minute for one token, and shows what it has after that', async () => {
  const shown = setUp({ opensPerMinute: 2, freshMs: 0 });
  shown.look = () => Promise.resolve({ kind: 'failed', message: 'the cluster does not answer' });
  for (let time = 0; time < 5; time += 1) expect((await look(shown)).look.kind).toBe('failed');
  expect(shown.orders).toHaveLength(2);
  await expect(look(shown, { id: '000000000002' })).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: 'More builds of this repository were opened than c3 asks for in a minute',
    retryAfterSeconds: 30,
  });
  await look(shown, { token: 'another-token' });
  shown.running = { state: RUNNING, async *changes() {} };
  await look(shown);
  expect(shown.orders).toHaveLength(4);
});

it.each([
  ['what has ended', 1, (closed: string[]) => seen(closed, ENDED)],
  ['an outcome that the forge knows', 1, () => outcome('failure')],
  ['what the forge calls pending', 2, () => outcome('pending')],
  ['what could not be told', 2, () => ({ kind: 'failed', message: 'no' }) as const],
])('asks about %s, when it is looked at twice, %i times', async (_, times, toLook) => {
  const shown = setUp({ freshMs: 0 });
  shown.look = () => Promise.resolve(toLook(shown.closed));
  await look(shown);
  await look(shown);
  expect(shown.orders).toHaveLength(times);
});

it('shows a build to so many and no more', async () => {
  const shown = setUp({ maxReaders: 2 });
  const first = await look(shown);
  await look(shown);
  await expect(look(shown)).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: '2 readers look at this build already',
    retryAfterSeconds: 30,
  });
  first.release();
  await look(shown);
});

it('has so many readers in all and no more', async () => {
  const shown = setUp({ maxReadersInAll: 2 });
  const first = await look(shown);
  await look(shown, { id: '000000000002' });
  await expect(look(shown)).rejects.toMatchObject({ message: '2 readers look at builds already' });
  first.release();
  first.release();
  await look(shown);
  await expect(look(shown)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it('gives the readers of one owner so many places, in however many repositories, and leaves the rest to others', async () => {
  const shown = setUp({ maxReadersOfOwner: 2 });
  const first = await look(shown);
  await look(shown, { scope: parseScope('git.example.com/acme/other') });
  const third = { scope: parseScope('git.example.com/acme/third') };
  await expect(look(shown, third)).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: '2 readers look at builds of this owner already',
    retryAfterSeconds: 30,
  });
  await look(shown, { scope: parseScope('git.example.com/ann/shop') });
  await look(shown, { scope: parseScope('other.example.com/acme/shop') });
  first.release();
  first.release();
  await look(shown, third);
  await expect(look(shown, third)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it('counts a reader who takes more as several', async () => {
  const shown = setUp({ maxReaders: 5, maxReadersInAll: 6 });
  const raw = await shown.views.look(await sealLink(keyring, LINK), new AbortController().signal, 4);
  await look(shown);
  await expect(look(shown)).rejects.toMatchObject({ message: '5 readers look at this build already' });
  raw.release();
  await look(shown);
});

it('shows so many builds and no more, but for one that nobody looks at any more', async () => {
  const shown = setUp({ maxViews: 2 });
  const first = await look(shown, { id: '000000000001' });
  await look(shown, { id: '000000000002' });
  await expect(look(shown, { id: '000000000003' })).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: 'This c3 shows as many builds as it can',
  });
  first.release();
  await look(shown, { id: '000000000003' });
  expect(shown.closed).toContain('view');
});

it('goes on opening for the others when one goes away', async () => {
  const shown = setUp({ maxReaders: 1, maxReadersOfOwner: 1, maxReadersInAll: 1 });
  const opening = Promise.withResolvers<BuildLook>();
  shown.look = () => opening.promise;
  const leave = new AbortController();
  const gone = look(shown, {}, leave.signal);
  await expect.poll(() => shown.orders.length).toBe(1);
  leave.abort(new Error('the client went away'));
  await expect(gone).rejects.toThrow('the client went away');
  const there = look(shown);
  opening.resolve(seen(shown.closed, ENDED));
  expect((await there).look.kind).toBe('seen');
  expect(shown.orders).toHaveLength(1);
});

it('ends all views when it is closed', async () => {
  const shown = setUp();
  await look(shown);
  await shown.views.close();
  expect(shown.closed).toEqual(['view']);
});
