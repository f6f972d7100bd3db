import { describe, expect, it } from 'vitest';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { formatCommitStatus, readCommitStatus, type CommitStatus } from './commit-status.ts';
import type { BuildState, Ending } from './build-state.ts';
import { confirmState, type ForgeAnswer } from './confirmed-state.ts';

const RUNNING: BuildState = {
  build: createBuild(),
  urls: { repository: '', commit: '' },
  phase: { kind: 'running' },
  steps: [],
  warnings: [],
  isWarm: true,
  previous: undefined,
  links: undefined,
  startedAt: 1000,
  endedAt: 1400,
};

function ended(ending: Ending): BuildState {
  return { ...RUNNING, phase: { kind: 'ended', ending } };
}

function read(status: CommitStatus): ForgeAnswer {
  return { kind: 'answered', status: { ...readCommitStatus(status), state: status.state } };
}

const endings: readonly Ending[] = [
  { kind: 'passed', allowed: [] },
  { kind: 'failed', step: 'unit: tests', message: 'exit code 3 (a: b)' },
  { kind: 'timed-out', message: 'Step "a: b" was ended at its time limit' },
  { kind: 'cancelled', message: 'The build was cancelled during step "a"' },
  { kind: 'superseded', message: 'The build was superseded by 1234567' },
  { kind: 'config-error', message: 'c3.yaml:1:2 error: unknown key "a"' },
  { kind: 'refused', message: 'the token may not push' },
  { kind: 'infrastructure-error', message: 'Pod shop-1 was deleted' },
];

describe('a build whose end the forge knows', () => {
  it.each(endings)('is shown as it was noted where that is the same (%j)', (ending) => {
    expect(confirmState(ended(ending), read(formatCommitStatus(ended(ending))))).toEqual(ended(ending));
  });

  it.each(endings)('ended as the forge says where nothing of its end was noted, and says so (%j)', (ending) => {
    const confirmed = confirmState(RUNNING, read(formatCommitStatus(ended(ending))));
    expect(confirmed).toEqual({
      ...ended(ending),
      warnings: [expect.stringContaining('the forge reports') as string],
    });
  });

  it('did not pass because its own steps noted so', () => {
    const status = { state: 'failure', description: 'failed at test after 8s: exit code 3' } as const;
    const forged = ended({ kind: 'passed', allowed: [] });
    expect(confirmState(forged, read(status)).phase).toEqual({
      kind: 'ended',
      ending: { kind: 'failed', step: 'test', message: 'exit code 3' },
    });
  });

  it('is told in words that c3 does not know as they are', () => {
    const told = (state: 'failure' | 'error'): unknown =>
      confirmState(RUNNING, read({ state, description: 'broken' })).phase;
    expect(told('failure')).toEqual({ kind: 'ended', ending: { kind: 'failed', step: 'a step', message: 'broken' } });
    expect(told('error')).toEqual({ kind: 'ended', ending: { kind: 'infrastructure-error', message: 'broken' } });
  });
});

describe('a build whose end the forge does not know', () => {
  it('is shown as it was noted, with a warning when it has ended', () => {
    const passed = ended({ kind: 'passed', allowed: [] });
    const pending = read({ state: 'pending', description: 'running' });
    for (const answer of [{ kind: 'answered', status: undefined } as const, pending]) {
      expect(confirmState(RUNNING, answer)).toEqual(RUNNING);
      expect(confirmState(passed, answer)).toMatchObject({
        phase: passed.phase,
        isUnconfirmed: true,
        warnings: [expect.stringContaining('forge does not know this ending')],
      });
    }
  });

  it('is shown as it was noted where the forge does not answer, with a warning', () => {
    expect(confirmState(RUNNING, { kind: 'unreachable' })).toMatchObject({
      phase: RUNNING.phase,
      warnings: [expect.stringContaining('forge does not answer')],
    });
    expect(confirmState(RUNNING, { kind: 'unreachable' })).not.toHaveProperty('isUnconfirmed');
    expect(confirmState(ended({ kind: 'passed', allowed: [] }), { kind: 'unreachable' })).toHaveProperty(
      'isUnconfirmed',
      true,
    );
  });
});
