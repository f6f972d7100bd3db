import { describeBuild, formatDuration, type BuildState, type Ending } from '../../build/index.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { toOneLine } from '../../terminal/text.ts';
import { bold, join, oneLine, text, type Markup } from './markup.ts';

/** About what a phone shows of a notification. */
const MAX_NAME_LENGTH = 60;
const MAX_REASON_LENGTH = 200;

/** Returns whether `notify` asks for a notification about this ending. */
export function wantsNotification({ phase, previous }: BuildState, notify: Notify): boolean {
  if (phase.kind !== 'ended' || notify === 'never') return false;
  const outcome = toOutcome(phase.ending);
  if (outcome === undefined) return false;
  const wasFailure = previous === 'failed';
  if (notify === 'always') return true;
  if (notify === 'failure') return outcome === 'failed' || wasFailure;
  // A change. If the previous outcome is unknown, a failure may be the first.
  return (outcome === 'failed') !== wasFailure;
}

/** Returns undefined for what somebody did on purpose, and for a refused push. */
export function toOutcome({ kind }: Ending): 'passed' | 'failed' | undefined {
  if (kind === 'passed') return 'passed';
  return kind === 'cancelled' || kind === 'superseded' || kind === 'skipped' || kind === 'refused'
    ? undefined
    : 'failed';
}

/**
 * Renders the short message that makes a sound: state, repository, ref, cause and author. It replies to the build's
 * message.
 */
export function renderNotification(state: BuildState): Markup {
  const { build } = state;
  const { symbol } = describeBuild(state);
  const where = [bold(toOneLine(build.scope.name, MAX_NAME_LENGTH)), oneLine(build.ref.name, MAX_NAME_LENGTH)];
  const what = join([join([text(symbol), ...where], ' '), toCause(state)], ': ');
  return join([what, oneLine(build.commit.author, MAX_NAME_LENGTH)], ' — ');
}

function toCause(state: BuildState): Markup | undefined {
  const { phase, startedAt, endedAt } = state;
  if (phase.kind !== 'ended') return undefined;
  const { ending } = phase;
  const { word } = describeBuild(state);
  if (ending.kind === 'passed') return text(`${word} in ${formatDuration((endedAt ?? startedAt) - startedAt)}`);
  const reason = oneLine(ending.message, MAX_REASON_LENGTH);
  if (ending.kind === 'failed') return join([oneLine(ending.step, MAX_NAME_LENGTH), text('failed,'), reason], ' ');
  return join([text(`${word}:`), reason], ' ');
}
