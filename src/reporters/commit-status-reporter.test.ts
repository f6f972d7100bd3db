import { expect, test } from 'vitest';
import type { CommitStatus, Ending } from '../build/index.ts';
import { createEnded, createState, FAILED, PASSED, RUNNING, START } from '../../dev/telegram/build-states.ts';
import { createFakeClock } from '../../dev/telegram/fake-clock.ts';
import { C3Error } from '../errors.ts';
import { createCommitStatusReporter } from './reporter.ts';

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

test('only the final status is set, once', async () => {
  const { reporter, sent } = createSetup({ faults: [] });
  const ending: Ending = { kind: 'passed', allowed: [] };
  for (const state of [createState({ kind: 'queued' }), RUNNING, PASSED, createEnded(ending)]) reporter.report(state);
  await reporter.finish();
  expect(sent).toEqual([{ state: 'success', description: 'passed in 1m 36s (build b-1)' }]);
});

test('a transient fault is retried', async () => {
  const fault = new C3Error('FORGE_UNREACHABLE', 'github.com answered 502');
  const { reporter, sent, clock, warnings } = createSetup({ faults: [fault, fault] });
  reporter.report(FAILED);
  expect([await clock.jump(), await clock.jump()]).toEqual([1_000, 2_000]);
  await reporter.finish();
  expect(sent).toHaveLength(3);
  expect(warnings).toEqual([]);
});

test('a refusal is not retried', async () => {
  const { reporter, sent, warnings } = createSetup({ faults: [new C3Error('FORGE_REFUSED', 'no such commit')] });
  reporter.report(FAILED);
  await reporter.finish();
  expect(sent).toHaveLength(1);
  expect(warnings).toEqual(['Gave up setting the commit status to failure: no such commit']);
});

test('an unavailable forge is given up within two minutes, and an unknown fault is not quoted', async () => {
  const { reporter, clock, warnings } = createSetup({
    faults: Array.from({ length: 99 }, () => new Error('https://user:secret@x')),
  });
  reporter.report(FAILED);
  await clock.jumpUntil(reporter.finish());
  expect(clock.now() - START).toBeLessThanOrEqual(120_000);
  expect(warnings).toEqual(['Gave up setting the commit status to failure: an unexpected fault']);
});

test('a call that never ends counts as a transient fault', async () => {
  const { reporter, clock, warnings } = createSetup({ faults: [], hangs: true });
  reporter.report(FAILED);
  await clock.jumpUntil(reporter.finish());
  expect(warnings).toEqual(['Gave up setting the commit status to failure: no response in 15s']);
});
