import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BuildState } from '../../build/index.ts';
import { createFakeClock, type FakeClock } from '../../../dev/telegram/fake-clock.ts';
import { createState, FAILED, PASSED, RUNNING, START } from '../../../dev/telegram/build-states.ts';
import { GROUP, openReporting, PRIVATE, type Reporting } from '../../../test/fakes/telegram-reporting.ts';
import { ChatThrottle, type ChatSeat, type Rank } from './chat-throttle.ts';

let clock: FakeClock;
let throttle: ChatThrottle;
beforeEach(() => {
  clock = createFakeClock(START);
  throttle = new ChatThrottle(clock);
});

/** Asks for a turn and records when it was granted, in seconds. */
function ask(seat: ChatSeat, rank: Rank, notes: string[], name: string = rank): Promise<void> {
  return seat.ask(rank).granted.then(() => void notes.push(`${(clock.now() - START) / 1000} ${name}`));
}

test('final states go first, then logs, notifications, first messages and edits, a second apart', async () => {
  const seat = throttle.join('1', PRIVATE);
  const notes: string[] = [];
  seat.spend();
  const all = (['edit', 'first', 'notification', 'log', 'final'] as const).map((rank) => ask(seat, rank, notes));
  await clock.jumpUntil(Promise.all(all));
  expect(notes).toEqual(['1 final', '2 log', '3 notification', '4 first', '7 edit']);
});

test('among equal ranks, the build that was served longest ago goes first', async () => {
  const [a, b, c] = [throttle.join('1', PRIVATE), throttle.join('1', PRIVATE), throttle.join('1', PRIVATE)];
  const notes: string[] = [];
  await Promise.all([b.ask('final').granted, clock.jumpUntil(a.ask('final').granted)]);
  await clock.jumpUntil(
    Promise.all([ask(a, 'edit', notes, 'a'), ask(b, 'edit', notes, 'b'), ask(c, 'edit', notes, 'c')]),
  );
  expect(notes.map((note) => note.split(' ')[1])).toEqual(['c', 'b', 'a']);
});

test('a group gets at most 20 messages a minute, final states before edits', async () => {
  const seat = throttle.join('1', GROUP);
  const notes: string[] = [];
  const edits = Promise.all(Array.from({ length: 15 }, () => ask(seat, 'edit', notes)));
  const finals = Promise.all(Array.from({ length: 19 }, () => ask(seat, 'final', notes)));
  await clock.jumpUntil(Promise.all([edits, finals]));
  const times = notes.map((note) => Number(note.split(' ')[0]));
  for (const [index, time] of times.entries()) {
    expect((times[index + 20] ?? Infinity) - time).toBeGreaterThan(60);
    expect((times[index + 1] ?? Infinity) - time).toBeGreaterThanOrEqual(1);
  }
  const firstMinute = notes.filter((_, index) => (times[index] ?? 0) < 60).map((note) => note.split(' ')[1]);
  // The first edit did not have to wait.
  expect(firstMinute).toEqual(['edit', ...Array.from({ length: 19 }, () => 'final')]);
});

test('other chats and other bots have their own limits', async () => {
  const seats = [throttle.join('1', 5), throttle.join('2', 5), throttle.join('1', 6)];
  await Promise.all(seats.map((seat) => seat.ask('first').granted));
  expect(clock.now()).toBe(START);
});

test('a flood wait outlives the build that caused it', async () => {
  const first = throttle.join('1', 5);
  first.block(START + 60_000);
  first.leave();
  first.leave();
  await clock.jumpUntil(throttle.join('1', 5).ask('final').granted);
  expect(clock.now()).toBe(START + 60_000);
});

test('a cancelled turn goes to the next request', async () => {
  const seat = throttle.join('1', PRIVATE);
  seat.spend();
  const turn = seat.ask('final');
  const next = seat.ask('edit');
  expect(turn.cancel()).toBe(true);
  await clock.jumpUntil(next.granted);
  expect(clock.now()).toBe(START + 3_000);
  expect(next.cancel()).toBe(false);
});

test('when a thousand ended builds wait, the fullest chat drops its oldest message', async () => {
  const [crowded, other] = [throttle.join('1', 5), throttle.join('1', 6)];
  for (const seat of [crowded, other]) seat.block(START + 60_000);
  const others = Array.from({ length: 10 }, () => other.ask('final'));
  const running = crowded.ask('edit');
  const [first, ...rest] = Array.from({ length: 991 }, () => crowded.ask('final'));
  await expect(first?.granted).rejects.toThrow('more than 1000 messages wait');
  for (const turn of [...others, running, ...rest]) expect(turn.cancel()).toBe(true);
});

let reporting: Reporting | undefined;
afterEach(() => reporting?.close());

test('twenty builds in one group keep its limits, and each shows its right ending', async () => {
  reporting = await openReporting({ hasLimits: true });
  const { server, clock: time, warnings } = reporting;
  const builds = Array.from({ length: 20 }, (_, index) => ({
    name: `build ${index}`,
    end: index % 4 === 0 ? FAILED : PASSED,
    reporter: reporting!.create({ chat: GROUP }),
  }));
  const toOwn = (state: BuildState, name: string): BuildState => ({
    ...state,
    build: { ...state.build, commit: { ...state.build.commit, subject: name } },
  });
  for (const { name, reporter } of builds) reporter.report(toOwn(createState({ kind: 'queued' }), name));
  for (let round = 0; round < 30; round += 1) {
    for (const { name, reporter } of builds) reporter.report({ ...toOwn(RUNNING, name), warnings: [`round ${round}`] });
    await time.jump();
  }
  for (const { name, end, reporter } of builds) reporter.report(toOwn(end, name));
  const endedAt = time.now();
  await time.jumpUntil(Promise.all(builds.map(({ reporter }) => reporter.finish())));

  const refused = server.calls.length - server.messages().reduce((sum, { versions }) => sum + versions.length, 0);
  expect([refused, warnings]).toEqual([0, []]);
  const shown = server
    .messages()
    .filter(({ replyTo }) => replyTo === undefined)
    .map(({ versions }) => versions.at(-1)!.text.split('\n').slice(0, 2).join(' '));
  const expected = builds.map(({ name, end }) => (end === FAILED ? `❌ Failed ${name}` : `✅ Passed ${name}`));
  expect(shown.map((text) => text.replace(/ · .*(build \d+) .*/, ' $1')).sort()).toEqual(expected.sort());
  expect(server.messages().filter(({ isSilent }) => !isSilent)).toHaveLength(5);
  // 20 final states and 5 notifications, at 20 a minute.
  expect(time.now() - endedAt).toBeLessThan(150_000);
});
