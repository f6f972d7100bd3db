import type { Build } from './build.ts';
import type { BuildPhase, BuildState, Ending, StepPhase, StepState } from './build-state.ts';

/** Selects the symbol and colour on the page, and the mark in the terminal. */
export type Tone = 'waiting' | 'running' | 'passed' | 'warned' | 'failed' | 'stopped' | 'skipped';

/** The words for a state. Page, Telegram, terminal and commit status use the same. */
export interface Words {
  /** In lower case: "timed out". */
  readonly word: string;
  /** An emoji, for Telegram and the title of the page. */
  readonly symbol: string;
  readonly tone: Tone;
}

const PHASE_WORDS: Readonly<Record<Exclude<BuildPhase['kind'], 'ended'>, Words>> = {
  queued: { word: 'queued', symbol: '⏳', tone: 'waiting' },
  preparing: { word: 'preparing', symbol: '⏳', tone: 'waiting' },
  running: { word: 'running', symbol: '🔄', tone: 'running' },
};

/** The commit status is read back by these words, so no word may be the beginning of another. */
export const ENDING_WORDS: Readonly<Record<Ending['kind'], Words>> = {
  passed: { word: 'passed', symbol: '✅', tone: 'passed' },
  skipped: { word: 'skipped', symbol: '⏭', tone: 'skipped' },
  failed: { word: 'failed', symbol: '❌', tone: 'failed' },
  'timed-out': { word: 'timed out', symbol: '⏰', tone: 'failed' },
  cancelled: { word: 'cancelled', symbol: '🚫', tone: 'stopped' },
  superseded: { word: 'superseded', symbol: '⏭', tone: 'stopped' },
  'config-error': { word: 'config error', symbol: '🛠', tone: 'failed' },
  'needs-approval': { word: 'needs approval', symbol: '✋', tone: 'waiting' },
  refused: { word: 'refused', symbol: '⛔', tone: 'failed' },
  'infrastructure-error': { word: 'infrastructure error', symbol: '💥', tone: 'failed' },
};

const STEP_WORDS: Readonly<Record<StepPhase['kind'], Words>> = {
  pending: { word: 'waiting', symbol: '▫️', tone: 'waiting' },
  running: PHASE_WORDS.running,
  passed: ENDING_WORDS.passed,
  failed: ENDING_WORDS.failed,
  'timed-out': ENDING_WORDS['timed-out'],
  cancelled: ENDING_WORDS.cancelled,
  lost: { word: 'outcome unknown', symbol: '❔', tone: 'failed' },
  skipped: ENDING_WORDS.skipped,
};

/** The symbol and tone of a success with a reservation. */
const WARNED = { symbol: '⚠️', tone: 'warned' } as const;

/** Describes a build: "running", "fixed with allowed failures", "passed, not confirmed". */
export function describeBuild(state: Pick<BuildState, 'phase' | 'previous' | 'isUnconfirmed'>): Words {
  const { phase, previous, isUnconfirmed } = state;
  if (phase.kind !== 'ended') return PHASE_WORDS[phase.kind];
  let words = ENDING_WORDS[phase.ending.kind];
  if (phase.ending.kind === 'passed') {
    if (previous === 'failed') words = { ...words, word: 'fixed' };
    if (phase.ending.allowed.length > 0) words = { word: `${words.word} with allowed failures`, ...WARNED };
  }
  if (isUnconfirmed !== true) return words;
  return { ...words, word: `${words.word}, not confirmed`, ...(words.tone === 'passed' ? WARNED : {}) };
}

/** Returns the sentence that explains the state of a build; undefined when its word says everything. */
export function toBuildSentence(phase: BuildPhase): string | undefined {
  if (phase.kind === 'preparing') return phase.detail;
  if (phase.kind !== 'ended') return undefined;
  const { ending } = phase;
  if (ending.kind === 'passed')
    return ending.allowed.length === 0 ? undefined : `Allowed failures: ${ending.allowed.join(', ')}`;
  return ending.kind === 'failed' ? `${ending.step} failed: ${ending.message}` : ending.message;
}

/** Describes a step. `note` explains its symbol; undefined when the symbol says everything. */
export function describeStep({
  phase,
  isAllowed,
}: Pick<StepState, 'phase' | 'isAllowed'>): Words & { readonly note: string | undefined } {
  const words = STEP_WORDS[phase.kind];
  const failure = isAllowed ? { ...words, ...WARNED } : words;
  const allowed = isAllowed ? ', allowed' : '';
  switch (phase.kind) {
    case 'pending':
    case 'running':
    case 'passed':
      return { ...words, note: undefined };
    case 'failed': {
      const cause = phase.exitCode === undefined ? 'could not start' : `exit code ${phase.exitCode}`;
      return { ...failure, note: cause + allowed };
    }
    case 'timed-out':
      return { ...failure, note: words.word + allowed };
    case 'cancelled':
      return { ...words, note: words.word };
    case 'lost':
      return { ...words, note: `${words.word}: ${phase.message}` };
    case 'skipped':
      return { ...words, note: phase.reason === undefined ? words.word : `${words.word}: ${phase.reason}` };
  }
}

/** Names what is built: `main`, `v1` after `tag`, `feature → main` after `#12`. */
export function describeRef({ ref, pull }: Pick<Build, 'ref' | 'pull'>): {
  readonly mark: string;
  readonly name: string;
} {
  if (pull) return { mark: `#${pull.number}`, name: pull.head === '' ? pull.base : `${pull.head} → ${pull.base}` };
  return { mark: ref.kind === 'tag' ? 'tag' : '', name: ref.name };
}

/** Makes the first letter a capital: "Timed out". */
export function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** Matches what {@link formatDuration} writes. The commit status is read back by it; build-page.js formats the same way. */
export const DURATION: RegExp = /\d[\d.hms ]{0,20}/;

/**
 * Formats a duration: `0.4s`, `8s`, `1m 12s`, `2h 5m`. It has at most the two largest units, rounded down, and tenths
 * below ten seconds. Any time above 0 is at least `0.1s`. A negative duration, from clocks that differ, is `0s`.
 */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms < 10_000) return `${Math.max(1, Math.floor(ms / 100)) / 10}s`;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return minutes % 60 === 0 ? `${hours}h` : `${hours}h ${minutes % 60}m`;
  if (minutes > 0) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m ${seconds % 60}s`;
  return `${seconds}s`;
}

/** Formats a number with its noun: `1 file`, `2 files`. */
export function formatCount(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
