import { describe, expect, it } from 'vitest';
import { toCommitStatus } from '../reporters/commit-status.ts';
import type { BuildState, Ending } from './build-state.ts';
import { confirmState } from './confirmed-state.ts';

const RUNNING: BuildState = {
  id: 'b1',
  source: {
    scope: 'git.example.com/a/b',
    repositoryUrl: 'https://git.example.com/a/b',
    refKind: 'branch',
    refName: 'main',
    sha: '1'.repeat(40),
    commitUrl: 'https://git.example.com/a/b/commit/1',
    subject: 's',
    author: 'a',
  },
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
    const { state, description } = toCommitStatus(ended(ending));
    expect(confirmState(ended(ending), { kind: 'told', status: { state, description } })).toEqual(ended(ending));
  });

  it.each(endings)('ended as the forge says where nothing of its end was noted, and says so (%j)', (ending) => {
    const { state, description } = toCommitStatus(ended(ending));
    const confirmed = confirmState(RUNNING, { kind: 'told', status: { state, description } });
    expect(confirmed).toEqual({
      ...ended(ending),
      warnings: [expect.stringContaining('what the forge says') as string],
    });
  });

  it('did not pass because its own steps noted so', () => {
    const status = { state: 'failure', description: 'failed at test after 8s: exit code 3' } as const;
    const forged = ended({ kind: 'passed', allowed: [] });
    expect(confirmState(forged, { kind: 'told', status }).phase).toEqual({
      kind: 'ended',
      ending: { kind: 'failed', step: 'test', message: 'exit code 3' },
    });
  });

  it('is told in words that c3 does not know as they are', () => {
    const told = (state: 'failure' | 'error'): unknown =>
      confirmState(RUNNING, { kind: 'told', status: { state, description: 'broken' } }).phase;
    expect(told('failure')).toEqual({ kind: 'ended', ending: { kind: 'failed', step: 'a step', message: 'broken' } });
    expect(told('error')).toEqual({ kind: 'ended', ending: { kind: 'infrastructure-error', message: 'broken' } });
  });
});

describe('a build whose end the forge does not know', () => {
  it('is shown as it was noted, with a warning when it has ended', () => {
    const passed = ended({ kind: 'passed', allowed: [] });
    for (const status of [undefined, { state: 'pending', description: 'building' } as const]) {
      expect(confirmState(RUNNING, { kind: 'told', status })).toEqual(RUNNING);
      expect(confirmState(passed, { kind: 'told', status })).toMatchObject({
        phase: passed.phase,
        isUnconfirmed: true,
        warnings: [expect.stringContaining('the forge does not know of this end')],
      });
    }
  });

  it('is shown as it was noted where the forge does not answer, with a warning', () => {
    expect(confirmState(RUNNING, { kind: 'silent' })).toMatchObject({
      phase: RUNNING.phase,
      warnings: [expect.stringContaining('the forge does not answer')],
    });
    expect(confirmState(RUNNING, { kind: 'silent' })).not.toHaveProperty('isUnconfirmed');
    expect(confirmState(ended({ kind: 'passed', allowed: [] }), { kind: 'silent' })).toHaveProperty(
      'isUnconfirmed',
      true,
    );
  });
});
