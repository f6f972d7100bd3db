import { expect, it } from 'vitest';
import type { BuildState, Ending, StepState } from '../../build/index.ts';
import { createBuild } from '../../../test/fakes/sample-build.ts';
import { toEvents, toExitCode } from './run-event.ts';

function toState(part: Partial<BuildState> = {}): BuildState {
  return {
    build: createBuild(),
    urls: { repository: '', commit: '' },
    phase: { kind: 'queued' },
    steps: [],
    warnings: [],
    isWarm: undefined,
    previous: undefined,
    links: undefined,
    startedAt: 1000,
    endedAt: undefined,
    ...part,
  };
}

function toStep(part: Partial<StepState> = {}): StepState {
  return {
    name: 'test',
    container: 'main',
    phase: { kind: 'pending' },
    attempt: 1,
    isAllowed: false,
    group: undefined,
    startedAt: undefined,
    endedAt: undefined,
    tail: '',
    ...part,
  };
}

function toEnded(ending: Ending, steps: readonly StepState[] = []): BuildState {
  return toState({ phase: { kind: 'ended', ending }, steps, endedAt: 4000 });
}

it('tells each change once, in order', () => {
  const running = toStep({ phase: { kind: 'running' }, startedAt: 1500 });
  const failed = toStep({ phase: { kind: 'failed', exitCode: 3 }, startedAt: 1500, endedAt: 2500 });
  const states = [
    toState(),
    toState({ warnings: ['careful'], phase: { kind: 'preparing', detail: 'pulling image' } }),
    toState({ warnings: ['careful'], phase: { kind: 'preparing', detail: 'pulling image' } }),
    toState({ warnings: ['careful'], isWarm: true, steps: [toStep(), toStep({ name: 'deploy' })] }),
    toState({ warnings: ['careful'], isWarm: true, steps: [running, toStep({ name: 'deploy' })] }),
    toState({ warnings: ['careful'], isWarm: true, steps: [failed, toStep({ name: 'deploy' })] }),
    toState({
      warnings: ['careful'],
      isWarm: true,
      steps: [failed, toStep({ name: 'deploy', phase: { kind: 'skipped', reason: undefined } })],
      phase: { kind: 'ended', ending: { kind: 'failed', step: 'test', message: 'exit code 3' } },
      endedAt: 3000,
    }),
  ];
  expect(states.flatMap((state, index) => toEvents(states[index - 1], state))).toEqual([
    { kind: 'warning', message: 'careful' },
    { kind: 'waiting', reason: 'pulling image' },
    {
      kind: 'planned',
      steps: [
        { name: 'test', container: 'main' },
        { name: 'deploy', container: 'main' },
      ],
      isWarm: true,
    },
    { kind: 'step-started', step: 0, name: 'test', attempt: 1 },
    { kind: 'step-ended', step: 0, name: 'test', outcome: 'failed', exitCode: 3, isAllowed: false, durationMs: 1000 },
    { kind: 'step-ended', step: 1, name: 'deploy', outcome: 'skipped', isAllowed: false, durationMs: 0 },
    { kind: 'ended', outcome: 'failed', step: 'test', message: 'exit code 3', exitCode: 3, durationMs: 2000 },
  ]);
});

it.each<[Ending, number]>([
  [{ kind: 'passed', allowed: [] }, 0],
  [{ kind: 'skipped', message: 'not this branch' }, 0],
  [{ kind: 'timed-out', message: 'late' }, 124],
  [{ kind: 'cancelled', message: 'enough' }, 130],
  [{ kind: 'superseded', message: 'newer' }, 130],
  [{ kind: 'config-error', message: 'wrong' }, 2],
  [{ kind: 'refused', message: 'no' }, 3],
  [{ kind: 'infrastructure-error', message: 'gone' }, 3],
])('ends after %j with %i', (ending, exitCode) => {
  expect(toExitCode(toEnded(ending))).toBe(exitCode);
});

it('ends with the code of the step that failed, not of one that may, and with 1 where it has none', () => {
  const ending: Ending = { kind: 'failed', step: 'test', message: 'exit code 7' };
  const allowed = toStep({ phase: { kind: 'failed', exitCode: 5 }, isAllowed: true });
  expect(toExitCode(toEnded(ending, [allowed, toStep({ phase: { kind: 'failed', exitCode: 7 } })]))).toBe(7);
  expect(toExitCode(toEnded(ending, [toStep({ phase: { kind: 'failed', exitCode: undefined } })]))).toBe(1);
  expect(toExitCode(toEnded(ending, [toStep({ phase: { kind: 'failed', exitCode: 0 } })]))).toBe(1);
});
