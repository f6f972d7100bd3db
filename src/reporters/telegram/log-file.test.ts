import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FailedLog, Reporter } from '../../build/index.ts';
import { createState, FAILED, START } from '../../../dev/telegram/build-states.ts';
import { newest, type StoredMessage } from '../../../dev/telegram/world.ts';
import { GROUP, openReporting, PRIVATE, TOPIC, type Reporting } from '../../../test/fakes/telegram-reporting.ts';
import { toFileName } from './log-file.ts';
import { deadline } from '../../../test/time-limits.ts';

const QUEUED = createState({ kind: 'queued' });
const MIB = 1024 * 1024;

let reporting: Reporting;
beforeEach(async () => {
  reporting = await openReporting();
});
afterEach(() => reporting.close());

/** A log that consists of pieces and counts how often it is read. */
function createLog(
  pieces: readonly string[],
  changes: Partial<FailedLog> = {},
): FailedLog & { readonly copies: number } {
  let copies = 0;
  return {
    step: 'unit tests',
    bytes: Buffer.byteLength(pieces.join('')),
    signal: new AbortController().signal,
    async copy(onBytes): Promise<boolean> {
      copies += 1;
      for (const piece of pieces) await onBytes(Buffer.from(piece));
      return true;
    },
    get copies() {
      return copies;
    },
    ...changes,
  };
}

async function begin(options: Parameters<Reporting['create']>[0] = {}): Promise<Reporter> {
  const reporter = reporting.create({ isLogSent: true, notify: 'never', ...options });
  reporter.report(QUEUED);
  await reporting.versions(1);
  return reporter;
}

async function send(reporter: Reporter, log: FailedLog): Promise<void> {
  await reporting.clock.jumpUntil(Promise.all([reporter.sendLog?.(log), reporter.finish()]));
}

function files(): (StoredMessage & { readonly content: string })[] {
  return reporting.server
    .messages()
    .filter(({ document }) => document !== undefined)
    .map((message) => ({ ...message, content: Buffer.from(message.document!.bytes).toString() }));
}

test('the log of the failed step is sent as a silent file that replies in the topic', async () => {
  const reporter = await begin({ chat: GROUP, thread: TOPIC });
  reporter.report(FAILED);
  await send(reporter, createLog(['line 1\n', 'Zeile 2 ü\n']));
  const [file] = files();
  expect(file).toMatchObject({ isSilent: true, replyTo: 1, threadId: TOPIC, content: 'line 1\nZeile 2 ü\n' });
  expect(file?.document?.fileName).toBe('unit-tests-b-1.log');
  expect(newest(file!).text).toBe('Log of unit tests, 1 KiB');
  expect(reporting.warnings).toEqual([]);
});

test('a reporter accepts no logs unless they are enabled', () => {
  expect(reporting.create({ isLogSent: false }).sendLog).toBeUndefined();
});

test('the end of a log that is too large is sent, and the caption says so', async () => {
  const asked: number[] = [];
  const log = createLog(['the end'], {
    bytes: 120 * MIB,
    async copy(onBytes, { maxBytes }) {
      asked.push(maxBytes);
      await onBytes(Buffer.from('the end'));
      return true;
    },
  });
  const reporter = await begin();
  reporter.report(FAILED);
  await send(reporter, log);
  expect(asked).toEqual([45 * MIB]);
  expect(newest(files()[0]!).text).toBe('Log of unit tests, the last 45 MiB of 120 MiB');
});

test('a large log is sent in pieces', async () => {
  const piece = 'x'.repeat(MIB - 1) + '\n';
  const reporter = await begin();
  reporter.report(FAILED);
  await send(reporter, createLog(Array.from({ length: 12 }, () => piece)));
  expect(files()[0]?.document?.bytes.length).toBe(12 * MIB);
});

test('a flood wait, a lost connection and a migrated group only delay the file', async () => {
  const { server, clock } = reporting;
  const reporter = await begin({ chat: GROUP });
  server.faults.flood('sendDocument', 30);
  server.faults.cut('sendDocument');
  reporter.report(FAILED);
  const log = createLog(['all of it']);
  await send(reporter, log);
  expect(files().map(({ content }) => content)).toEqual(['all of it']);
  expect(log.copies).toBe(3);
  expect(clock.now() - START).toBeGreaterThanOrEqual(31_000);

  const second = await begin({ chat: GROUP });
  second.report(FAILED);
  server.faults.migrate(GROUP, -1009999);
  await send(second, createLog(['moved']));
  expect(files().map(({ chatId, content }) => [chatId, content])).toEqual([
    [GROUP, 'all of it'],
    [-1009999, 'moved'],
  ]);
});

