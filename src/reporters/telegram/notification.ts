import type { BuildState, Ending } from '../../build/index.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { formatDuration, toOneLine } from '../../show/index.ts';
import { bold, join, oneLine, text, type Markup } from './markup.ts';

/** A notification shows about this much. */
const MAX_NAME_LENGTH = 60;
const MAX_REASON_LENGTH = 200;

/** Whether people want to be called for how the build ended. */
export function isWorthRinging({ phase, previous }: BuildState, notify: Notify): boolean {
  if (phase.kind !== 'ended' || notify === 'never') return false;
  const outcome = toOutcome(phase.ending);
  // What somebody did on purpose is no news, nor what a stranger tried.
  if (outcome === undefined) return false;
  switch (notify) {
    case 'always':
      return true;
    case 'failure':
      return outcome === 'failed' || previous === 'failed';
    case 'change':
      // A failure after what nobody knows may be the first.
      return outcome === 'failed' ? previous !== 'failed' : previous === 'failed';
  }
}

function toOutcome(ending: Ending): 'passed' | 'failed' | undefined {
  switch (ending.kind) {
    case 'passed':
      return 'passed';
    case 'failed':
    case 'timed-out':
    case 'config-error':
    case 'infrastructure-error':
      return 'failed';
    case 'cancelled':
    case 'superseded':
    case 'skipped':
    case 'refused':
      return undefined;
  }
}

/** The short message that rings: the state first, as a notification shows it; where, what, whose. The rest it replies to. */
export function renderRing(state: BuildState): Markup {
  const { build, phase } = state;
  const repository = build.scope.name;
  const [icon, news] = phase.kind === 'ended' ? toNews(state, phase.ending) : ['', text('')];
  const where = [bold(toOneLine(repository, MAX_NAME_LENGTH)), oneLine(build.ref.name, MAX_NAME_LENGTH)];
  const what = join([join([text(icon), ...where], ' '), news], ': ');
  return join([what, oneLine(build.commit.author, MAX_NAME_LENGTH)], ' — ');
}

function toNews(state: BuildState, ending: Ending): readonly [icon: string, news: Markup] {
  const duration = formatDuration((state.endedAt ?? state.startedAt) - state.startedAt);
  switch (ending.kind) {
    case 'passed':
      return ['✅', text(`${state.previous === 'failed' ? 'fixed' : 'passed'} in ${duration}`)];
    case 'failed':
      return ['❌', join([oneLine(ending.step, MAX_NAME_LENGTH), text('failed,'), toReason(ending)], ' ')];
    case 'timed-out':
      return ['⏰', join([text('timed out:'), toReason(ending)], ' ')];
    case 'config-error':
      return ['🛠', join([text('config error:'), toReason(ending)], ' ')];
    case 'infrastructure-error':
      return ['💥', join([text('infrastructure error:'), toReason(ending)], ' ')];
    case 'cancelled':
    case 'superseded':
    case 'skipped':
    case 'refused':
      return ['', toReason(ending)];
  }
}

function toReason({ message }: { readonly message: string }): Markup {
  return oneLine(message, MAX_REASON_LENGTH);
}
