import type { BuildPhase, BuildSource, BuildState, Ending, Reporter, StepPhase, StepState } from './build-state.ts';

/** The one place where a build's state changes; every change is told to the reporter, as soon as there is one. */
export interface BuildProgress {
  readonly state: BuildState;
  /** From now on changes are reported; the present state at once. */
  attach(reporter: Reporter): void;
  prepare(detail: string): void;
  warn(warnings: readonly string[]): void;
  plan(steps: readonly { name: string; container: string }[], isWarm: boolean): void;
  startStep(index: number): void;
  endStep(index: number, phase: StepPhase, tail: string): void;
  end(ending: Ending): void;
}

export function createBuildProgress(id: string, source: BuildSource, now: () => number): BuildProgress {
  let reporter: Reporter | undefined;
  let state: BuildState = {
    id,
    source,
    phase: { kind: 'queued' },
    steps: [],
    warnings: [],
    isWarm: undefined,
    startedAt: now(),
    endedAt: undefined,
  };

  function change(part: Partial<BuildState>): void {
    if (state.phase.kind === 'ended') return;
    state = { ...state, ...part };
    reporter?.report(state);
  }

  function changeStep(index: number, part: Partial<StepState>, phase?: BuildPhase): void {
    const steps = state.steps.map((step, at) => (at === index ? { ...step, ...part } : step));
    change(phase ? { steps, phase } : { steps });
  }

  return {
    get state() {
      return state;
    },
    attach(next): void {
      reporter = next;
      reporter.report(state);
    },
    prepare: (detail) => change({ phase: { kind: 'preparing', detail } }),
    warn: (warnings) => change({ warnings: [...state.warnings, ...warnings] }),
    plan: (steps, isWarm) => change({ isWarm, steps: steps.map(({ name, container }) => toPending(name, container)) }),
    startStep: (index) => changeStep(index, { phase: { kind: 'running' }, startedAt: now() }, { kind: 'running' }),
    endStep: (index, phase, tail) => changeStep(index, { phase, tail, endedAt: now() }),
    end(ending): void {
      const steps = state.steps.map((step) =>
        step.phase.kind === 'pending' ? { ...step, phase: { kind: 'skipped' as const } } : step,
      );
      change({ steps, phase: { kind: 'ended', ending }, endedAt: now() });
    },
  };
}

function toPending(name: string, container: string): StepState {
  return { name, container, phase: { kind: 'pending' }, startedAt: undefined, endedAt: undefined, tail: '' };
}