test('a file whose message was deleted is sent without a reply, also in a topic', async () => {
  const { server, clock } = reporting;
  const reporter = await begin({ chat: GROUP, thread: TOPIC });
  reporter.report(FAILED);
  await clock.jump();
  await reporting.versions(2);
  server.faults.remove(GROUP, 1);
  await send(reporter, createLog(['all of it']));
  expect(files().map(({ replyTo, content }) => [replyTo, content])).toEqual([[undefined, 'all of it']]);
});

test.each([
  [403, 'Forbidden: bot was kicked from the group chat', '(add the bot to the chat again)'],
  [413, 'Request Entity Too Large', ''],
  [400, 'Bad Request: not enough rights to send documents to the chat', '(allow the bot to send messages there)'],
])('a refusal of the file, %d %s, is only logged', async (code, description, remedy) => {
  const { server, warnings } = reporting;
  const reporter = await begin();
  server.faults.fail('sendDocument', code, description);
  reporter.report(FAILED);
  await send(reporter, createLog(['x']));
  expect(reporting.heads()).toEqual([expect.stringContaining('❌ Failed')]);
  const reason = `${code} ${description} ${remedy}`.trim();
  expect(warnings).toEqual([`The log of step "unit tests" was not sent to Telegram: ${reason}`]);
});

test('a log that cannot be read to its end is not sent', async () => {
  const { warnings } = reporting;
  const reporter = await begin();
  reporter.report(FAILED);
  const copy: FailedLog['copy'] = async (onBytes) => {
    await onBytes(Buffer.from('half'));
    return false;
  };
  await send(reporter, createLog([], { copy, bytes: 8 }));
  expect(files()).toEqual([]);
  expect(warnings).toEqual(['The log of step "unit tests" was not sent to Telegram: c3 could not read it to its end']);
});

test('the file is given up when the time runs out, while it waits and while it is read', async () => {
  const { server, warnings } = reporting;
  const reporter = await begin();
  server.faults.flood('sendDocument', 3_600);
  reporter.report(FAILED);
  const late = new AbortController();
  const log = createLog(['x'], { signal: late.signal });
  const sent = reporter.sendLog?.(log);
  while (log.copies === 0) await reporting.clock.jump();
  await server.waitFor(() => server.calls.at(-1)?.method === 'sendDocument', deadline());
  late.abort();
  await sent;
  await reporting.finish(reporter);

  const second = reporting.create({ chat: GROUP, isLogSent: true });
  second.report(FAILED);
  const slow = new AbortController();
  const copy: FailedLog['copy'] = (_, { signal }) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(false), { once: true });
      slow.abort();
    });
  await send(second, createLog([], { copy, bytes: 1, signal: slow.signal }));
  const sentence = 'The log of step "unit tests" was not sent to Telegram: the time ran out';
  expect(warnings).toEqual([sentence, sentence]);
  expect(files()).toEqual([]);
});

test('a file whose message is not delivered in time is given up', async () => {
  const { server, warnings } = reporting;
  server.faults.flood('sendMessage', 3_600);
  const reporter = reporting.create({ isLogSent: true });
  reporter.report(FAILED);
  const late = new AbortController();
  const sent = reporter.sendLog?.(createLog(['x'], { signal: late.signal }));
  late.abort();
  await sent;
  expect(warnings).toEqual(['The log of step "unit tests" was not sent to Telegram: the time ran out']);
  await reporting.finish(reporter);
});

test('a build whose message was given up sends no file and logs nothing more', async () => {
  const { server, warnings } = reporting;
  server.faults.kick(PRIVATE);
  const reporter = reporting.create({ isLogSent: true });
  reporter.report(FAILED);
  const log = createLog(['x']);
  await send(reporter, log);
  expect(log.copies).toBe(0);
  expect(warnings).toHaveLength(1);
});

test.each([
  ['unit tests', 'unit-tests-b-1.log'],
  ['../../etc/passwd', 'etc-passwd-b-1.log'],
  ['a"b\r\nX-Evil: 1', 'a-b-X-Evil-1-b-1.log'],
  ['проверка', 'проверка-b-1.log'],
  ['"', 'step-b-1.log'],
  ['x'.repeat(80), `${'x'.repeat(59)}…-b-1.log`],
])('the file of step %j is named %s', (step, name) => {
  expect(toFileName(step, 'b-1')).toBe(name);
});
