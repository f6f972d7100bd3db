import type { InlineKeyboardMarkup } from '@grammyjs/types';
import {
  capitalize,
  describeBuild,
  describeRef,
  describeStep,
  formatCount,
  formatDuration,
  toBuildSentence,
  type BuildPhase,
  type BuildState,
  type ConfigProblem,
  type Ending,
  type StepState,
} from '../../build/index.ts';
import type { Notify } from '../../pipeline/pipeline.ts';
import { toOneLine, toPlainText } from '../../terminal/text.ts';
import { selectFailingLines } from './failing-lines.ts';
import { bold, code, expandableQuote, join, link, oneLine, quote, text, type Markup } from './markup.ts';

/**
 * Telegram accepts 1 to 4096 characters after it has parsed the entities. c3 counts UTF-16 units, the strictest
 * reading.
 */
export const MAX_VISIBLE_LENGTH = 4_096;

/** The failed step's output stays below Telegram's flood control. */
const MAX_TAIL_LENGTH = 2_500;
/** Steps in the middle are omitted before the tail becomes shorter than this. */
const MIN_TAIL_LENGTH = 600;

/** Together these limits are below 3,400, so that several hundred characters always remain for the steps. */
const MAX_NAME_LENGTH = 120;
const MAX_STEP_LENGTH = 60;
const MAX_NOTE_LENGTH = 120;
const MAX_SUBJECT_LENGTH = 200;
const MAX_AUTHOR_LENGTH = 80;
const MAX_SENTENCE_LENGTH = 500;
/** Limits the list of problems, and each of its texts. */
const MAX_PROBLEMS = 4;
const MAX_PROBLEM_LENGTH = 200;
const MAX_WARNINGS = 3;
const MAX_WARNING_LENGTH = 200;
/** About what a phone shows of a notification. */
const MAX_NOTIFIED_NAME_LENGTH = 60;
const MAX_NOTIFIED_REASON_LENGTH = 200;
/** The length of "… 999 more steps" with its line break. */
const GAP_LENGTH = 24;

/**
 * Renders a build. The state comes first, because previews and chat lists show the beginning. Then follow the commit,
 * the steps, the failing lines of the failed step's output, the ending, the warnings and the duration.
 *
 * `html` is Telegram's HTML with at most 4,096 visible UTF-16 units and 32 KiB. If the parts do not fit, first the
 * beginning of the output is omitted, then steps far from the one that failed or runs.
 */
export function renderMessage(state: BuildState, options: { readonly now: number }): Markup {
  const before = join([toHeader(state), toCommit(state)], '\n');
  const after = join([toSentence(state.phase), toWarnings(state.warnings), toFooter(state, options.now)], '\n');
  const tail = toTail(state);
  // Leaves room for the at most six line breaks between the parts.
  const room = MAX_VISIBLE_LENGTH - before.plain.length - after.plain.length - 6;
  const steps = toSteps(state.steps, { now: options.now, room: room - Math.min(tail.length, MIN_TAIL_LENGTH) });
  const { folded, last } = selectFailingLines(tail, Math.min(MAX_TAIL_LENGTH, room - steps.plain.length));
  const body = join([steps, expandableQuote(folded), quote(last), after], '\n');
  return join([before, body], '\n\n');
}

function toHeader(state: BuildState): Markup {
  const { build, urls } = state;
  const { symbol, word } = describeBuild(state);
  const repository = `${build.scope.owner}/${build.scope.name}`;
  const { mark, name } = describeRef(build);
  return join(
    [
      join([text(symbol), bold(capitalize(word))], ' '),
      link(oneLine(repository, MAX_NAME_LENGTH), urls.repository),
      join([mark === '' ? undefined : text(mark), code(toOneLine(name, MAX_NAME_LENGTH))], ' '),
      link(text(build.sha.slice(0, 7)), urls.commit),
    ],
    ' · ',
  );
}

function toCommit({ build: { commit } }: BuildState): Markup {
  return join([oneLine(commit.subject, MAX_SUBJECT_LENGTH), oneLine(commit.author, MAX_AUTHOR_LENGTH)], ' — ');
}

