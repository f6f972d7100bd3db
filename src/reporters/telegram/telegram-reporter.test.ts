import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../../../dev/telegram/fake-clock.ts';
import { createStep, FAILED, PASSED, RUNNING, START, createState } from '../../../dev/telegram/build-states.ts';
import { createTelegramServer, type TelegramServer } from '../../../dev/telegram/server.ts';
import { newest } from '../../../dev/telegram/world.ts';
import type { BuildState, Reporter } from '../../engine/build-state.ts';
import { createChatThrottle, type ChatThrottle } from './chat-throttle.ts';
import { createTelegramReporter } from './telegram-reporter.ts';

const TOKEN = '110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';
const PRIVATE = 42;
const GROUP = -1001234567890;

let clock: FakeClock;
let server: TelegramServer;
let throttle: ChatThrottle;
let warnings: string[];

beforeEach(async () => {
  clock = createFakeClock(START);
  throttle = createChatThrottle(clock);
  warnings = [];
  server = await createTelegramServer({
    bots: [{ token: TOKEN }],
    chats: [{ id: PRIVATE }, { id: GROUP, threads: [7] }],
    now: clock.now,
  });
});

afterEach(() => server.close());

function createReporter(chat: number = PRIVATE, options: { thread?: number; token?: string } = {}): Reporter {
  return createTelegramReporter({
    destination: { token: TOKEN, chat, ...options },
    apiBase: server.url,
    throttle,
    clock,
    log: { warn: (message) => warnings.push(message) },
  });
}

/** Resolves when some message has its `count`th version. */
async function versions(count: number, chat?: number): Promise<readonly string[]> {
  const message = await server.waitFor(
    (candidate) => candidate.versions.length >= count && (chat === undefined || candidate.chatId === chat),
    AbortSignal.timeout(5_000),
  );
  return message.versions.map(({ text }) => text);
}

function withSubject(state: BuildState, subject: string): BuildState {
  return { ...state, source: { ...state.source, subject } };
}

test('a build that c3.yaml leaves out sends nothing', async () => {
  const reporter = createReporter();
  reporter.report(createState({ kind: 'ended', ending: { kind: 'skipped', message: 'another branch' } }));
  await reporter.finish();
  expect(server.calls).toEqual([]);
});

test('the first message goes out at once, silent, without a preview, into its topic', async () => {
  const reporter = createReporter(GROUP, { thread: 7 });
  reporter.report(createState({ kind: 'queued' }));
  expect(await versions(1)).toEqual([expect.stringContaining('⏳ Queued')]);
  expect(server.calls).toMatchObject([
    {
      method: 'sendMessage',
      parameters: {
        chat_id: GROUP,
        message_thread_id: 7,
        parse_mode: 'HTML',
        disable_notification: true,
        link_preview_options: { is_disabled: true },
      },
    },
  ]);
  reporter.report(PASSED);
  await reporter.finish();
});

test('edits keep three seconds in a private chat, and only the newest state is sent', async () => {
  const reporter = createReporter();
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  reporter.report(withSubject(RUNNING, 'old'));
  reporter.report(withSubject(RUNNING, 'older'));
  reporter.report(withSubject(RUNNING, 'newest'));
  expect(await clock.jump()).toBe(3_000);
  expect(await versions(2)).toEqual([expect.anything(), expect.stringContaining('newest')]);
  reporter.report(PASSED);
  await reporter.finish();
  expect(server.calls.map(({ method }) => method)).toEqual(['sendMessage', 'editMessageText', 'editMessageText']);
  expect(server.calls.at(-1)?.parameters).toMatchObject({
    parse_mode: 'HTML',
    link_preview_options: { is_disabled: true },
  });
});

test('edits keep five seconds in a group', async () => {
  const reporter = createReporter(GROUP);
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  reporter.report(RUNNING);
  expect(await clock.jump()).toBe(5_000);
  await versions(2);
  reporter.report(PASSED);
  await reporter.finish();
});

