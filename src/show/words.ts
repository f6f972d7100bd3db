import type { BuildPhase, BuildState, Ending, StepState } from '../build/index.ts';
import type { BuildOutcome } from '../logs/build-view.ts';
import { toOneLine } from './plain-text.ts';

/** What a state looks like: the symbol and the colour of the stylesheet. */
export type Tone = 'waiting' | 'running' | 'passed' | 'warned' | 'failed' | 'stopped' | 'skipped';

/** In the title, where there is no colour. */
export const TITLE_SYMBOLS: Readonly<Record<Tone, string>> = {
  waiting: '⏳',
  running: '▶',
  passed: '✅',
  warned: '⚠️',
  failed: '❌',
  stopped: '🚫',
  skipped: '⏭',
};

export interface Words {
  readonly tone: Tone;
  /** "Passed with allowed failures" */
  readonly word: string;
}

const MAX_SENTENCE_LENGTH = 1_000;

/** The state of a build in a few words. */
export function toBuildWords({
  phase,
  previous,
  isUnconfirmed,
}: Pick<BuildState, 'phase' | 'previous' | 'isUnconfirmed'>): Words {
  switch (phase.kind) {
    case 'queued':
      return { tone: 'waiting', word: 'Queued' };
    case 'preparing':
      return { tone: 'waiting', word: 'Preparing' };
    case 'running':
      return { tone: 'running', word: 'Running' };
    case 'ended':
      return qualify(toEndingWords(phase.ending, previous === 'failed'), isUnconfirmed === true);
  }
}

/** What only the Pod says is no success, by its colour either. */
function qualify({ tone, word }: Words, isUnconfirmed: boolean): Words {
  return isUnconfirmed ? { tone: tone === 'passed' ? 'warned' : tone, word: `${word}, not confirmed` } : { tone, word };
}

function toEndingWords(ending: Ending, hadFailed: boolean): Words {
  switch (ending.kind) {
    case 'passed': {
      const word = hadFailed ? 'Fixed' : 'Passed';
      return ending.allowed.length > 0
        ? { tone: 'warned', word: `${word} with allowed failures` }
        : { tone: 'passed', word };
    }
    case 'failed':
      return { tone: 'failed', word: 'Failed' };
    case 'timed-out':
      return { tone: 'failed', word: 'Timed out' };
    case 'skipped':
      return { tone: 'skipped', word: 'Skipped' };
    case 'cancelled':
      return { tone: 'stopped', word: 'Cancelled' };
    case 'superseded':
      return { tone: 'stopped', word: 'Superseded' };
    case 'config-error':
      return { tone: 'failed', word: 'Config error' };
    case 'refused':
      return { tone: 'failed', word: 'Refused' };
    case 'infrastructure-error':
      return { tone: 'failed', word: 'Infrastructure error' };
  }
}

/** The sentence that belongs to the state; undefined where the word says all. */
export function toBuildSentence(phase: BuildPhase): string | undefined {
  if (phase.kind === 'preparing') return toOneLine(phase.detail, MAX_SENTENCE_LENGTH);
  if (phase.kind !== 'ended') return undefined;
  const { ending } = phase;
  if (ending.kind === 'passed')
    return ending.allowed.length === 0
      ? undefined
      : `Failed, and may: ${toOneLine(ending.allowed.join(', '), MAX_SENTENCE_LENGTH)}`;
  const sentence = ending.kind === 'failed' ? `${ending.step} failed: ${ending.message}` : ending.message;
  return toOneLine(sentence, MAX_SENTENCE_LENGTH);
}

/** Each warning in a line. */
export function toWarningSentences({ warnings }: Pick<BuildState, 'warnings'>): readonly string[] {
  return warnings.map((warning) => toOneLine(warning, MAX_SENTENCE_LENGTH));
}

/** What the forge knows of a build that nobody else knows of any more. */
export function toOutcomeWords(status: BuildOutcome['status']): Words {
  switch (status?.state) {
    case 'success':
      return { tone: 'passed', word: 'Passed' };
    case 'failure':
      return { tone: 'failed', word: 'Failed' };
    case 'error':
      return { tone: 'failed', word: 'Ended with an error' };
    case 'pending':
      return { tone: 'waiting', word: 'Not ended' };
    case undefined:
      return { tone: 'skipped', word: 'Not known' };
  }
}

/** The state of a step, and what is to be said beside it. */
export function toStepWords({ phase, isAllowed }: StepState): Words & { readonly note: string | undefined } {
  const allowed = isAllowed ? ', allowed' : '';
  const tone = isAllowed ? 'warned' : 'failed';
  switch (phase.kind) {
    case 'pending':
      return { tone: 'waiting', word: 'Waiting', note: undefined };
    case 'running':
      return { tone: 'running', word: 'Running', note: undefined };
    case 'passed':
      return { tone: 'passed', word: 'Passed', note: undefined };
    case 'failed': {
      const why = phase.exitCode === undefined ? 'could not start' : `exit ${phase.exitCode}`;
      return { tone, word: 'Failed', note: `${why}${allowed}` };
    }
    case 'timed-out':
      return { tone, word: 'Timed out', note: `timed out${allowed}` };
    case 'cancelled':
      return { tone: 'stopped', word: 'Cancelled', note: 'cancelled' };
    case 'lost':
      return { tone: 'failed', word: 'Outcome unknown', note: toOneLine(phase.message, MAX_SENTENCE_LENGTH) };
    case 'skipped':
      return {
        tone: 'skipped',
        word: 'Skipped',
        note: phase.reason === undefined ? 'not run' : `skipped: ${toOneLine(phase.reason, MAX_SENTENCE_LENGTH)}`,
      };
  }
}
