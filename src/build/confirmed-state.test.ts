import { describe, expect, it } from 'vitest';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { formatCommitStatus, readCommitStatus, type CommitStatus } from './commit-status.ts';
import type { BuildState, Ending } from './build-state.ts';
import { confirmState, type ForgeReport } from './confirmed-state.ts';

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

function read(status: CommitStatus): ForgeReport {
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

describe('a build with a final status at the forge', () => {
  it.each(endings)('is shown as the Pod recorded it if both agree (%j)', (ending) => {
    expect(confirmState(ended(ending), read(formatCommitStatus(ended(ending))))).toEqual(ended(ending));
  });

  it.each(endings)('ended as the forge reports if the Pod recorded no ending, with a warning (%j)', (ending) => {
    const confirmed = confirmState(RUNNING, read(formatCommitStatus(ended(ending))));
    expect(confirmed).toEqual({
      ...ended(ending),
      warnings: [expect.stringContaining('the forge reports') as string],
    });
  });

  it('did not pass if only the Pod says so', () => {
    const status = {
      context: 'c3/push',
      state: 'failure',
      description: 'failed at test after 8s: exit code 3',
    } as const;
    const forged = ended({ kind: 'passed', allowed: [] });
    expect(confirmState(forged, read(status)).phase).toEqual({
      kind: 'ended',
      ending: { kind: 'failed', step: 'test', message: 'exit code 3' },
    });
  });

  it('is shown with the text of a status that c3 did not write', () => {
    const toPhase = (state: 'failure' | 'error'): unknown =>
      confirmState(RUNNING, read({ context: 'c3/push', state, description: 'broken' })).phase;
    expect(toPhase('failure')).toEqual({
      kind: 'ended',
      ending: { kind: 'failed', step: 'a step', message: 'broken' },
    });
    expect(toPhase('error')).toEqual({ kind: 'ended', ending: { kind: 'infrastructure-error', message: 'broken' } });
  });
});

describe('a build without a final status at the forge', () => {
  it('is shown as the Pod recorded it, with a warning if it has ended', () => {
    const passed = ended({ kind: 'passed', allowed: [] });
    const pending = read({ context: 'c3/push', state: 'pending', description: 'running' });
    for (const answer of [{ kind: 'answered', status: undefined } as const, pending]) {
      expect(confirmState(RUNNING, answer)).toEqual(RUNNING);
      expect(confirmState(passed, answer)).toMatchObject({
        phase: passed.phase,
        isUnconfirmed: true,
        warnings: [expect.stringContaining('forge does not know this ending')],
      });
    }
  });

  it('is shown as the Pod recorded it if the forge does not answer, with a warning', () => {
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