test('builds at the same time share the distance between edits of their chat', async () => {
  const first = createReporter(GROUP);
  const second = createReporter(GROUP);
  first.report(createState({ kind: 'queued' }));
  await versions(1, GROUP);
  second.report(withSubject(createState({ kind: 'queued' }), 'second'));
  await server.waitFor(({ messageId }) => messageId === 2, AbortSignal.timeout(5_000));
  first.report(RUNNING);
  second.report(withSubject(RUNNING, 'second'));
  // Five seconds, and one more because there are two builds.
  expect(await clock.jump()).toBe(6_000);
  await versions(2, GROUP);
  first.report(PASSED);
  await first.finish();
  expect(await clock.jump()).toBeGreaterThanOrEqual(5_000);
  await server.waitFor(
    ({ messageId, versions: { length } }) => messageId === 2 && length === 2,
    AbortSignal.timeout(5_000),
  );
  second.report(withSubject(PASSED, 'second'));
  await second.finish();
  expect(server.messages(GROUP).map((message) => newest(message).text.split(' · ')[0])).toEqual([
    '✅ Passed',
    '✅ Passed',
  ]);
});

test('the final state does not wait for the distance', async () => {
  const reporter = createReporter(GROUP);
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  reporter.report(FAILED);
  await reporter.finish();
  expect(clock.now()).toBe(START);
  expect(server.messages().map((message) => newest(message).text)).toEqual([expect.stringContaining('❌ Failed')]);
});

test('the running time is brought up to date after ten seconds when nothing else changes', async () => {
  const reporter = createReporter();
  reporter.report(RUNNING);
  await versions(1);
  reporter.report({ ...RUNNING, steps: [...RUNNING.steps] });
  expect(await clock.jump()).toBe(10_000);
  expect((await versions(2)).at(-1)).toContain('10s · warm');
  expect(server.calls).toHaveLength(2);
  reporter.report(PASSED);
  await reporter.finish();
});

test('a flood wait is kept, also by the final state, which then arrives', async () => {
  const reporter = createReporter();
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  server.faults.flood('editMessageText', 237);
  reporter.report(FAILED);
  expect(await clock.jump()).toBe(237_000);
  await reporter.finish();
  expect(newest(server.messages()[0]!).text).toContain('❌ Failed');
  expect(warnings).toEqual([]);
});

test('a flood wait holds back every build of the chat', async () => {
  const first = createReporter();
  const second = createReporter();
  server.faults.flood('sendMessage', 60);
  first.report(PASSED);
  expect(await clock.jump()).toBe(60_000);
  await first.finish();
  server.faults.flood('sendMessage', 60);
  second.report(FAILED);
  expect(await clock.jump()).toBe(60_000);
  await second.finish();
  expect(server.calls).toHaveLength(4);
});

test('a flood wait of hours ends with one last attempt after ten minutes', async () => {
  const reporter = createReporter();
  server.faults.flood('sendMessage', 13_938);
  server.faults.flood('sendMessage', 13_338);
  reporter.report(PASSED);
  expect(await clock.jump()).toBe(600_000);
  await reporter.finish();
  expect(warnings).toEqual(['Gave up reporting to Telegram: 429 Too Many Requests: retry after 13338']);
});

test('the final state gets through lost connections, server errors and strange answers', async () => {
  const reporter = createReporter();
  server.faults.cut('sendMessage');
  server.faults.fail('sendMessage', 502, 'Bad Gateway');
  server.faults.garble('sendMessage', 403);
  reporter.report(PASSED);
  expect([await clock.jump(), await clock.jump(), await clock.jump()]).toEqual([1_000, 2_000, 4_000]);
  await reporter.finish();
  expect(server.messages()).toHaveLength(1);
});

test('an unreachable API is given up after ten minutes, in one sentence without the token', async () => {
  await server.close();
  const reporter = createReporter();
  reporter.report(PASSED);
  await clock.jumpUntil(reporter.finish());
  expect(clock.now() - START).toBe(600_000);
  expect(warnings).toEqual(['Gave up reporting to Telegram: ECONNREFUSED']);
});

test('an edit whose answer got lost counts as arrived when Telegram calls it unmodified', async () => {
  const reporter = createReporter();
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  server.faults.loseAnswer('editMessageText');
  reporter.report(PASSED);
  expect(await clock.jump()).toBe(1_000);
  await reporter.finish();
  expect(server.calls).toHaveLength(3);
  expect(server.messages()[0]?.versions).toHaveLength(2);
  expect(warnings).toEqual([]);
});

test('a message that somebody deleted is sent anew', async () => {
  const reporter = createReporter();
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  server.faults.remove(PRIVATE, 1);
  reporter.report(PASSED);
  await reporter.finish();
  expect(server.messages().map(({ isDeleted }) => isDeleted)).toEqual([true, false]);
  expect(newest(server.messages()[1]!).text).toContain('✅ Passed');
});

