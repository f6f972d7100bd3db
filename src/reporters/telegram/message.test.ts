import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BuildPhase, BuildState, StepPhase } from '../../build/index.ts';
import { createBuild } from '../../../test/fakes/sample-build.ts';
import {
  createEnded,
  createState,
  createStep,
  FAILED,
  LINKS,
  PASSED,
  RUNNING,
  START,
} from '../../../dev/telegram/build-states.ts';
import { parseTelegramHtml } from '../../../dev/telegram/html.ts';
import { MAX_VISIBLE_LENGTH, renderMessage, toButtons } from './message.ts';

const MAX_SOURCE_BYTES = 32_768;
const NOW = START + 30_000;

test('a running build shows its steps with durations and the running time', () => {
  expect(renderMessage(RUNNING, { now: NOW })).toEqual({
    html: `🔄 <b>Running</b> · <a href="https://github.com/acme/shop">acme/shop</a> · <code>main</code> · <a href="https://github.com/acme/shop/commit/1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d">1a2b3c4</a>
Round prices half to even, not half up — Ann Lee

✅ git · 2s
✅ lint · 9s
🔄 <b>test</b> · 18s
▫️ image
▫️ deploy
⏱ 30s · warm`,
    plain: `🔄 Running · acme/shop · main · 1a2b3c4
Round prices half to even, not half up — Ann Lee

✅ git · 2s
✅ lint · 9s
🔄 test · 18s
▫️ image
▫️ deploy
⏱ 30s · warm`,
  });
});

test('a failed build quotes the failing lines of the failed step as a terminal shows them', () => {
  const { html } = renderMessage(FAILED, { now: NOW });
  expect(html).toContain('❌ <b>Failed</b>');
  expect(html).toContain(`❌ <b>test</b> · 42s · exit code 1
⏭ image · skipped
⏭ deploy · skipped
<blockquote> × src/price.test.ts &gt; rounds 2.345 to 2.34
   AssertionError: expected 2.35 to be 2.34
     at src/price.test.ts:41:24
 Test Files  1 failed | 2 passed (3)`);
  expect(html).toMatch(/\(30\)<\/blockquote>\ntest failed: exit code 1\n⏱ 54s · warm$/);
});

test('a config error shows its first problems, with links to their lines', () => {
  const problems = Array.from({ length: 6 }, (_, index) => ({
    location: `c3.yaml:${index + 4}:3`,
    url: `https://github.com/acme/shop/blob/${'a'.repeat(40)}/c3.yaml#L${index + 4}`,
    message: 'unknown key "wen"',
    ...(index === 0 ? { hint: 'did you mean "when"?' } : {}),
  }));
  const message = 'c3.yaml:4:3 error: unknown key "wen"';
  const { html, plain } = renderMessage(createEnded({ kind: 'config-error', message, problems }), { now: NOW });
  expect(html).toContain(
    `<a href="https://github.com/acme/shop/blob/${'a'.repeat(40)}/c3.yaml#L4">c3.yaml:4:3</a> error: unknown key &quot;wen&quot;`,
  );
  expect(plain.split('\n').slice(-7)).toEqual([
    'c3.yaml:4:3 error: unknown key "wen"',
    '→ did you mean "when"?',
    'c3.yaml:5:3 error: unknown key "wen"',
    'c3.yaml:6:3 error: unknown key "wen"',
    'c3.yaml:7:3 error: unknown key "wen"',
    '… 2 more problems',
    expect.stringMatching(/^⏱/),
  ]);
});

