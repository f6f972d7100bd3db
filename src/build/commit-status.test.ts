import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createEnded, createState, createStep, PASSED, RUNNING } from '../../dev/telegram/build-states.ts';
import type { Ending } from './build-state.ts';
import {
  findBuildStatus,
  findOutcome,
  formatCommitStatus,
  hasBegun,
  MAX_DESCRIPTION_LENGTH,
  readCommitStatus,
  type CommitStatus,
} from './commit-status.ts';
import { toOneLine } from '../terminal/text.ts';
import { ENDING_WORDS } from './words.ts';

test.each([
  ['queued', createState({ kind: 'queued' }), 'pending', 'queued'],
  [
    'preparing',
    createState({ kind: 'preparing', detail: 'pulling image node:24' }),
    'pending',
    'preparing: pulling image node:24',
  ],
  ['running', RUNNING, 'pending', 'running test'],
  [
    'running several steps at once',
    createState(
      { kind: 'running' },
      { steps: ['lint', 'test'].map((name) => createStep(name, { kind: 'running' }, { from: 1, group: 0 })) },
    ),
    'pending',
    'running lint, test',
  ],
  ['passed', PASSED, 'success', 'passed in 1m 36s'],
  [
    'passed with allowed failures',
    createEnded({ kind: 'passed', allowed: ['lint', 'audit'] }),
    'success',
    'passed in 1m 36s, with allowed failures: lint, audit',
  ],
  ['fixed', createEnded({ kind: 'passed', allowed: [] }, { previous: 'failed' }), 'success', 'passed in 1m 36s, fixed'],
  [
    'fixed with an allowed failure',
    createEnded({ kind: 'passed', allowed: ['lint'] }, { previous: 'failed' }),
    'success',
    'passed in 1m 36s, fixed, with allowed failures: lint',
  ],
  [
    'passed after one that passed',
    createEnded({ kind: 'passed', allowed: [] }, { previous: 'passed' }),
    'success',
    'passed in 1m 36s',
  ],
  [
    'failed after one that failed',
    createEnded({ kind: 'failed', step: 'test', message: 'exit code 1' }, { previous: 'failed' }),
    'failure',
    'failed at test after 1m 36s: exit code 1',
  ],
  [
    'passed with a warning',
    createEnded({ kind: 'passed', allowed: [] }, { warnings: ['the hook URL is old\nand more', 'b'] }),
    'success',
    'passed in 1m 36s; warning: the hook URL is old',
  ],
  [
    'skipped',
    createEnded({ kind: 'skipped', message: 'branch "dev" does not match when.branch' }),
    'success',
    'skipped: branch "dev" does not match when.branch',
  ],
  [
    'failed',
    createEnded({ kind: 'failed', step: 'test', message: 'exit 1' }),
    'failure',
    'failed at test after 1m 36s: exit 1',
  ],
  [
    'timed out',
    createEnded({ kind: 'timed-out', message: 'test ran longer than 10m' }),
    'failure',
    'timed out after 1m 36s: test ran longer than 10m',
  ],
  [
    'cancelled',
    createEnded({ kind: 'cancelled', message: 'by a newer push' }),
    'error',
    'cancelled after 1m 36s: by a newer push',
  ],
  [
    'superseded',
    createEnded({ kind: 'superseded', message: 'The build was superseded by 1a2b3c4' }),
    'error',
    'superseded after 1m 36s: The build was superseded by 1a2b3c4',
  ],
  [
    'a config error',
    createEnded({
      kind: 'config-error',
      message: 'unknown key "wen"\nunknown key "stpes"',
      problems: [{ message: '…' }],
    }),
    'error',
    'config error: unknown key "wen"',
  ],
  [
    'refused',
    createEnded({ kind: 'refused', message: 'the token may not push' }),
    'error',
    'refused: the token may not push',
  ],
  [
    'an infrastructure error',
    createEnded({ kind: 'infrastructure-error', message: 'Pod evicted' }),
    'error',
    'infrastructure error before its first step: Pod evicted',
  ],
  [
    'an infrastructure error of a build that another c3 began',
    { ...createEnded({ kind: 'infrastructure-error', message: 'Pod gone' }), isResumed: true },
    'error',
    'infrastructure error after 1m 36s: Pod gone',
  ],
  [
    'an infrastructure error during a step',
    createEnded(
      { kind: 'infrastructure-error', message: 'Pod evicted' },
      { steps: [createStep('test', { kind: 'lost', message: 'gone' }, { from: 1 })] },
    ),
    'error',
    'infrastructure error after 1m 36s: Pod evicted',
  ],
] as const)('the status of a build that is %s', (_, state, expected, description) => {
  expect(formatCommitStatus(state)).toEqual({
    context: 'c3/push',
    state: expected,
    description: `${description} (main, build b-1)`,
  });
});

