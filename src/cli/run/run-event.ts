import type { BuildState, StepState } from '../../build/index.ts';

/** What `c3 run` tells, in order; with `--json` each is a line. Documented in docs/command-line.md. */
export type RunEvent =
  | {
      readonly kind: 'started';
      readonly sha: string;
      /** `refs/heads/main`. */
      readonly ref: string;
      /** Files that differ from HEAD. */
      readonly changedFiles: number;
      /** `the embedded cluster`, `context "staging"`. */
      readonly cluster: string;
    }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string }
  | { readonly kind: 'planned'; readonly steps: readonly PlannedName[]; readonly isWarm: boolean }
  | { readonly kind: 'step-started'; readonly step: number; readonly name: string; readonly attempt: number }
  /** One line of a step, without its end. */
  | { readonly kind: 'output'; readonly step: number; readonly name: string; readonly text: string }
  | StepEnded
  | {
      readonly kind: 'ended';
      readonly outcome: Outcome;
      /** The one that failed. */
      readonly step?: string;
      /** The sentence of the ending; empty where its kind says it all. */
      readonly message: string;
      /** What `c3 run` ends with. */
      readonly exitCode: number;
      readonly durationMs: number;
    };

/** Shows the events of one run. */
export interface View {
  show(event: RunEvent): void;
  /** Leaves the terminal as it was. */
  close(): void;
}

export interface PlannedName {
  readonly name: string;
  readonly container: string;
}

export interface StepEnded {
  readonly kind: 'step-ended';
  readonly step: number;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'timed-out' | 'cancelled' | 'lost' | 'skipped';
  /** Of a step that failed by itself. */
  readonly exitCode?: number;
  /** Its failure does not fail the run. */
  readonly isAllowed: boolean;
  /** Why it was lost or left out, where that is known. */
  readonly reason?: string;
  readonly durationMs: number;
}

type Outcome = Extract<BuildState['phase'], { kind: 'ended' }>['ending']['kind'];

/** What happened between two states of a build. Pure. */
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
  const { name, attempt, phase } = after;
  if (before?.phase === phase) return [];
  if (phase.kind === 'pending') return [];
  if (phase.kind === 'running') return [{ kind: 'step-started', step, name, attempt }];
  const ended: StepEnded = {
    kind: 'step-ended',
    step,
    name,
    outcome: phase.kind,
    isAllowed: after.isAllowed,
    ...(phase.kind === 'failed' && phase.exitCode !== undefined ? { exitCode: phase.exitCode } : {}),
    ...toReason(phase),
    durationMs: after.startedAt === undefined ? 0 : (after.endedAt ?? after.startedAt) - after.startedAt,
  };
  return [ended];
}

function toReason(phase: StepState['phase']): { reason?: string } {
  if (phase.kind === 'lost') return { reason: phase.message };
  return phase.kind === 'skipped' && phase.reason !== undefined ? { reason: phase.reason } : {};
}

/** As `timeout` of GNU's coreutils has it. */
const TIMED_OUT = 124;

/** As shells tell SIGINT. */
export const CANCELLED = 130;

const CONFIG = 2;
const INFRASTRUCTURE = 3;

/** The exit code of `c3 run` for a build that has ended: the failing step's own, where a step failed. */
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
    case 'refused':
    case 'infrastructure-error':
      return INFRASTRUCTURE;
  }
}
