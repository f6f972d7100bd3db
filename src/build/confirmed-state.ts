import type { BuildState } from './build-state.ts';
import { toStatusState, type CommitStatus, type ReadStatus } from './commit-status.ts';

/** What the forge reports about a build. */
export type ForgeReport =
  /** Undefined: the forge has no status for this build. */
  | { readonly kind: 'answered'; readonly status: (ReadStatus & Pick<CommitStatus, 'state'>) | undefined }
  | { readonly kind: 'unreachable' };

const UNREACHABLE = 'The forge does not answer. This page shows what the Pod of the build recorded';
const UNKNOWN = 'The forge does not know this ending. It was recorded in the Pod of the build';
const DIFFERENT =
  'The forge reports another ending than the Pod of the build. This page shows the ending that the forge reports';

/**
 * Compares the state that a build's Pod recorded with the forge's report. A step can write into the Pod, but not into
 * c3's commit status. If the two differ, the forge's report counts.
 */
export function confirmState(state: BuildState, report: ForgeReport): BuildState {
  const { phase } = state;
  if (report.kind === 'unreachable') return withWarning(toUnconfirmed(state), UNREACHABLE);
  const ending = report.status?.ending;
  if (ending === undefined) return phase.kind === 'ended' ? withWarning(toUnconfirmed(state), UNKNOWN) : state;
  if (phase.kind === 'ended' && toStatusState(phase.ending) === toStatusState(ending)) return state;
  return withWarning({ ...state, phase: { kind: 'ended', ending } }, DIFFERENT);
}

function toUnconfirmed(state: BuildState): BuildState {
  return state.phase.kind === 'ended' ? { ...state, isUnconfirmed: true } : state;
}

function withWarning(state: BuildState, warning: string): BuildState {
  return { ...state, warnings: [...state.warnings, warning] };
}