test.each([
  [{ kind: 'queued' }, '⏳ Queued'],
  [{ kind: 'preparing', detail: 'waiting for another build' }, '⏳ Preparing'],
  [{ kind: 'running' }, '🔄 Running'],
  [{ kind: 'ended', ending: { kind: 'passed', allowed: [] } }, '✅ Passed'],
  [{ kind: 'ended', ending: { kind: 'passed', allowed: ['lint'] } }, '⚠️ Passed with allowed failures'],
  [{ kind: 'ended', ending: { kind: 'skipped', message: 'm' } }, '⏭ Skipped'],
  [{ kind: 'ended', ending: { kind: 'superseded', message: 'm' } }, '⏭ Superseded'],
  [{ kind: 'ended', ending: { kind: 'failed', step: 'a', message: 'm' } }, '❌ Failed'],
  [{ kind: 'ended', ending: { kind: 'timed-out', message: 'm' } }, '⏰ Timed out'],
  [{ kind: 'ended', ending: { kind: 'cancelled', message: 'm' } }, '🚫 Cancelled'],
  [{ kind: 'ended', ending: { kind: 'config-error', message: 'm' } }, '🛠 Config error'],
  [{ kind: 'ended', ending: { kind: 'refused', message: 'm' } }, '⛔ Refused'],
  [{ kind: 'ended', ending: { kind: 'infrastructure-error', message: 'm' } }, '💥 Infrastructure error'],
] satisfies [BuildPhase, string][])('the message of %j begins with "%s"', (phase, start) => {
  expect(renderMessage(createState(phase), { now: NOW }).plain).toMatch(new RegExp(`^${start} · acme/shop`));
});

test.each([
  [[], '✅ Fixed'],
  [['lint'], '⚠️ Fixed with allowed failures'],
])('a build that passes after a failed one says so: %j', (allowed, start) => {
  const state = createEnded({ kind: 'passed', allowed }, { previous: 'failed' });
  expect(renderMessage(state, { now: NOW }).plain).toMatch(new RegExp(`^${start} · acme/shop`));
});

test('a step shows its attempt, an allowed failure, that it runs in parallel, and why it was skipped', () => {
  const steps = [
    createStep('audit', { kind: 'failed', exitCode: 2 }, { from: 0, to: 1, isAllowed: true, tail: 'not shown' }),
    createStep('lint', { kind: 'passed' }, { from: 1, to: 2, group: 1 }),
    createStep('test', { kind: 'failed', exitCode: 1 }, { from: 1, to: 3, group: 1, attempt: 2, tail: 'why' }),
    createStep('tool', { kind: 'failed', exitCode: undefined }, { from: 3, to: 4 }),
    createStep('deploy', { kind: 'skipped', reason: 'a tag does not match when.branch' }),
    createStep('tell', { kind: 'skipped', reason: undefined }),
  ];
  const { plain } = renderMessage({ ...FAILED, steps }, { now: NOW });
  expect(plain).toContain(`⚠️ audit · 1s · exit code 2, allowed
✅ ∥ lint · 1s
❌ ∥ test · attempt 2 · 2s · exit code 1
❌ tool · 1s · could not start
⏭ deploy · skipped: a tag does not match when.branch
⏭ tell · skipped
why
`);
  expect(plain).not.toContain('not shown');
});

test('a preparing build shows what it waits for, and the first three warnings', () => {
  const warnings = ['c3.yaml:1:1 warning: a', 'b', 'c', 'd', 'e'];
  const { plain } = renderMessage(createState({ kind: 'preparing', detail: 'pulling image node:24' }, { warnings }), {
    now: NOW,
  });
  expect(plain).toMatch(
    /Ann Lee\n\npulling image node:24\n⚠️ c3.yaml:1:1 warning: a\n⚠️ b\n⚠️ c\n… 2 more warnings\n⏱ 30s$/,
  );
});

test('a commit cannot mention people, add links or markup, or reverse the text', () => {
  const build = createBuild({ commit: { subject: '</b> @everyone \u202Ex\u001B[31m', author: 'a@b' } });
  const urls = { ...PASSED.urls, commit: 'javascript:alert(1)' };
  const { html } = renderMessage({ ...PASSED, build, urls }, { now: NOW });
  expect(html).toContain('&lt;/b&gt; @\u2060everyone x — a@\u2060b');
  expect(html).not.toContain('javascript');
});

