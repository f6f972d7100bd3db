import type {
  Build,
  BuildPhase,
  BuildState,
  Ending,
  ForgeUrls,
  Reporter,
  StepPhase,
  StepState,
} from '../build/index.ts';
import { createMasking, type Masking } from '../sealing/index.ts';
import { clip } from '../terminal/text.ts';

/** Changes the state of a build; nothing else changes it. Reports every change to the attached reporters. */
export interface BuildProgress {
  readonly state: BuildState;
  /** Reports the current state to a reporter at once, and all changes from now on. */
  attach(reporter: Pick<Reporter, 'report'>): void;
  /**
   * Masks these in all sentences from now on, also those of a cluster or a forge. The tails of steps are masked
   * before.
   */
  hide(masking: Masking): void;
  /** Records the proven build, its links, or how the build before it ended. */
  note(facts: Partial<Pick<BuildState, 'build' | 'links' | 'previous' | 'isResumed'>>): void;
  prepare(detail: string): void;
  warn(warnings: readonly string[]): void;
  plan(steps: readonly PlannedState[], isWarm: boolean): void;
  startStep(index: number, attempt: number): void;
  endStep(index: number, phase: StepPhase, tail: string): void;
  /** Ends the build. Returns the ending as it is reported: masked. */
  end(ending: Ending): Ending;
  /** Frees the search tables of the masking. They are created again if they are needed. */
  rest(): void;
}

/** The state of a step before it runs. */
export type PlannedState = Pick<StepState, 'name' | 'container' | 'command' | 'isAllowed' | 'group'> & {
  /** Why it never runs. */
  readonly skipped: string | undefined;
};

export interface ProgressOptions {
  readonly urls: ForgeUrls;
  /** Epoch milliseconds. */
  now(): number;
}

export function createBuildProgress(build: Build, { urls, now }: ProgressOptions): BuildProgress {
  const attached: Pick<Reporter, 'report'>[] = [];
  let masking = createMasking([]);
  let state: BuildState = {
    build,
    urls,
    phase: { kind: 'queued' },
    steps: [],
    warnings: [],
    isWarm: undefined,
    previous: undefined,
    links: undefined,
    startedAt: now(),
    endedAt: undefined,
  };

  function change(part: Partial<BuildState>): void {
    if (state.phase.kind === 'ended') return;
    state = { ...state, ...part };
    for (const reporter of attached) reporter.report(state);
  }

  function changeStep(index: number, part: Partial<StepState>, phase?: BuildPhase): void {
    const steps = state.steps.map((step, at) => (at === index ? { ...step, ...part } : step));
    change(phase ? { steps, phase } : { steps });
  }

  return {
    get state() {
      return state;
    },
    attach(reporter): void {
      attached.push(reporter);
      reporter.report(state);
    },
    hide(shown): void {
      masking = shown;
    },
    note: change,
    prepare: (detail) => change({ phase: { kind: 'preparing', detail: masking.mask(detail) } }),
    warn(warnings): void {
      if (warnings.length === 0) return;
      change({ warnings: [...state.warnings, ...warnings.map((warning) => masking.mask(warning))] });
    },
    plan: (steps, isWarm) => change({ isWarm, steps: steps.map((step) => toFirstState(step, masking)) }),
    startStep(index, attempt): void {
      const part = { phase: { kind: 'running' }, attempt, startedAt: now(), endedAt: undefined, tail: '' } as const;
      changeStep(index, part, { kind: 'running' });
    },
    endStep: (index, phase, tail) => changeStep(index, { phase: maskWords(phase, masking), tail, endedAt: now() }),
    end(ending): Ending {
      const steps = state.steps.map((step) =>
        step.phase.kind === 'pending' ? { ...step, phase: { kind: 'skipped', reason: undefined } as const } : step,
      );
      const masked = maskWords(ending, masking);
      change({ steps, phase: { kind: 'ended', ending: masked }, endedAt: now() });
      return masked;
    },
    rest: () => masking.rest(),
  };
}

/** Masks the sentences of an ending of a build or a step. */
function maskWords<T extends Ending | StepPhase>(ending: T, masking: Masking): T {
  const shown = 'message' in ending ? { message: masking.mask(ending.message) } : {};
  if (!('problems' in ending)) return { ...ending, ...shown };
  const problems = ending.problems?.map(({ message, hint, ...rest }) => ({
    ...rest,
    message: masking.mask(message),
    ...(hint === undefined ? {} : { hint: masking.mask(hint) }),
  }));
  return { ...ending, ...shown, problems };
}

/** A script that nobody reads on a page. Each running build holds the commands of its steps. */
const MAX_COMMAND_LENGTH = 4_000;

/** Copies field by field, since a planned step may have more than people may see. */
export function toFirstState(
  { name, container, command, isAllowed, group, skipped }: PlannedState,
  masking: Masking,
): StepState {
  return {
    name,
    container,
    command: command && clip(masking.mask(command), MAX_COMMAND_LENGTH),
    phase: skipped === undefined ? { kind: 'pending' } : { kind: 'skipped', reason: skipped },
    attempt: 1,
    isAllowed,
    group,
    startedAt: undefined,
    endedAt: undefined,
    tail: '',
  };
}
