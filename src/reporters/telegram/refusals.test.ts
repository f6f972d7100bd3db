import { afterEach, beforeEach, expect, test } from 'vitest';
import { createState, FAILED, LINKS, PASSED, RUNNING, START } from '../../../dev/telegram/build-states.ts';
import { newest } from '../../../dev/telegram/world.ts';
import { GROUP, openReporting, PRIVATE, TOKEN, TOPIC, type Reporting } from '../../../test/fakes/telegram-reporting.ts';

const QUEUED = createState({ kind: 'queued' });

let reporting: Reporting;
beforeEach(async () => {
  reporting = await openReporting();
});
afterEach(() => reporting.close());

test('the final state also respects a flood wait, and is then delivered', async () => {
  const { clock, server, warnings } = reporting;
  const reporter = reporting.create({ notify: 'never' });
  reporter.report(QUEUED);
  await reporting.versions(1);
  server.faults.flood('editMessageText', 237);
  reporter.report(FAILED);
  expect([await clock.jump(), await clock.jump()]).toEqual([1_000, 237_000]);
  await reporting.finish(reporter);
  expect(reporting.heads()).toEqual([expect.stringContaining('❌ Failed')]);
  expect(warnings).toEqual([]);
});

test('a flood wait delays every build of the chat', async () => {
  const { clock, server } = reporting;
  const [first, second] = [reporting.create(), reporting.create()];
  server.faults.flood('sendMessage', 60);
  first.report(PASSED);
  second.report(PASSED);
  expect([await clock.jump(), await clock.jump()]).toEqual([60_000, 1_000]);
  await reporting.finish(first);
  await reporting.finish(second);
  expect(server.calls.map(({ at }) => at - START)).toEqual([0, 60_000, 61_000]);
});

test('a flood wait of hours ends with one last attempt after ten minutes', async () => {
  const { clock, server, warnings } = reporting;
  const reporter = reporting.create();
  server.faults.flood('sendMessage', 13_938);
  server.faults.flood('sendMessage', 13_338);
  reporter.report(PASSED);
  expect(await clock.jump()).toBe(600_000);
  await reporting.finish(reporter);
  expect(warnings).toEqual(['Gave up reporting to Telegram: 429 Too Many Requests: retry after 13338']);
});

test('the final state survives lost connections, server errors and strange responses', async () => {
  const { clock, server } = reporting;
  const reporter = reporting.create();
  server.faults.cut('sendMessage');
  server.faults.fail('sendMessage', 502, 'Bad Gateway');
  server.faults.garble('sendMessage', 403);
  reporter.report(PASSED);
  expect([await clock.jump(), await clock.jump(), await clock.jump()]).toEqual([1_000, 2_000, 4_000]);
  await reporting.finish(reporter);
  expect(server.messages()).toHaveLength(1);
});

test('an unreachable API is given up after ten minutes, with one sentence without the token', async () => {
  const { clock, server, warnings } = reporting;
  await server.close();
  const reporter = reporting.create();
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(clock.now() - START).toBe(600_000);
  expect(warnings).toEqual([
    'Telegram does not have the end of the build yet; trying for ten minutes: ECONNREFUSED',
    'Gave up reporting to Telegram: ECONNREFUSED',
  ]);
});

test('a build whose messages all fail is given up, even if those of others are delivered', async () => {
  const { clock, server, warnings } = reporting;
  const [lucky, other] = [reporting.create(), reporting.create()];
  lucky.report(RUNNING);
  await reporting.versions(1);
  for (let count = 0; count < 60; count += 1) server.faults.fail('sendMessage', 500, 'Internal Server Error');
  other.report(PASSED);
  await reporting.finish(other);
  expect(warnings).toEqual([
    'Telegram does not have the end of the build yet; trying for ten minutes: 500 Internal Server Error',
    'Gave up reporting to Telegram: 500 Internal Server Error',
  ]);
  expect(clock.now() - START).toBeGreaterThanOrEqual(600_000);
  expect(clock.now() - START).toBeLessThan(640_000);
  lucky.report(PASSED);
  await reporting.finish(lucky);
});

test('an edit whose response was lost counts as delivered when Telegram says that nothing changed', async () => {
  const { clock, server, warnings } = reporting;
  const reporter = reporting.create();
  reporter.report(QUEUED);
  await reporting.versions(1);
  server.faults.loseAnswer('editMessageText');
  reporter.report(PASSED);
  expect([await clock.jump(), await clock.jump()]).toEqual([1_000, 1_000]);
  await reporting.finish(reporter);
  expect(server.calls).toHaveLength(3);
  expect(server.messages()[0]?.versions).toHaveLength(2);
  expect(warnings).toEqual([]);
});