test('a group that became a supergroup is followed, and the log says what to do', async () => {
  const reporter = createReporter(GROUP);
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  server.faults.migrate(GROUP, -1009999);
  reporter.report(PASSED);
  await reporter.finish();
  expect(server.messages(-1009999)).toHaveLength(1);
  expect(warnings).toEqual(['The group is a supergroup now, with the id -1009999; seal the destination anew']);
});

test('a message whose markup Telegram cannot read goes as plain text', async () => {
  const reporter = createReporter();
  server.faults.fail(
    'sendMessage',
    400,
    'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 3',
  );
  reporter.report(FAILED);
  await reporter.finish();
  expect(server.messages().map((message) => newest(message).isHtml)).toEqual([false]);
  expect(newest(server.messages()[0]!).source).toContain('❌ Failed · acme/shop · main · 1a2b3c4');
  expect(warnings).toHaveLength(1);
});

test.each([
  ['a wrong token', { token: '110201543:AAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }, '401 Unauthorized'],
  ['a wrong topic', { thread: 8 }, '400 Bad Request: message thread not found'],
])('%s ends the reporting with one sentence', async (_, options, reason) => {
  const reporter = createReporter(GROUP, options);
  reporter.report(RUNNING);
  await reporter.finish();
  reporter.report(PASSED);
  await reporter.finish();
  expect(server.calls).toHaveLength(1);
  expect(warnings).toEqual([`Gave up reporting to Telegram: ${reason}`]);
});

test('an unknown chat and a bot that was removed end the reporting with one sentence each', async () => {
  const unknown = createReporter(-5);
  unknown.report(PASSED);
  await unknown.finish();
  server.faults.kick(GROUP);
  const removed = createReporter(GROUP);
  removed.report(PASSED);
  await removed.finish();
  expect(warnings).toEqual([
    'Gave up reporting to Telegram: 400 Bad Request: chat not found',
    'Gave up reporting to Telegram: 403 Forbidden: bot was kicked from the supergroup chat',
  ]);
});

test('the token is in no log even if the API echoes it', async () => {
  const reporter = createReporter();
  server.faults.fail('sendMessage', 400, `Bad Request: no route /bot${TOKEN}/sendMessage`);
  reporter.report(PASSED);
  await reporter.finish();
  expect(warnings).toEqual(['Gave up reporting to Telegram: 400 Bad Request: no route /bot***/sendMessage']);
});

test('finishing a build that ended nowhere sends what is known, and without any state nothing', async () => {
  await createReporter().finish();
  expect(server.calls).toHaveLength(0);
  const reporter = createReporter();
  reporter.report(RUNNING);
  await reporter.finish();
  expect(server.messages()).toHaveLength(1);
});

test('what is still waiting when the build ends is replaced by the final state', async () => {
  const reporter = createReporter(GROUP);
  reporter.report(createState({ kind: 'queued' }));
  await versions(1);
  reporter.report({ ...RUNNING, steps: [createStep('only', { kind: 'running' }, { from: 1 })] });
  reporter.report(PASSED);
  await reporter.finish();
  expect(server.messages()[0]?.versions).toHaveLength(2);
});

test('six builds in one group with real limits all end with their final state', async () => {
  const limited = await createTelegramServer({
    bots: [{ token: TOKEN }],
    chats: [{ id: GROUP }],
    hasLimits: true,
    now: clock.now,
  });
  try {
    const subjects = ['one', 'two', 'three', 'four', 'five', 'six'];
    const reporters = subjects.map((subject) => ({
      subject,
      reporter: createTelegramReporter({
        destination: { token: TOKEN, chat: GROUP },
        apiBase: limited.url,
        throttle,
        clock,
        log: { warn: (message) => warnings.push(message) },
      }),
    }));
    for (let count = 0; count < 40; count += 1) {
      for (const { subject, reporter } of reporters) reporter.report(withSubject(RUNNING, `${subject} ${count}`));
      await clock.jump();
    }
    for (const { subject, reporter } of reporters) reporter.report(withSubject(PASSED, subject));
    await clock.jumpUntil(Promise.all(reporters.map(({ reporter }) => reporter.finish())));
    const texts = limited.messages().map((message) => newest(message).text);
    expect(new Set(texts.map((text) => text.split('\n')[1]?.split(' ')[0]))).toEqual(new Set(subjects));
    expect(texts).toHaveLength(subjects.length);
    expect(texts.every((text) => text.startsWith('✅ Passed'))).toBe(true);
    expect(warnings).toEqual([]);
  } finally {
    await limited.close();
  }
});