test('a status links to the page and never shows the control link', () => {
  const links = { view: 'https://c3.example/b/view', control: 'https://c3.example/b/control' };
  const status = formatCommitStatus({ ...PASSED, links });
  expect(status.targetUrl).toBe(links.view);
  expect(JSON.stringify(status)).not.toContain(links.control);
});

test('a description always fits the forge, whatever the names and messages are', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      (step, message) => {
        const { description } = formatCommitStatus(createEnded({ kind: 'failed', step, message }));
        expect(description.length).toBeLessThanOrEqual(MAX_DESCRIPTION_LENGTH);
        expect(description).toMatch(/after 1m 36s/);
        expect(description).not.toMatch(/\p{Cc}/u);
      },
    ),
  );
});

const line = fc.string({ unit: 'binary', maxLength: 60 });
const ending: fc.Arbitrary<Ending> = fc.oneof(
  fc.constant({ kind: 'passed', allowed: [] } as const),
  fc.record({
    kind: fc.constant('failed' as const),
    step: fc.oneof(line, fc.constantFrom('a: b', 'x after 3s: y', '"q"')),
    message: line,
  }),
  fc.record({
    kind: fc.constantFrom(
      'skipped',
      'timed-out',
      'cancelled',
      'superseded',
      'needs-approval',
      'config-error',
      'refused',
      'infrastructure-error',
    ),
    message: fc.oneof(line, fc.constantFrom('', 'after 8s: x', ': y', 'passed in 8s')),
  }),
);

/** What a description keeps of a text: one line, without characters beyond the BMP. */
function toShown(text: string): string {
  return toOneLine(text.toWellFormed().replaceAll(/[\u{10000}-\u{10FFFF}]/gu, '\uFFFD'), 1_000);
}

test('an ending is read back from the status that was written for it', () => {
  fc.assert(
    fc.property(ending, (written) => {
      const status = formatCommitStatus(createEnded(written));
      expect(status.description.length).toBeLessThanOrEqual(MAX_DESCRIPTION_LENGTH);
      expect(status.description).not.toMatch(/[\u{10000}-\u{10FFFF}]/u);
      const { buildId, ending: read } = readCommitStatus(status);
      expect([buildId, read?.kind]).toEqual(['b-1', written.kind]);
      const [before, after] = [written, read].map((one) => (one && 'message' in one ? one.message : ''));
      expect(toShown(before ?? '')).toContain(toOneLine((after ?? '').replace(/…$/, ''), 1_000));
      // Writing what was read changes nothing: the codec is stable.
      expect(read && formatCommitStatus(createEnded(read))).toEqual(status);
    }),
  );
});

test.each(['a: b', 'x after 3s: y', '"quoted" name', 'unit: tests'])('a failed step named %j is read back', (step) => {
  const written = { kind: 'failed', step, message: 'exit code 3: after 4s' } as const;
  expect(readCommitStatus(formatCommitStatus(createEnded(written))).ending).toEqual(written);
});

test('no word of an ending begins another, so that the first match is the right one', () => {
  const words = Object.values(ENDING_WORDS).map(({ word }) => word);
  expect(words.filter((word) => words.some((other) => other !== word && word.startsWith(other)))).toEqual([]);
});