/**
 * Renders the steps in at most `room` characters. The one that failed or runs, the first and the last take
 * precedence.
 */
function toSteps(steps: readonly StepState[], { now, room }: { now: number; room: number }): Markup {
  const lines = steps.map((step) => toStepLine(step, now));
  if (lines.reduce((sum, { plain }) => sum + plain.length + 1, 0) <= room) return join(lines, '\n');
  const focus = Math.max(0, steps.findIndex(isFocus));
  const distance = (index: number): number =>
    index === 0 || index === lines.length - 1 ? Math.min(0.5, Math.abs(index - focus)) : Math.abs(index - focus);
  const byImportance = lines.map((_, index) => index).sort((a, b) => distance(a) - distance(b));
  // The kept steps form at most three groups, with two gaps between them.
  let left = room - 2 * GAP_LENGTH;
  const kept = new Set<number>();
  for (const index of byImportance) {
    left -= (lines[index]?.plain.length ?? 0) + 1;
    if (left < 0) break;
    kept.add(index);
  }
  return join(
    lines.map((line, index) => {
      if (kept.has(index)) return line;
      if (index > 0 && !kept.has(index - 1)) return undefined;
      const next = lines.findIndex((_, other) => other > index && kept.has(other));
      return text(`… ${(next === -1 ? lines.length : next) - index} more steps`);
    }),
    '\n',
  );
}

function isFocus(step: StepState): boolean {
  return step.phase.kind === 'running' || isCulprit(step);
}

/** Returns whether the build may have failed because of this step. */
function isCulprit({ phase, isAllowed }: StepState): boolean {
  return (phase.kind === 'failed' || phase.kind === 'timed-out' || phase.kind === 'lost') && !isAllowed;
}

function toStepLine(step: StepState, now: number): Markup {
  const { symbol, note } = describeStep(step);
  const name = toOneLine(step.name, MAX_STEP_LENGTH);
  return join(
    [
      join(
        [text(symbol), step.group === undefined ? undefined : text('∥'), isFocus(step) ? bold(name) : text(name)],
        ' ',
      ),
      step.attempt > 1 ? text(`attempt ${step.attempt}`) : undefined,
      step.startedAt === undefined ? undefined : text(formatDuration((step.endedAt ?? now) - step.startedAt)),
      note === undefined ? undefined : oneLine(note, MAX_NOTE_LENGTH),
    ],
    ' · ',
  );
}

/** Returns the output of the failed step, once the build has ended. */
function toTail({ phase, steps }: BuildState): string {
  if (phase.kind !== 'ended' || phase.ending.kind === 'passed') return '';
  const step = steps.find(isCulprit);
  return step === undefined ? '' : toPlainText(step.tail);
}

/** The steps already show allowed failures. */
function toSentence(phase: BuildPhase): Markup | undefined {
  if (phase.kind === 'ended') {
    const { ending } = phase;
    if (ending.kind === 'passed') return undefined;
    if (ending.kind === 'config-error' && ending.problems?.length) return toProblems(ending.problems);
  }
  return oneLine(toBuildSentence(phase) ?? '', MAX_SENTENCE_LENGTH);
}

/** Lists the first problems of c3.yaml, each with a link to its line at the forge. */
function toProblems(problems: readonly ConfigProblem[]): Markup {
  const shown = problems.slice(0, MAX_PROBLEMS).flatMap(({ location, url = '', message, hint }) => {
    const position = location === undefined ? [] : [link(oneLine(location, MAX_NAME_LENGTH), url), text('error:')];
    const sentence = join([...position, oneLine(message, MAX_PROBLEM_LENGTH)], ' ');
    return hint === undefined ? [sentence] : [sentence, join([text('→'), oneLine(hint, MAX_PROBLEM_LENGTH)], ' ')];
  });
  return join([...shown, countMore(problems.length - MAX_PROBLEMS, 'more problem')], '\n');
}

function toWarnings(warnings: readonly string[]): Markup {
  const shown = warnings
    .slice(0, MAX_WARNINGS)
    .map((warning) => join([text('⚠️'), oneLine(warning, MAX_WARNING_LENGTH)], ' '));
  return join([...shown, countMore(warnings.length - MAX_WARNINGS, 'more warning')], '\n');
}