test('a message that somebody deleted is sent again', async () => {
  const { server } = reporting;
  const reporter = reporting.create();
  reporter.report(QUEUED);
  await reporting.versions(1);
  server.faults.remove(PRIVATE, 1);
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(server.messages().map(({ isDeleted }) => isDeleted)).toEqual([true, false]);
  expect(newest(server.messages()[1]!).text).toContain('✅ Passed');
});

test('a message that is deleted too often is given up', async () => {
  const { server, warnings } = reporting;
  const reporter = reporting.create();
  for (let count = 0; count < 4; count += 1)
    server.faults.fail('sendMessage', 400, 'Bad Request: message to edit not found');
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(warnings).toEqual([
    'Gave up reporting to Telegram: the message was deleted, or the group got another id, too often',
  ]);
});

test('messages follow a group that became a supergroup, and the log says what to do', async () => {
  const { server, warnings } = reporting;
  const reporter = reporting.create({ chat: GROUP });
  reporter.report(QUEUED);
  await reporting.versions(1);
  server.faults.migrate(GROUP, -1009999);
  reporter.report(FAILED);
  await reporting.finish(reporter);
  expect(server.messages(-1009999).map(({ isSilent }) => isSilent)).toEqual([false]);
  expect(warnings).toEqual([
    'The group became a supergroup with the id -1009999: seal the destination again with this id',
  ]);
});

test('a message whose markup Telegram cannot parse is sent as plain text', async () => {
  const { server, warnings } = reporting;
  const reporter = reporting.create();
  const refusal = 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 3';
  server.faults.fail('sendMessage', 400, refusal);
  reporter.report({ ...FAILED, links: LINKS });
  await reporting.finish(reporter);
  const version = newest(server.messages()[0]!);
  expect(version).toMatchObject({ isHtml: false, replyMarkup: { inline_keyboard: [[{ text: 'Log' }, {}]] } });
  expect(version.source).toContain('❌ Failed · acme/shop · main · 1a2b3c4');
  expect(warnings).toEqual([`Telegram refused the markup of a message, so it is sent as plain text: 400 ${refusal}`]);
});

test.each([
  [
    'a revoked token',
    { token: '110201543:AAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
    '401 Unauthorized (the token is no longer valid: send /token to BotFather and seal the destination again)',
  ],
  [
    'a topic that is gone',
    { thread: TOPIC + 1 },
    '400 Bad Request: message thread not found (the topic was deleted or closed: seal the destination again)',
  ],
  [
    'an unknown chat',
    { chat: -5 },
    '400 Bad Request: chat not found (add the bot to the chat; the id of a supergroup begins with -100)',
  ],
])('%s ends the reporting with a sentence that says what to do', async (_, options, reason) => {
  const { server, warnings } = reporting;
  const reporter = reporting.create({ chat: GROUP, ...options });
  reporter.report(RUNNING);
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(server.calls).toHaveLength(1);
  expect(warnings).toEqual([`Gave up reporting to Telegram: ${reason}`]);
});

test.each([
  [GROUP, '403 Forbidden: bot was kicked from the supergroup chat (add the bot to the chat again)'],
  [PRIVATE, '403 Forbidden: bot was blocked by the user (unblock the bot)'],
])('a bot that was removed from chat %d ends the reporting', async (chat, reason) => {
  const { server, warnings } = reporting;
  const reporter = reporting.create({ chat });
  reporter.report(QUEUED);
  await reporting.versions(1);
  server.faults.kick(chat);
  reporter.report(PASSED);
  await reporting.finish(reporter);
  expect(server.calls).toHaveLength(2);
  expect(warnings).toEqual([`Gave up reporting to Telegram: ${reason}`]);
});

test('the log contains neither the token nor a link, even if the API repeats them', async () => {
  const { server, warnings } = reporting;
  const reporter = reporting.create();
  server.faults.fail('sendMessage', 400, `Bad Request: no route /bot${TOKEN}/sendMessage for '${LINKS.control}'`);
  reporter.report({ ...PASSED, links: LINKS });
  await reporting.finish(reporter);
  expect(warnings).toEqual(["Gave up reporting to Telegram: 400 Bad Request: no route /bot***/sendMessage for '…'"]);
});
