import { describe, expect, it } from 'vitest';
import type { BuildPhase, BuildState } from '../engine/index.ts';
import { quietRefusals } from './quiet-refusals.ts';

function toState(phase: BuildPhase): BuildState {
  return { phase } as BuildState;
}

const REFUSED = toState({ kind: 'ended', ending: { kind: 'refused', message: 'the token may not push' } });
const PASSED = toState({ kind: 'ended', ending: { kind: 'passed', allowed: [] } });
const QUEUED = toState({ kind: 'queued' });

/** What of `states` is told when `waitMs` is what the bucket answers. */
async function tell(
  states: BuildState[],
  waitMs: number,
): Promise<{ told: BuildState[]; kept: number; asked: number }> {
  const told: BuildState[] = [];
  let [kept, asked] = [0, 0];
  const inner = { report: (state: BuildState) => void told.push(state), finish: () => Promise.resolve() };
  const reporter = quietRefusals(
    inner,
    () => ((asked += 1), waitMs),
    () => (kept += 1),
  );
  for (const state of states) reporter.report(state);
  await reporter.finish();
  return { told, kept, asked };
}

describe('refusals', () => {
  it('are told while there are few', async () => {
    expect(await tell([REFUSED], 0)).toEqual({ told: [REFUSED], kept: 0, asked: 1 });
  });

  it('are kept when there were too many, and that is noted once', async () => {
    expect(await tell([REFUSED, REFUSED], 1000)).toEqual({ told: [], kept: 1, asked: 1 });
  });

  it('do not concern other builds, which are told whatever there was', async () => {
    expect(await tell([PASSED], 1000)).toEqual({ told: [PASSED], kept: 0, asked: 0 });
    expect(await tell([QUEUED, REFUSED], 1000)).toEqual({ told: [QUEUED, REFUSED], kept: 0, asked: 0 });
  });
});
