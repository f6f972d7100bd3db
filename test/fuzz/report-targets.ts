import * as fc from 'fast-check';
import {
  type BuildPhase,
  type BuildState,
  type Ending,
  formatCommitStatus,
  type StepPhase,
  type StepState,
} from '../../src/build/index.ts';
import { createBuild } from '../fakes/sample-build.ts';
import { parseTelegramHtml } from '../../dev/telegram/html.ts';
import { readConfig } from '../../src/config/index.ts';
import { clip, toOneLine, toPlainText } from '../../src/terminal/text.ts';
import { createTelegramClient } from '../../src/reporters/telegram/client.ts';
import { parseDestination } from '../../src/reporters/telegram/destination.ts';
import { renderMessage } from '../../src/reporters/telegram/message.ts';
import { anyText, bent, mutated } from './arbitraries.ts';
import { defineTarget, ensure, orRefusal, type Target } from './target.ts';

// oxlint-disable-next-line no-control-regex -- what no reader may see
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const BOT = '123456789:AAEabcdefghijklmnopqrstuvwxyz-_0123';

/** Output of programs, and worse. */
export const output: fc.Arbitrary<string> = fc.oneof(
  anyText,
  fc
    .array(
      fc.constantFrom(
        '\r',
        '\b',
        '\u001b[K',
        '\u001b[2K',
        '\u001b[31m',
        '\u001b]0;',
        '\u0007',
        '\u009b',
        '\u001bP',
        'abc',
        '\n',
        '\t',
        '<',
        '&',
        '@all',
        '\u001b',
      ),
      { maxLength: 60 },
    )
    .map((parts) => parts.join('')),
);
const long = fc
  .tuple(output, fc.integer({ min: 1, max: 400 }))
  .map(([text, count]) => text.repeat(count).slice(0, 9_000));

