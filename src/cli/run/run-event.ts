import type { BuildState, Ending, StepState } from '../../build/index.ts';

/** What `c3 run` reports, in order. With `--json` each event is a line. docs/command-line.md documents them. */
export type RunEvent =
  | {
      readonly kind: 'started';
      readonly sha: string;
      /** `refs/heads/main`. */
      readonly ref: string;
      /** Number of files that differ from HEAD. */
      readonly changedFiles: number;
      /** `the embedded cluster`, `context "staging"`. */
      readonly cluster: string;
    }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string }
  | {
      readonly kind: 'planned';
      readonly steps: readonly Pick<StepState, 'name' | 'container'>[];
      readonly isWarm: boolean;
    }
  | { readonly kind: 'step-started'; readonly step: number; readonly name: string; readonly attempt: number }
  /** One line of a step's output, without its line end. */
  | { readonly kind: 'output'; readonly step: number; readonly name: string; readonly text: string }
  | StepEnded
  | {
      readonly kind: 'ended';
      readonly outcome: Ending['kind'];
      /** The step that failed. */
      readonly step?: string;
      /** The message of the ending; empty if the outcome says everything. */
      readonly message: string;
      /** The exit code of `c3 run`. */
      readonly exitCode: number;
      readonly durationMs: number;
    };

/** Shows the events of one run. */
export interface View {
  show(event: RunEvent): void;
  /** Restores the terminal. */
  close(): void;
}

export interface StepEnded {
  readonly kind: 'step-ended';
  readonly step: number;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'timed-out' | 'cancelled' | 'lost' | 'skipped';
  /** Present if the step ran and failed. */
  readonly exitCode?: number;
  /** The run passes although the step fails. */
  readonly isAllowed: boolean;
  /** Why the step was lost or skipped, if known. */
  readonly reason?: string;
  readonly durationMs: number;
}

/** Returns what happened between two states of a build. */
export function toEvents(before: BuildState | undefined, after: BuildState): RunEvent[] {
  const events: RunEvent[] = after.warnings
    .slice(before?.warnings.length ?? 0)
    .map((message) => ({ kind: 'warning', message }));
  const { phase } = after;
  if (phase.kind === 'preparing' && (before?.phase.kind !== 'preparing' || before.phase.detail !== phase.detail)) {
    events.push({ kind: 'waiting', reason: phase.detail });
  }
  if (after.steps.length > 0 && before?.steps.length !== after.steps.length) {
    const steps = after.steps.map(({ name, container }) => ({ name, container }));
    events.push({ kind: 'planned', steps, isWarm: after.isWarm === true });
  }
  for (const [index, step] of after.steps.entries()) events.push(...toStepEvents(before?.steps[index], step, index));
  if (phase.kind === 'ended' && before?.phase.kind !== 'ended') {
    const { ending } = phase;
    events.push({
      kind: 'ended',
      outcome: ending.kind,
      ...(ending.kind === 'failed' ? { step: ending.step } : {}),
      message: 'message' in ending ? ending.message : '',
      exitCode: toExitCode(after),
      durationMs: (after.endedAt ?? after.startedAt) - after.startedAt,
    });
  }
  return events;
}

function toStepEvents(before: StepState | undefined, after: StepState, step: number): RunEvent[] {
  const { name, attempt, phase, isAllowed, startedAt, endedAt } = after;
  if (before?.phase === phase || phase.kind === 'pending') return [];
  if (phase.kind === 'running') return [{ kind: 'step-started', step, name, attempt }];
  const exitCode = phase.kind === 'failed' ? phase.exitCode : undefined;
  const reason = phase.kind === 'lost' ? phase.message : phase.kind === 'skipped' ? phase.reason : undefined;
  return [
    {
      kind: 'step-ended',
      step,
      name,
      outcome: phase.kind,
      isAllowed,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(reason === undefined ? {} : { reason }),
      durationMs: startedAt === undefined ? 0 : (endedAt ?? startedAt) - startedAt,
    },
  ];
}

/** The exit code of GNU `timeout`. */
const TIMED_OUT = 124;

/** The exit code of a shell after SIGINT. */
export const CANCELLED = 130;

const CONFIG = 2;
const INFRASTRUCTURE = 3;

/** Returns the exit code of `c3 run` for an ended build. If a step failed, it is the exit code of that step. */
export function toExitCode({ phase, steps }: BuildState): number {
  if (phase.kind !== 'ended') return INFRASTRUCTURE;
  const { ending } = phase;
  switch (ending.kind) {
    case 'passed':
    case 'skipped':
      return 0;
    case 'failed': {
      const failed = steps.find((step) => step.name === ending.step && step.phase.kind === 'failed' && !step.isAllowed);
      return failed?.phase.kind === 'failed' ? failed.phase.exitCode || 1 : 1;
    }
    case 'timed-out':
      return TIMED_OUT;
    case 'cancelled':
    case 'superseded':
      return CANCELLED;
    case 'config-error':
      return CONFIG;
    case 'needs-approval':
    case 'refused':
    case 'infrastructure-error':
      return INFRASTRUCTURE;
  }
}
