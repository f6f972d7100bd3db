import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createEnded,
  createState,
  createStep,
  FAILED,
  PASSED,
  RUNNING,
  START,
} from '../../dev/telegram/build-states.ts';
import { createFakeClock } from '../../dev/telegram/fake-clock.ts';
import type { Ending } from '../engine/build-state.ts';
import { C3Error } from '../errors.ts';
import type { CommitStatus } from '../forges/forge.ts';
import { createCommitStatusReporter, MAX_DESCRIPTION_LENGTH, toCommitStatus } from './commit-status.ts';

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
    'fixed, but for what may fail',
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
    createEnded({ kind: 'config-error', message: 'unknown key "wen"\nunknown key "stpes"', detail: '…' }),
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
    'infrastructure error after 1m 36s: Pod evicted',
  ],
] as const)('a build that is %s has its state and sentence', (_, state, expected, description) => {
  expect(toCommitStatus(state)).toEqual({ state: expected, description, buildId: 'b-1' });
});

test('a status leads to the page for looking, and shows nobody the way to control', () => {
  const links = { look: 'https://c3.example/b/look', control: 'https://c3.example/b/control' };
  const status = toCommitStatus({ ...PASSED, links });
  expect(status.targetUrl).toBe(links.look);
  expect(JSON.stringify(status)).not.toContain(links.control);
});

test('no description is longer than a forge takes, whatever the names and sentences', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      (step, message) => {
        const { description } = toCommitStatus(createEnded({ kind: 'failed', step, message }));
        expect(description.length).toBeLessThanOrEqual(MAX_DESCRIPTION_LENGTH);
        expect(description).toMatch(/after 1m 36s/);
        expect(description).not.toMatch(/\p{Cc}/u);
      },
    ),
  );
});

interface Setup {
  readonly faults: readonly Error[];
  readonly hangs?: boolean;
}

function createSetup({ faults, hangs = false }: Setup): {
  sent: CommitStatus[];
  warnings: string[];
  clock: ReturnType<typeof createFakeClock>;
  reporter: ReturnType<typeof createCommitStatusReporter>;
} {
  const left = [...faults];
  const sent: CommitStatus[] = [];
  const warnings: string[] = [];
  const clock = createFakeClock(START);
  const reporter = createCommitStatusReporter({
    clock,
    log: { warn: (message) => warnings.push(message) },
    async setStatus(status): Promise<void> {
      sent.push(status);
      if (hangs) await new Promise(() => undefined);
      const fault = left.shift();
      if (fault !== undefined) throw fault;
    },
  });
  return { sent, warnings, clock, reporter };
}

test('only the end is set, once', async () => {
  const { reporter, sent } = createSetup({ faults: [] });
  const ending: Ending = { kind: 'passed', allowed: [] };
  for (const state of [createState({ kind: 'queued' }), RUNNING, PASSED, createEnded(ending)]) reporter.report(state);
  await reporter.finish();
  expect(sent).toEqual([{ state: 'success', description: 'passed in 1m 36s', buildId: 'b-1' }]);
});

test('a passing fault is tried again', async () => {
  const fault = new C3Error('FORGE_UNREACHABLE', 'github.com answered 502');
  const { reporter, sent, clock, warnings } = createSetup({ faults: [fault, fault] });
  reporter.report(FAILED);
  expect([await clock.jump(), await clock.jump()]).toEqual([1_000, 2_000]);
  await reporter.finish();
  expect(sent).toHaveLength(3);
  expect(warnings).toEqual([]);
});

test('a refusal is not tried again', async () => {
  const { reporter, sent, warnings } = createSetup({ faults: [new C3Error('FORGE_REFUSED', 'no such commit')] });
  reporter.report(FAILED);
  await reporter.finish();
  expect(sent).toHaveLength(1);
  expect(warnings).toEqual(['Gave up setting the commit status to failure: no such commit']);
});

test('a forge that stays away is given up within two minutes, and an unknown fault is not quoted', async () => {
  const { reporter, clock, warnings } = createSetup({
    faults: Array.from({ length: 99 }, () => new Error('https://user:secret@x')),
  });
  reporter.report(FAILED);
  await clock.jumpUntil(reporter.finish());
  expect(clock.now() - START).toBeLessThanOrEqual(120_000);
  expect(warnings).toEqual(['Gave up setting the commit status to failure: an unexpected fault']);
});

test('a call that never ends counts as a passing fault', async () => {
  const { reporter, clock, warnings } = createSetup({ faults: [], hangs: true });
  reporter.report(FAILED);
  await clock.jumpUntil(reporter.finish());
  expect(warnings).toEqual(['Gave up setting the commit status to failure: no answer in 15s']);
});