test.each([
  ['failure', 'broken', { kind: 'failed', step: 'a step', message: 'broken' }],
  ['error', 'broken', { kind: 'infrastructure-error', message: 'broken' }],
  ['success', 'fine', { kind: 'passed', allowed: [] }],
  ['failure', 'passed in 8s', { kind: 'failed', step: 'a step', message: 'passed in 8s' }],
  ['pending', 'passed in 8s', undefined],
] as const)('a status %s that says %j counts by its state', (state, description, expected) => {
  expect(readCommitStatus({ state, description })).toEqual({ buildId: undefined, ending: expected, text: description });
});

async function* from(...statuses: readonly [CommitStatus['state'], string][]): AsyncGenerator<CommitStatus> {
  for (const [state, description] of statuses) yield { context: 'c3/push', state, description };
}

test('the newest status of a build is found among those of others', async () => {
  const statuses = from(
    ['error', 'cancelled after 8s (main, build other)'],
    ['failure', 'failed at test after 8s: exit code 3 (main, build mine)'],
    ['pending', 'running (main, build mine)'],
  );
  expect(await findBuildStatus(statuses, 'mine')).toMatchObject({ state: 'failure', ending: { kind: 'failed' } });
  expect(await findBuildStatus(from(['success', 'passed in 8s']), 'mine')).toBeUndefined();
});

const MAIN = { event: 'push', ref: { kind: 'branch', name: 'main' } } as const;

test.each([
  ['pending', 'running', undefined],
  ['error', 'cancelled after 8s', undefined],
  ['success', 'skipped: branch "dev" does not match when.branch', undefined],
  ['failure', 'failed at test after 8s: exit code 3', 'failed'],
  ['failure', 'timed out after 8s', 'timed-out'],
  ['success', 'passed in 8s', 'passed'],
] as const)('a status %s, %s, says of its commit: %s', async (state, description, expected) => {
  expect((await findOutcome(from([state, `${description} (main, build a)`]), MAIN))?.kind).toBe(expected);
  const older = expected === undefined ? 'passed' : expected;
  expect(
    (
      await findOutcome(
        from([state, `${description} (main, build a)`], ['success', 'passed in 8s (main, build b)']),
        MAIN,
      )
    )?.kind,
  ).toBe(older);
  expect(await findOutcome(from([state, `${description} (main, build a)`]), { ...MAIN, event: 'tag' })).toBeUndefined();
  expect(await findOutcome(from([state, `${description} (dev, build a)`]), MAIN)).toBeUndefined();
});

test.each([
  ['success', 'passed in 8s', true],
  ['failure', 'failed at test after 8s: exit code 3', true],
  ['error', 'cancelled after 8s', true],
  ['error', 'infrastructure error after 8s: Pod evicted', true],
  ['error', 'infrastructure error before its first step: Pod evicted', false],
  ['error', 'refused: main has moved on', false],
  ['error', 'config error: There is no c3.yaml', false],
] as const)('a status %s, %s, says that something of the build may have run: %s', (state, description, expected) => {
  expect(hasBegun(readCommitStatus({ state, description: `${description} (main, build a)` }))).toBe(expected);
});

test('a pull request has the context c3/pr and its number as its name', () => {
  const pull = { number: 12, base: 'main', head: 'a b', isDraft: false, isFork: true };
  const { build } = PASSED;
  const state = {
    ...PASSED,
    build: { ...build, event: 'pull_request', pull, ref: { kind: 'pull', name: '12' } },
  } as const;
  const status = formatCommitStatus(state);
  expect(status).toMatchObject({ context: 'c3/pr', description: 'passed in 1m 36s (#12, build b-1)' });
  expect(readCommitStatus(status)).toMatchObject({ refName: '#12', buildId: 'b-1' });
});

test('a commit that needs an approval has a pending status, and nothing of it has begun', () => {
  const status = formatCommitStatus(createEnded({ kind: 'needs-approval', message: '1a2b3c4' }));
  expect(status).toMatchObject({ state: 'pending', description: 'needs approval: 1a2b3c4 (main, build b-1)' });
  const read = readCommitStatus(status);
  expect(read.ending).toEqual({ kind: 'needs-approval', message: '1a2b3c4' });
  expect(hasBegun(read)).toBe(false);
  expect(hasBegun(readCommitStatus({ ...status, state: 'success' }))).toBe(true);
});