test('the end of a long output is kept, from the start of a line', () => {
  const tail = Array.from({ length: 300 }, (_, index) => `line ${index} ${'x'.repeat(index % 50)}`).join('\n');
  const steps = [createStep('test', { kind: 'failed', exitCode: 1 }, { from: 0, to: 1, tail })];
  const { plain } = renderMessage({ ...FAILED, steps }, { now: NOW });
  expect(plain).toMatch(/\nline 280 x+\n/);
  expect(plain).toMatch(/\nline 299 x+\ntest failed/);
});

test('a long output is folded after its failing line, and its last lines follow below the fold', () => {
  const noise = Array.from({ length: 30 }, (_, index) => `  at line ${index}`).join('\n');
  const tail = `all is well\nerror: 2 < 3\n${noise}\nFAIL`;
  const steps = [createStep('test', { kind: 'failed', exitCode: 1 }, { from: 0, to: 1, tail })];
  const { html } = renderMessage({ ...FAILED, steps }, { now: NOW });
  expect(html).toContain('<blockquote expandable>error: 2 &lt; 3\n  at line 0\n');
  expect(html).toContain('\n…</blockquote>\n<blockquote>  at line 28\n  at line 29\nFAIL</blockquote>\ntest failed');
  expect(html).not.toContain('all is well');
});

test('a hundred steps are cut to the first, the last and those around the failed one', () => {
  const steps = Array.from({ length: 200 }, (_, index) =>
    createStep(
      `step ${index} ${'x'.repeat(40)}`,
      index === 100 ? { kind: 'failed', exitCode: 2 } : { kind: 'passed' },
      {
        from: index,
        to: index + 1,
        tail: 'why\n'.repeat(30),
      },
    ),
  );
  const { plain } = renderMessage({ ...FAILED, steps }, { now: NOW });
  for (const index of [0, 99, 100, 101, 199]) expect(plain).toContain(` step ${index} `);
  expect(plain.match(/^… \d+ more steps$/gm)).toHaveLength(2);
  expect(plain).toContain('\nwhy\nwhy\n');
  expect(plain.length).toBeLessThanOrEqual(MAX_VISIBLE_LENGTH);
});

/** Texts as bad as they come: markup, mentions, controls, half surrogates, long. */
function hostileText(maxLength: number): fc.Arbitrary<string> {
  const units = [
    '<',
    '>',
    '&',
    '"',
    '@a',
    '\n',
    '\r',
    '\b',
    '\u001B[',
    'K',
    ' ',
    'x',
    '😀',
    '\uD83D',
    '汉',
    '</b>',
    '&amp;',
    '\u0000',
  ];
  return fc.oneof(
    fc.string({ unit: fc.constantFrom(...units), maxLength }),
    fc.string({ unit: 'binary', maxLength }),
    fc.tuple(fc.constantFrom(...units), fc.nat({ max: maxLength })).map(([unit, count]) => unit.repeat(count)),
  );
}

const time = fc.option(fc.integer({ min: START - 1000, max: START + 1e7 }), { nil: undefined });

function stepPhase(): fc.Arbitrary<StepPhase> {
  return fc.oneof(
    fc.constantFrom<StepPhase>({ kind: 'pending' }, { kind: 'running' }, { kind: 'passed' }, { kind: 'timed-out' }),
    fc.constantFrom<StepPhase>({ kind: 'cancelled' }, { kind: 'skipped', reason: undefined }),
    hostileText(300).map((reason): StepPhase => ({ kind: 'skipped', reason })),
    fc
      .option(fc.integer({ min: 0, max: 255 }), { nil: undefined })
      .map((exitCode): StepPhase => ({ kind: 'failed', exitCode })),
    hostileText(50).map((message): StepPhase => ({ kind: 'lost', message })),
  );
}

function buildPhase(): fc.Arbitrary<BuildPhase> {
  const text = hostileText(3_000);
  const ending = fc.oneof(
    fc.record({ kind: fc.constant('failed' as const), step: text, message: text }),
    fc.record({
      kind: fc.constant('config-error' as const),
      message: text,
      problems: fc.array(fc.record({ location: text, url: text, message: text, hint: text }), { maxLength: 9 }),
    }),
    fc.record({
      kind: fc.constantFrom('skipped', 'timed-out', 'cancelled', 'superseded', 'refused', 'infrastructure-error'),
      message: text,
    }),
    fc.record({ kind: fc.constant('passed' as const), allowed: fc.array(text, { maxLength: 3 }) }),
  );
  return fc.oneof(
    fc.constantFrom<BuildPhase>({ kind: 'queued' }, { kind: 'running' }),
    text.map((detail): BuildPhase => ({ kind: 'preparing', detail })),
    ending.map((ending): BuildPhase => ({ kind: 'ended', ending })),
  );
}

