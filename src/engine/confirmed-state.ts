import type { CommitStatus, FoundStatus } from '../forges/forge.ts';
import type { BuildState, Ending } from './build-state.ts';

/** What the forge says of a build. */
export type ForgeWord =
  /** Undefined: it knows of no status. */
  { readonly kind: 'told'; readonly status: FoundStatus | undefined } | { readonly kind: 'silent' };

/** Whoever is in a Pod can write what is noted there, but not what c3 said of the build to the forge. */
const SILENT = 'the forge does not answer: what is shown is what was noted in the Pod of the build';
const UNKNOWN = 'the forge does not know of this end: it is what was noted in the Pod of the build';
const OTHERWISE =
  'what was noted in the Pod of the build says otherwise than the forge: its end is what the forge says';

/** The state of a build that was noted in its Pod, as far as the forge bears it out: where the two differ, the forge counts. Pure. */
export function confirmState(state: BuildState, word: ForgeWord): BuildState {
  const { phase } = state;
  if (word.kind === 'silent') return withWarning(toUnconfirmed(state), SILENT);
  const { status } = word;
  if (status === undefined || status.state === 'pending')
    return phase.kind === 'ended' ? withWarning(toUnconfirmed(state), UNKNOWN) : state;
  if (phase.kind === 'ended' && toStatusState(phase.ending) === status.state) return state;
  return withWarning({ ...state, phase: { kind: 'ended', ending: readEnding(status) } }, OTHERWISE);
}

function toUnconfirmed(state: BuildState): BuildState {
  return state.phase.kind === 'ended' ? { ...state, isUnconfirmed: true } : state;
}

function withWarning(state: BuildState, warning: string): BuildState {
  return { ...state, warnings: [...state.warnings, warning] };
}

function toStatusState({ kind }: Ending): CommitStatus['state'] {
  switch (kind) {
    case 'passed':
    case 'skipped':
      return 'success';
    case 'failed':
    case 'timed-out':
      return 'failure';
    case 'cancelled':
    case 'superseded':
    case 'config-error':
    case 'refused':
    case 'infrastructure-error':
      return 'error';
  }
}

/** `failed at test after 8s: exit code 3`. */
const FAILED = /^failed at (.+?) after \d[\d.a-z ]*: ([^]*)$/;
/** `cancelled after 8s: The build was cancelled`, `refused: the token may not push`. */
const ENDED =
  /^(timed out|cancelled|superseded|config error|refused|infrastructure error)(?: after \d[\d.a-z ]*)?: ([^]*)$/;

/** The ending that a final commit status tells in the words of c3 (`src/reporters/commit-status.ts`), and in others as it can. */
function readEnding({ state, description }: FoundStatus): Ending {
  if (state === 'success') return { kind: 'passed', allowed: [] };
  const [, words, message = description] = ENDED.exec(description) ?? [];
  if (state === 'failure') {
    if (words === 'timed out') return { kind: 'timed-out', message };
    const [, step = 'a step', cause = description] = FAILED.exec(description) ?? [];
    return { kind: 'failed', step, message: cause };
  }
  switch (words) {
    case 'cancelled':
    case 'superseded':
    case 'refused':
      return { kind: words, message };
    case 'config error':
      return { kind: 'config-error', message };
    default:
      return { kind: 'infrastructure-error', message };
  }
}