const ending: fc.Arbitrary<Ending> = fc.oneof(
  fc.record({ kind: fc.constant('passed' as const), allowed: fc.array(output, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('failed' as const), step: output, message: output }),
  fc.record({
    kind: fc.constant('config-error' as const),
    message: output,
    problems: fc.array(fc.record({ location: output, url: output, message: long, hint: long }), { maxLength: 9 }),
  }),
  fc.record({
    kind: fc.constantFrom('skipped', 'timed-out', 'cancelled', 'superseded', 'refused', 'infrastructure-error'),
    message: long,
  }),
);
const stepPhase: fc.Arbitrary<StepPhase> = fc.oneof(
  fc.record({ kind: fc.constantFrom('pending', 'running', 'passed', 'timed-out', 'cancelled') }),
  fc.record({ kind: fc.constant('failed' as const), exitCode: fc.constantFrom(undefined, 1, 137) }),
  fc.record({ kind: fc.constant('lost' as const), message: output }),
  fc.record({ kind: fc.constant('skipped' as const), reason: fc.oneof(fc.constant(undefined), output) }),
);
const step: fc.Arbitrary<StepState> = fc.record({
  name: output,
  container: output,
  phase: stepPhase,
  attempt: fc.integer({ min: 1, max: 3 }),
  isAllowed: fc.boolean(),
  group: fc.constantFrom(undefined, 0, 1),
  startedAt: fc.constantFrom(undefined, 0),
  endedAt: fc.constantFrom(undefined, 1e9),
  tail: long,
});
const phase: fc.Arbitrary<BuildPhase> = fc.oneof(
  fc.record({ kind: fc.constantFrom('queued', 'running') }),
  fc.record({ kind: fc.constant('preparing' as const), detail: long }),
  ending.map((one) => ({ kind: 'ended', ending: one }) as const),
);
/** Any build, with untrusted texts in all fields. */
export const state: fc.Arbitrary<BuildState> = fc.record({
  build: fc
    .record({
      ref: fc.record({ kind: fc.constantFrom('branch', 'tag'), name: output }),
      commit: fc.record({ subject: output, author: output }),
    })
    .map(createBuild),
  urls: fc.record({
    repository: fc.oneof(fc.constant('https://github.com/acme/shop'), output),
    commit: fc.oneof(fc.constant('https://github.com/a'), output, fc.constant('javascript:alert(1)')),
  }),
  phase,
  steps: fc.oneof(fc.array(step, { maxLength: 4 }), fc.array(step, { minLength: 50, maxLength: 60 })),
  warnings: fc.array(long, { maxLength: 5 }),
  isWarm: fc.constantFrom(undefined, true, false),
  previous: fc.constantFrom(undefined, 'passed', 'failed'),
  links: fc.constant(undefined),
  startedAt: fc.constant(0),
  endedAt: fc.constantFrom(undefined, 1e6),
});

const answers = [
  '{"ok":true,"result":{"message_id":7}}',
  `{"ok":false,"error_code":429,"description":"Too Many Requests: ${BOT}","parameters":{"retry_after":3}}`,
  '{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-1001}}',
];

const settings = {
  C3_SECRET: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYzI',
  C3_PORT: '8668',
  C3_URL: 'https://c3.example',
  C3_TELEGRAM_TOKEN: BOT,
  C3_TELEGRAM_CHAT: '-100123/45',
  C3_FORGES: 'github=https://ghe.example.com|https://ghe.example.com/api/v3',
  C3_ALLOW_REPOS: 'github.com/acme/*',
  C3_ALLOW_NETS: '10.0.0.0/8,fd00::/8',
  C3_POD_POLICY: 'restricted',
  C3_LOG_LEVEL: 'info',
};

export const reportTargets: readonly Target[] = [
  defineTarget('terminal-text', long, (text) => {
    const plain = toPlainText(text);
    ensure(plain.isWellFormed() && !INVISIBLE.test(plain), 'plain text has no control character for a terminal');
    ensure(toPlainText(plain) === plain, 'plain text does not change');
    const line = toOneLine(text, 20);
    ensure(line.length <= 20 && !line.includes('\n') && line.isWellFormed(), 'a line is one line, and short');
    ensure(clip(plain, 5).length <= 5, 'clipped text is short');
  }),

  defineTarget('telegram-html', state, (one) => {
    const { html, plain } = renderMessage(one, { now: 5_000 });
    const { text, nodes } = parseTelegramHtml(html);
    ensure(text === plain, 'no text becomes markup');
    ensure(plain.length <= 4_096 && Buffer.byteLength(html) <= 32_768, 'Telegram accepts a message of this length');
    ensure(!INVISIBLE.test(plain.replaceAll('\u2060', '')), 'a message has no control character');
    ensure(!/@\w/.test(JSON.stringify(nodes.filter((node) => node.kind === 'text'))), 'no text mentions a user');
    ensure(!/href="(?!https?:\/\/)/.test(html), 'a link is a web address');
  }),

  defineTarget('commit-status', state, (one) => {
    const { description, state: told } = formatCommitStatus(one);
    ensure(description.length <= 140 && !/[\p{Cc}\u2028\u2029]/u.test(description), 'a description is one short line');
    const isGood =
      one.phase.kind === 'ended' && (one.phase.ending.kind === 'passed' || one.phase.ending.kind === 'skipped');
    ensure((told === 'success') === isGood, 'success means that the build passed or was skipped');
  }),

  defineTarget(
    'telegram-answers',
    fc.tuple(
      fc.oneof(
        mutated(answers),
        bent(JSON.parse(answers[1] ?? '')).map((value) => JSON.stringify(value) ?? ''),
      ),
      fc.constantFrom(200, 400, 403, 429, 500, 502),
    ),
    async ([text, status]) => {
      const client = createTelegramClient({
        token: BOT,
        apiBase: 'https://api.telegram.org',
        fetch: () => Promise.resolve(new Response(text, { status })),
      });
      const response = await client.sendMessage({ chat_id: 1, text: 'x' });
      ensure(!JSON.stringify(response).includes(BOT), 'a response contains no token');
      if (response.kind === 'wait') ensure(response.ms > 0 && response.ms <= 86_400_000, 'a wait ends');
      if (response.kind === 'migrated') ensure(Number.isSafeInteger(response.chat), 'a chat is a number');
    },
  ),

  defineTarget(
    'telegram-destination',
    mutated([`{"token":"${BOT}","chat":-100123,"thread":4}`, `{"token":"${BOT}","chat":"@name"}`]),
    (text) => {
      const destination = orRefusal(() => parseDestination(text));
      if (destination === 'refused') return;
      ensure(/^[0-9]+:[\w-]+$/.test(destination.token), 'a token is one segment of a path');
      ensure(
        typeof destination.chat === 'string' ? /^@\w+$/.test(destination.chat) : Number.isSafeInteger(destination.chat),
        'a chat is a name or a number',
      );
    },
  ),

  defineTarget(
    'settings',
    fc.array(fc.tuple(fc.constantFrom(...Object.keys(settings)), fc.oneof(anyText, mutated(Object.values(settings)))), {
      maxLength: 3,
    }),
    (changes) => {
      const env = { ...settings, ...Object.fromEntries(changes) };
      try {
        const config = readConfig(env, {}, () => '');
        ensure(Object.isFrozen(config) && config.forges.length > 0, 'a configuration is complete and frozen');
      } catch (error) {
        orRefusal(() => {
          throw error;
        });
        ensure(
          !(error as Error).message.includes(BOT) || changes.some(([, value]) => value.includes(BOT)),
          'a message quotes no token',
        );
      }
    },
  ),
];
