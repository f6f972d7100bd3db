import { describe, expect, it } from 'vitest';
import type { BuildPhase, BuildState, Ending } from '../build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { quietUnproven } from './create-reporters.ts';

const BUILD = createBuild({
  ref: { kind: 'tag', name: 'evil-ref' },
  commit: { subject: 'evil subject', author: 'evil author' },
});

function toState(phase: BuildPhase): BuildState {
  return { phase, build: BUILD } as BuildState;
}

function toEnded(ending: Ending): BuildState {
  return toState({ kind: 'ended', ending });
}

const REFUSED = toEnded({ kind: 'refused', message: 'the token may not push' });
const UNREACHABLE = toEnded({ kind: 'infrastructure-error', message: 'the forge accepts no more requests' });
const CANCELLED = toEnded({ kind: 'cancelled', message: 'cancelled' });
const PASSED = toEnded({ kind: 'passed', allowed: [] });

/** Reports the states and returns what arrived and what happened, in order. */
async function report(
  states: BuildState[],
  { isProven, hasRoom }: { isProven: boolean; hasRoom: boolean },
): Promise<{ arrived: BuildState[]; happened: string[] }> {
  const arrived: BuildState[] = [];
  const happened: string[] = [];
  const inner = { report: (state: BuildState) => void arrived.push(state), finish: () => Promise.resolve() };
  const reporter = quietUnproven(inner, {
    isProven: () => isProven,
    acquire() {
      happened.push('acquire');
      return hasRoom ? () => void happened.push('release') : undefined;
    },
    onDropped: () => void happened.push('dropped'),
  });
  for (const state of states) reporter.report(state);
  await reporter.finish();
  return { arrived, happened };
}

describe('an unproven build', () => {
  it.each([REFUSED, UNREACHABLE, CANCELLED])('is reported while there are few, however it ended', async (state) => {
    const { arrived, happened } = await report([state], { isProven: false, hasRoom: true });
    expect(arrived).toMatchObject([{ phase: state.phase, build: { scope: BUILD.scope, sha: BUILD.sha } }]);
    expect(happened).toEqual(['acquire', 'release']);
  });

  it('is reported without any text of its payload', async () => {
    const gone = toEnded({ kind: 'refused', message: 'ref refs/tags/evil-ref no longer exists' });
    const { arrived } = await report([UNREACHABLE, gone], { isProven: false, hasRoom: true });
    expect(JSON.stringify(arrived)).not.toContain('evil');
    expect(arrived[1]).toMatchObject({ phase: { ending: { message: 'ref refs/tags/… no longer exists' } } });
  });

  it.each([REFUSED, UNREACHABLE, CANCELLED])(
    'is not reported when there were too many, however it ended',
    async (state) => {
      expect(await report([state, state], { isProven: false, hasRoom: false })).toEqual({
        arrived: [],
        happened: ['acquire', 'dropped'],
      });
    },
  );
});

describe('a proven build', () => {
  it('is always reported unchanged', async () => {
    const states = [toState({ kind: 'queued' }), UNREACHABLE, PASSED];
    expect(await report(states, { isProven: true, hasRoom: false })).toEqual({ arrived: states, happened: [] });
  });
});