function countMore(count: number, noun: string): Markup | undefined {
  return count > 0 ? text(`… ${formatCount(count, noun)}`) : undefined;
}

function toFooter(state: BuildState, now: number): Markup {
  const duration = formatDuration((state.endedAt ?? now) - state.startedAt);
  return text(state.isWarm === undefined ? `⏱ ${duration}` : `⏱ ${duration} · ${state.isWarm ? 'warm' : 'cold'}`);
}

/**
 * Returns links to the build page, which asks before it does anything: `Log` always, `Cancel` while the build runs,
 * `Approve` for a commit of a fork that needs it, and `Re-run` when people may want it. There are no callback buttons: a bot has one receiver of callbacks, but c3
 * can have several replicas.
 */
export function toButtons({ links, phase }: BuildState): InlineKeyboardMarkup | undefined {
  if (links === undefined) return undefined;
  const log = { text: 'Log', url: links.view };
  if (phase.kind !== 'ended') {
    return { inline_keyboard: [[log, { text: 'Cancel', url: links.control, style: 'danger' }]] };
  }
  if (phase.ending.kind === 'needs-approval') {
    return { inline_keyboard: [[log, { text: 'Approve', url: links.control }]] };
  }
  const rerun = { text: 'Re-run', url: links.control };
  return { inline_keyboard: [isRerunWanted(phase.ending) ? [log, rerun] : [log]] };
}

/** The page offers a re-run of every build. */
function isRerunWanted(ending: Ending): boolean {
  if (ending.kind === 'passed') return ending.allowed.length > 0;
  return ending.kind === 'cancelled' || toOutcome(ending) === 'failed';
}

/** Returns whether `notify` asks for a notification about this ending. */
export function wantsNotification({ phase, previous }: BuildState, notify: Notify): boolean {
  if (phase.kind !== 'ended' || notify === 'never') return false;
  if (phase.ending.kind === 'needs-approval') return true;
  const outcome = toOutcome(phase.ending);
  if (outcome === undefined) return false;
  const wasFailure = previous === 'failed';
  if (notify === 'always') return true;
  if (notify === 'failure') return outcome === 'failed' || wasFailure;
  // A change. If the previous outcome is unknown, a failure may be the first.
  return (outcome === 'failed') !== wasFailure;
}

const WITHOUT_OUTCOME: readonly Ending['kind'][] = ['cancelled', 'superseded', 'skipped', 'refused', 'needs-approval'];

/** Returns undefined for what somebody did on purpose, for a refused push, and for a commit that is not approved. */
function toOutcome({ kind }: Ending): 'passed' | 'failed' | undefined {
  if (kind === 'passed') return 'passed';
  return WITHOUT_OUTCOME.includes(kind) ? undefined : 'failed';
}

/**
 * Renders the short message that makes a sound: state, repository, ref, cause and author. It replies to the build's
 * message.
 */
export function renderNotification(state: BuildState): Markup {
  const { build } = state;
  const { symbol } = describeBuild(state);
  const where = [
    bold(toOneLine(build.scope.name, MAX_NOTIFIED_NAME_LENGTH)),
    oneLine(Object.values(describeRef(build)).join(' ').trim(), MAX_NOTIFIED_NAME_LENGTH),
  ];
  const what = join([join([text(symbol), ...where], ' '), toCause(state)], ': ');
  return join([what, oneLine(build.commit.author, MAX_NOTIFIED_NAME_LENGTH)], ' — ');
}

function toCause(state: BuildState): Markup | undefined {
  const { phase, startedAt, endedAt } = state;
  if (phase.kind !== 'ended') return undefined;
  const { ending } = phase;
  const { word } = describeBuild(state);
  if (ending.kind === 'passed') return text(`${word} in ${formatDuration((endedAt ?? startedAt) - startedAt)}`);
  const reason = oneLine(ending.message, MAX_NOTIFIED_REASON_LENGTH);
  if (ending.kind === 'failed')
    return join([oneLine(ending.step, MAX_NOTIFIED_NAME_LENGTH), text('failed,'), reason], ' ');
  return join([text(`${word}:`), reason], ' ');
}
