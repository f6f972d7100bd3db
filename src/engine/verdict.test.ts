import { expect, it } from 'vitest';
import type { StepResult } from '../agent/step.ts';
import type { Task } from './tasks.ts';
import { toAttemptLimit, toPhase, toVerdict, type AttemptLimit, type Circumstances } from './verdict.ts';
import { createTask } from '../../test/fakes/task.ts';

const SHA = 'abcdef0123456789abcdef0123456789abcdef01';
const STEP = createTask({ env: { C3_SHA: SHA } });
const CHECKOUT: Task = { ...STEP, kind: 'checkout', name: 'checkout', container: 'git' };
const NOW: Circumstances = {
  tail: 'one\nfatal: no such ref\n',
  isOfPart: false,
  isPastLimit: false,
  limit: 'the time limit of the build',
  signal: new AbortController().signal,
};
const exited = (exitCode: number): StepResult => ({ kind: 'exited', exitCode });

it.each([
  [1, 'exit code 1'],
  [126, 'exit code 126 (a command cannot be run)'],
  [127, 'exit code 127 (a command was not found)'],
  [137, 'exit code 137 (killed, often for memory)'],
  [143, 'exit code 143 (signal 15)'],
  [255, 'exit code 255'],
])('a step that exits with %i has failed: %j', (code, message) => {
  expect(toVerdict(STEP, exited(code), NOW)).toEqual({
    kind: 'failed',
    ending: { kind: 'failed', step: 'test', message },
  });
  expect(toPhase(exited(code))).toEqual({ kind: 'failed', exitCode: code });
});

it('a step in whose time the kernel killed a process for memory says so, whatever its exit code', () => {
  const message = 'exit code 2 (its container was out of memory, and the kernel killed a process there)';
  expect(toVerdict(STEP, { kind: 'exited', exitCode: 2, isOutOfMemory: true }, NOW)).toEqual({
    kind: 'failed',
    ending: { kind: 'failed', step: 'test', message },
  });
});

it.each<[StepResult, Partial<Circumstances>, object]>([
  [exited(0), {}, { kind: 'passed' }],
  [
    { kind: 'log-limit' },
    {},
    {
      kind: 'failed',
      ending: { kind: 'failed', step: 'test', message: 'ended because it wrote more than 2 GiB of output' },
    },
  ],
  [
    { kind: 'timed-out' },
    {},
    { kind: 'failed', ending: { kind: 'timed-out', message: 'Step "test" was ended at its time limit' } },
  ],
  [
    { kind: 'timed-out' },
    { isPastLimit: true },
    { kind: 'stopped', ending: { kind: 'timed-out', message: 'Step "test" was ended at the time limit of the build' } },
  ],
  [
    { kind: 'timed-out' },
    { isOfPart: true },
    { kind: 'stopped', ending: { kind: 'timed-out', message: 'Step "test" was ended at the time limit of the build' } },
  ],
  [
    { kind: 'cancelled' },
    { isPastLimit: true, signal: AbortSignal.abort() },
    { kind: 'stopped', ending: { kind: 'cancelled', message: 'The build was cancelled during step "test"' } },
  ],
  [
    { kind: 'lost', message: 'its container died' },
    {},
    {
      kind: 'stopped',
      ending: {
        kind: 'infrastructure-error',
        message: 'Step "test" could not be followed to its end: its container died',
      },
    },
  ],
])('%j in %j means %j', (result, part, verdict) => {
  expect(toVerdict(STEP, result, { ...NOW, ...part })).toEqual(verdict);
});

it.each([
  [NOW.tail, 'fatal: no such ref'],
  ['', 'exit code 128'],
])('a checkout that fails is no fault of the steps, and says why (%j)', (tail, why) => {
  const message = `Checking out abcdef0 in container "git" failed: ${why}`;
  expect(toVerdict(CHECKOUT, exited(128), { ...NOW, tail })).toEqual({
    kind: 'stopped',
    ending: { kind: 'infrastructure-error', message },
  });
});

it('a checkout that needs the forge after all is tried again, with access', () => {
  expect(toVerdict(CHECKOUT, exited(75), NOW)).toMatchObject({ kind: 'failed' });
  expect(toVerdict(CHECKOUT, exited(1), NOW)).toMatchObject({ kind: 'stopped' });
});

it('a checkout that finds a fault of the commit has failed like a step, and is not tried again', () => {
  const tail = 'c3: vendor/lib is a submodule, but the commit has no .gitmodules\n';
  expect(toVerdict(CHECKOUT, exited(76), { ...NOW, tail })).toEqual({
    kind: 'stopped',
    ending: {
      kind: 'failed',
      step: 'checkout',
      message: 'vendor/lib is a submodule, but the commit has no .gitmodules',
    },
  });
});

it.each<[string, number | undefined, number, boolean, AttemptLimit]>([
  ['its own limit', 5_000, 60_000, false, { timeoutMs: 5_000, isOfPart: false }],
  ['what its part has left', 60_000, 5_000, false, { timeoutMs: 5_000, isOfPart: true }],
  ['what its part has left, without a limit of its own', undefined, 5_000, true, { timeoutMs: 5_000, isOfPart: true }],
  ['one second at least', undefined, -3, false, { timeoutMs: 1_000, isOfPart: true }],
  ['a limit that is decided by the clock if it is resumed', 60_000, 5_000, true, { timeoutMs: 5_000, isOfPart: false }],
])('an attempt has %s', (_, timeoutMs, partMs, isResumed, limit) => {
  expect(toAttemptLimit({ timeoutMs }, partMs, isResumed)).toEqual(limit);
});
