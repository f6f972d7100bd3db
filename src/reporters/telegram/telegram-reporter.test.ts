import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BuildState } from '../../build/index.ts';
import { createState, createStep, FAILED, LINKS, PASSED, RUNNING, START } from '../../../dev/telegram/build-states.ts';
import { newest } from '../../../dev/telegram/world.ts';
import { GROUP, openReporting, PRIVATE, TOPIC, type Reporting } from '../../../test/fakes/telegram-reporting.ts';

const QUEUED = createState({ kind: 'queued' });

let reporting: Reporting;
beforeEach(async () => {
  reporting = await openReporting();
});
afterEach(() => reporting.close());

function withSubject(state: BuildState, subject: string): BuildState {
  return { ...state, build: { ...state.build, commit: { ...state.build.commit, subject } } };
}

test('a skipped build sends nothing', async () => {
  const reporter = reporting.create();
  reporter.report(createState({ kind: 'ended', ending: { kind: 'skipped', message: 'another branch' } }));
  await reporting.finish(reporter);
  expect(reporting.server.calls).toEqual([]);
});

test('the first message is sent immediately, silently, without a preview, to its topic', async () => {
  const reporter = reporting.create({ chat: GROUP, thread: TOPIC });
  reporter.report(QUEUED);
  expect(await reporting.versions(1)).toEqual([expect.stringContaining('⏳ Queued')]);
  expect(reporting.clock.now()).toBe(START);
  expect(reporting.server.calls).toMatchObject([
    {
      method: 'sendMessage',
      parameters: {
        chat_id: GROUP,
        message_thread_id: TOPIC,
        parse_mode: 'HTML',
        disable_notification: true,
        link_preview_options: { is_disabled: true },
      },
    },
  ]);
  reporter.report(PASSED);
  await reporting.finish(reporter);
});

test.each([
  ['three seconds in a private chat', PRIVATE, 3_000],
  ['five seconds in a group', GROUP, 5_000],
])('edits keep %s, and only the newest state is sent', async (_, chat, gapMs) => {
  const { clock, server, versions } = reporting;
  const reporter = reporting.create({ chat });
  reporter.report(QUEUED);
  await versions(1);
  for (const subject of ['old', 'older', 'newest']) reporter.report(withSubject(RUNNING, subject));
  expect(await clock.jump()).toBe(gapMs);
  expect(await versions(2)).toEqual([expect.anything(), expect.stringContaining('newest')]);
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(server.calls.map(({ method }) => method)).toEqual(['sendMessage', 'editMessageText', 'editMessageText']);
  expect(server.calls.at(-1)?.parameters).toMatchObject({
    parse_mode: 'HTML',
    link_preview_options: { is_disabled: true },
  });
});

test('the final state waits one second only', async () => {
  const { clock } = reporting;
  const reporter = reporting.create({ chat: GROUP, notify: 'never' });
  reporter.report(QUEUED);
  await reporting.versions(1);
  reporter.report(FAILED);
  await reporting.finish(reporter);
  expect(clock.now()).toBe(START + 1_000);
  expect(reporting.heads()).toEqual([expect.stringContaining('❌ Failed')]);
});

test('the running time is updated after ten seconds when nothing else changes', async () => {
  const { clock, server, versions } = reporting;
  const reporter = reporting.create();
  reporter.report(RUNNING);
  await versions(1);
  reporter.report({ ...RUNNING, steps: [...RUNNING.steps] });
  expect(await clock.jump()).toBe(10_000);
  expect((await versions(2)).at(-1)).toContain('10s · warm');
  expect(server.calls).toHaveLength(2);
  reporter.report(PASSED);
  await reporting.finish(reporter);
});

test('the final state replaces what still waits when the build ends', async () => {
  const reporter = reporting.create({ chat: GROUP });
  reporter.report(QUEUED);
  await reporting.versions(1);
  reporter.report({ ...RUNNING, steps: [createStep('only', { kind: 'running' }, { from: 1 })] });
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(reporting.server.messages()[0]?.versions).toHaveLength(2);
});

test('finish sends the last known state, or nothing if there is none', async () => {
  await reporting.finish(reporting.create());
  expect(reporting.server.calls).toHaveLength(0);
  const reporter = reporting.create();
  reporter.report(RUNNING);
  await reporting.finish(reporter);
  expect(reporting.server.messages()).toHaveLength(1);
});

test('each edit sends the buttons of its state', async () => {
  const { clock, server } = reporting;
  const reporter = reporting.create({ notify: 'never' });
  reporter.report(QUEUED);
  await reporting.versions(1);
  reporter.report({ ...QUEUED, links: LINKS });
  await clock.jump();
  await reporting.versions(2);
  reporter.report({ ...FAILED, links: LINKS });
  await reporting.finish(reporter);
  const labels = server.messages()[0]?.versions.map(({ replyMarkup }) => {
    const rows = (replyMarkup as { inline_keyboard: { text: string; url: string }[][] } | undefined)?.inline_keyboard;
    return rows?.flat().map(({ text, url }) => [text, url]);
  });
  expect(labels).toEqual([
    undefined,
    [
      ['Log', LINKS.view],
      ['Cancel', LINKS.control],
    ],
    [
      ['Log', LINKS.view],
      ['Re-run', LINKS.control],
    ],
  ]);
});

test('when Telegram refuses the address of the buttons, messages have none, and the log says why once', async () => {
  const { server, warnings } = reporting;
  const links = { view: 'http://localhost:8668/b/look', control: 'http://localhost:8668/b/control' };
  for (const notify of ['never', 'never'] as const) {
    const reporter = reporting.create({ notify });
    reporter.report({ ...PASSED, links });
    await reporting.finish(reporter);
  }
  expect(reporting.heads()).toEqual([expect.stringContaining('✅ Passed'), expect.stringContaining('✅ Passed')]);
  expect(server.messages().map((message) => newest(message).replyMarkup)).toEqual([undefined, undefined]);
  expect(server.calls).toHaveLength(3);
  expect(warnings).toEqual([
    'Telegram refused the buttons, so messages have none: C3_URL needs a public host name with a dot in it',
  ]);
});

test('a refusal of buttons that were not sent ends the reporting', async () => {
  const { server, warnings } = reporting;
  const reporter = reporting.create();
  server.faults.fail('sendMessage', 400, 'Bad Request: BUTTON_URL_INVALID');
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(server.calls).toHaveLength(1);
  expect(warnings).toEqual(['Gave up reporting to Telegram: it refused buttons, but this message had none']);
});