function buildState(): fc.Arbitrary<BuildState> {
  const text = hostileText(1_500);
  const url = fc.oneof(
    text,
    text.map((path) => `https://x.example/?${path}`),
    fc.webUrl(),
  );
  const step = fc.record({
    name: text,
    container: text,
    phase: stepPhase(),
    attempt: fc.integer({ min: 1, max: 11 }),
    isAllowed: fc.boolean(),
    group: fc.constantFrom(undefined, 0),
    startedAt: time,
    endedAt: time,
    tail: hostileText(8_192),
  });
  return fc.record({
    build: fc
      .record({
        ref: fc.record({ kind: fc.constantFrom('branch', 'tag'), name: text }),
        commit: fc.record({ subject: text, author: text }),
      })
      .map(createBuild),
    urls: fc.record({ repository: url, commit: url }),
    phase: buildPhase(),
    steps: fc.oneof(
      fc.array(step, { maxLength: 4 }),
      step.map((one) => Array.from({ length: 60 }, () => one)),
    ),
    warnings: fc.array(text, { maxLength: 5 }),
    isWarm: fc.option(fc.boolean(), { nil: undefined }),
    previous: fc.constantFrom(undefined, 'passed', 'failed'),
    links: fc.constant(undefined),
    startedAt: fc.constant(START),
    endedAt: time,
  });
}

test('any build renders to strict Telegram HTML within all limits, and to the same text without markup', () => {
  fc.assert(
    fc.property(buildState(), (state) => {
      const { html, plain } = renderMessage(state, { now: NOW });
      expect(parseTelegramHtml(html).text).toBe(plain);
      expect(plain.length).toBeLessThanOrEqual(MAX_VISIBLE_LENGTH);
      expect(plain.length).toBeGreaterThan(0);
      expect(Buffer.byteLength(html)).toBeLessThanOrEqual(MAX_SOURCE_BYTES);
      expect(plain.isWellFormed()).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test.each([
  [{ kind: 'queued' }, ['Log', 'Cancel']],
  [{ kind: 'preparing', detail: 'pulling' }, ['Log', 'Cancel']],
  [{ kind: 'running' }, ['Log', 'Cancel']],
  [{ kind: 'ended', ending: { kind: 'passed', allowed: [] } }, ['Log']],
  [{ kind: 'ended', ending: { kind: 'passed', allowed: ['lint'] } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'failed', step: 'a', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'needs-approval', message: 'm' } }, ['Log', 'Approve']],
  [{ kind: 'ended', ending: { kind: 'timed-out', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'cancelled', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'config-error', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'infrastructure-error', message: 'm' } }, ['Log', 'Re-run']],
  [{ kind: 'ended', ending: { kind: 'superseded', message: 'm' } }, ['Log']],
  [{ kind: 'ended', ending: { kind: 'refused', message: 'm' } }, ['Log']],
  [{ kind: 'ended', ending: { kind: 'skipped', message: 'm' } }, ['Log']],
] satisfies [BuildPhase, string[]][])('the buttons of %j are %j', (phase, labels) => {
  const [row = []] = toButtons(createState(phase, { links: LINKS }))?.inline_keyboard ?? [];
  expect(row.map(({ text }) => text)).toEqual(labels);
  const [log, ...controls] = row.map((button) => ('url' in button ? button.url : undefined));
  expect([log, ...new Set(controls)]).toEqual(controls.length === 0 ? [LINKS.view] : [LINKS.view, LINKS.control]);
});

test('a build without links has no buttons', () => {
  expect(toButtons(createState({ kind: 'running' }))).toBeUndefined();
});
