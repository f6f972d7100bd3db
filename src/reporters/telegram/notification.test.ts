import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BuildState, Ending } from '../../build/index.ts';
import { createBuild } from '../../../test/fakes/sample-build.ts';
import { createEnded, createState, FAILED, LINKS, PASSED } from '../../../dev/telegram/build-states.ts';
import { newest } from '../../../dev/telegram/world.ts';
import { GROUP, openReporting, PRIVATE, TOPIC, type Reporting } from '../../../test/fakes/telegram-reporting.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { wantsNotification, renderNotification } from './message.ts';
import { deadline } from '../../../test/time-limits.ts';

const QUEUED = createState({ kind: 'queued' });
const FIXED: BuildState = { ...PASSED, previous: 'failed' };

let reporting: Reporting;
beforeEach(async () => {
  reporting = await openReporting();
});
afterEach(() => reporting.close());

/** A build whose message is there before it ends: what of it rings, and to what it replies. */
async function report(
  state: BuildState,
  options: Parameters<Reporting['create']>[0] = {},
): Promise<readonly { text: string; isSilent: boolean; replyTo: number | undefined; threadId: number | undefined }[]> {
  const reporter = reporting.create(options);
  reporter.report(QUEUED);
  await reporting.versions(1);
  reporter.report(state);
  await reporting.finish(reporter);
  return reporting.server.messages().map((message) => ({
    text: newest(message).text,
    isSilent: message.isSilent,
    replyTo: message.replyTo,
    threadId: message.threadId,
  }));
}

test('a failure sends a notification that replies in the topic and names the step and the author', async () => {
  const [first, ring, ...others] = await report(FAILED, { chat: GROUP, thread: TOPIC });
  expect(first).toMatchObject({ isSilent: true, replyTo: undefined, threadId: TOPIC });
  expect(ring).toEqual({
    text: '❌ shop main: test failed, exit code 1 — Ann Lee',
    isSilent: false,
    replyTo: 1,
    threadId: TOPIC,
  });
  expect(others).toEqual([]);
});

test('a build that passes sends no notification', async () => {
  expect(await report(PASSED)).toMatchObject([{ isSilent: true }]);
});

test('a build that passes after a failed one sends a notification', async () => {
  const [, ring] = await report(FIXED);
  expect(ring).toMatchObject({ text: '✅ shop main: fixed in 1m 36s — Ann Lee', isSilent: false });
});

test('the first message of a build that has already ended is the notification', async () => {
  const reporter = reporting.create();
  reporter.report(FAILED);
  await reporting.finish(reporter);
  expect(reporting.server.messages().map(({ isSilent }) => isSilent)).toEqual([false]);
});

test('a notification has no links', async () => {
  const [, ring] = await report({ ...FAILED, links: LINKS });
  expect(ring?.text).not.toContain('https://');
  expect(newest(reporting.server.messages()[1]!).replyMarkup).toBeUndefined();
});

const FAILED_AFTER = {
  passed: { ...FAILED, previous: 'passed' },
  failed: { ...FAILED, previous: 'failed' },
} as const;
const PASSED_AGAIN: BuildState = { ...PASSED, previous: 'passed' };

test.each<[Notify, BuildState[], BuildState[]]>([
  ['failure', [FAILED, FAILED_AFTER.passed, FAILED_AFTER.failed, FIXED], [PASSED, PASSED_AGAIN]],
  ['change', [FAILED, FAILED_AFTER.passed, FIXED], [FAILED_AFTER.failed, PASSED, PASSED_AGAIN]],
  ['always', [FAILED, FAILED_AFTER.failed, FIXED, PASSED, PASSED_AGAIN], []],
  ['never', [], [FAILED, FAILED_AFTER.passed, FIXED, PASSED]],
])('notify: %s sends the right notifications', (notify, ringing, silent) => {
  const rings = (state: BuildState): boolean => wantsNotification(state, notify);
  expect([ringing.filter(rings), silent.filter(rings)]).toEqual([ringing, []]);
});

test.each([
  [{ kind: 'passed', allowed: [] }, '✅ shop main: passed in 1m 36s'],
  [{ kind: 'failed', step: 'unit tests', message: 'exit code 3' }, '❌ shop main: unit tests failed, exit code 3'],
  [{ kind: 'timed-out', message: 'Step "a" was ended' }, '⏰ shop main: timed out: Step "a" was ended'],
  [{ kind: 'config-error', message: 'c3.yaml:1:1 error: x' }, '🛠 shop main: config error: c3.yaml:1:1 error: x'],
  [{ kind: 'infrastructure-error', message: 'no node' }, '💥 shop main: infrastructure error: no node'],
] satisfies [Ending, string][])('the notification of %j contains its sentence', (ending, sentence) => {
  expect(renderNotification(createEnded(ending)).plain).toBe(`${sentence} — Ann Lee`);
});

test.each([
  { kind: 'cancelled', message: 'm' },
  { kind: 'superseded', message: 'm' },
  { kind: 'refused', message: 'm' },
  { kind: 'skipped', message: 'm' },
] satisfies Ending[])('$kind never sends a notification', (ending) => {
  for (const notify of ['always', 'change', 'failure', 'never'] satisfies Notify[])
    expect(wantsNotification(createEnded(ending), notify)).toBe(false);
});

test('a commit cannot put mentions or markup into a notification', () => {
  const { html } = renderNotification({
    ...FAILED,
    build: createBuild({ ref: { kind: 'branch', name: '<i>' }, commit: { subject: '', author: '<b>@everyone</b>' } }),
  });
  expect(html).toContain('&lt;b&gt;@\u2060everyone&lt;/b&gt;');
  expect(html).toContain('&lt;i&gt;');
});

test('a notification whose message was deleted is sent without a reply, also in a topic', async () => {
  const { server, clock } = reporting;
  for (const [chat, thread] of [
    [PRIVATE, undefined],
    [GROUP, TOPIC],
  ] as const) {
    const reporter = reporting.create({ chat, ...(thread === undefined ? {} : { thread }) });
    reporter.report(QUEUED);
    await server.waitFor(({ chatId }) => chatId === chat, deadline());
    reporter.report(FAILED);
    await clock.jump();
    await server.waitFor(({ chatId, versions }) => chatId === chat && versions.length === 2, deadline());
    server.faults.remove(chat, 1);
    await reporting.finish(reporter);
    expect(server.messages(chat).map(({ isSilent, replyTo }) => [isSilent, replyTo])).toEqual([
      [true, undefined],
      [false, undefined],
    ]);
  }
  expect(reporting.warnings).toEqual([]);
});
