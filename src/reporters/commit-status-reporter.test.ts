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
  expect(sent).toEqual([{ context: 'c3/push', state: 'success', description: 'passed in 1m 36s (main, build b-1)' }]);
});

test('a build that its event or branch excludes has no status; one that its paths exclude has', async () => {
  const excluded = createSetup({ faults: [] });
  excluded.reporter.report(createEnded({ kind: 'skipped', message: 'branch "dev" does not match when.branch' }));
  await excluded.reporter.finish();
  expect(excluded.sent).toEqual([]);
  const untouched = createSetup({ faults: [] });
  untouched.reporter.report(createEnded({ kind: 'skipped', message: 'nothing to do for these paths', by: 'paths' }));
  await untouched.reporter.finish();
  expect(untouched.sent).toMatchObject([
    { state: 'success', description: 'skipped: nothing to do for these paths (main, build b-1)' },
  ]);
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

test('an attempt may take as long as the client asks again for a token that the forge suddenly refuses', async () => {
  const sent: CommitStatus[] = [];
  const clock = createFakeClock(START);
  const reporter = createCommitStatusReporter({
    clock,
    log: { warn: (message) => expect.fail(message) },
    async setStatus(status): Promise<void> {
      sent.push(status);
      await new Promise<void>((resolve) => clock.setTimer(resolve, 30_000));
    },
  });
  reporter.report(PASSED);
  await clock.jumpUntil(reporter.finish());
  expect(sent).toHaveLength(1);
});

test.each(['FORGE_REFUSED', 'STATUS_LIMIT'] as const)(
  'a refusal (%s) is not retried, and is in the log',
  async (code) => {
    const { reporter, sent, warnings } = createSetup({ faults: [new C3Error(code, 'no such commit')] });
    reporter.report(FAILED);
    await reporter.finish();
    expect(sent).toHaveLength(1);
    expect(warnings).toEqual(['Gave up setting the commit status to failure: no such commit']);
  },
);

test('an unavailable forge is given up within ten minutes, and an unknown fault is not quoted', async () => {
  const { reporter, clock, warnings } = createSetup({
    faults: Array.from({ length: 99 }, () => new Error('https://user:secret@x')),
  });
  reporter.report(FAILED);
  await clock.jumpUntil(reporter.finish());
  expect(clock.now() - START).toBeLessThanOrEqual(600_000);
  expect(warnings).toEqual(['Gave up setting the commit status to failure: an unexpected fault']);
});

test('a call that never ends counts as a transient fault', async () => {
  const { reporter, clock, warnings } = createSetup({ faults: [], hangs: true });
  reporter.report(FAILED);
  await clock.jumpUntil(reporter.finish());
  expect(warnings).toEqual(['Gave up setting the commit status to failure: no response in 1m']);
});
