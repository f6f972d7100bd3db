import { describe, expect, it } from 'vitest';
import type { BuildPhase, BuildState, Ending } from '../build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { quietUnproven } from './quiet-unproven.ts';

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
const UNREACHABLE = toEnded({ kind: 'infrastructure-error', message: 'the forge refuses more requests' });
const CANCELLED = toEnded({ kind: 'cancelled', message: 'cancelled' });
const PASSED = toEnded({ kind: 'passed', allowed: [] });

/** What of `states` is told, and what happened, in order. */
async function tell(
  states: BuildState[],
  { isProven, mayEnter }: { isProven: boolean; mayEnter: boolean },
): Promise<{ told: BuildState[]; happened: string[] }> {
  const told: BuildState[] = [];
  const happened: string[] = [];
  const inner = { report: (state: BuildState) => void told.push(state), finish: () => Promise.resolve() };
  const reporter = quietUnproven(inner, {
    isProven: () => isProven,
    enter: () => (happened.push('asked'), mayEnter),
    leave: () => void happened.push('left'),
    onKept: () => void happened.push('kept'),
  });
  for (const state of states) reporter.report(state);
  await reporter.finish();
  return { told, happened };
}

describe('a build whose push was not proven', () => {
  it.each([REFUSED, UNREACHABLE, CANCELLED])('is told while there are few, however it ended', async (state) => {
    const { told, happened } = await tell([state], { isProven: false, mayEnter: true });
    expect(told).toMatchObject([{ phase: state.phase, build: { scope: BUILD.scope, sha: BUILD.sha } }]);
    expect(happened).toEqual(['asked', 'left']);
  });

  it('is told without a word of its payload', async () => {
    const gone = toEnded({ kind: 'refused', message: 'ref refs/tags/evil-ref does not exist any more' });
    const { told } = await tell([UNREACHABLE, gone], { isProven: false, mayEnter: true });
    expect(JSON.stringify(told)).not.toContain('evil');
    expect(told[1]).toMatchObject({ phase: { ending: { message: 'ref refs/tags/… does not exist any more' } } });
  });

  it.each([REFUSED, UNREACHABLE, CANCELLED])('is kept when there were too many, however it ended', async (state) => {
    expect(await tell([state, state], { isProven: false, mayEnter: false })).toEqual({
      told: [],
      happened: ['asked', 'kept'],
    });
  });
});

describe('a build whose push was proven', () => {
  it('is told as it is, whatever there was', async () => {
    const states = [toState({ kind: 'queued' }), UNREACHABLE, PASSED];
    expect(await tell(states, { isProven: true, mayEnter: false })).toEqual({ told: states, happened: [] });
  });
});
