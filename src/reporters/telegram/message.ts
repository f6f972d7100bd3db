import type { InlineKeyboardMarkup } from '@grammyjs/types';
import type { BuildPhase, BuildState, Ending, StepState } from '../../build/index.ts';
import { clip, formatDuration, toOneLine, toPlainText } from '../../show/index.ts';
import { bold, code, expandableQuote, join, link, oneLine, preformatted, text, type Markup } from './markup.ts';

/** `sendMessage`, `text`: 1-4096 characters after entities parsing; UTF-16 units, the strictest reading of it. */
export const MAX_VISIBLE_LENGTH = 4_096;

/** Lines and characters of the failing step's output: what fits a phone's screen twice, and what Telegram's flood control bears well. */
const MAX_TAIL_LINES = 20;
const MAX_TAIL_LENGTH = 2_500;
/** Steps in the middle give way before the tail becomes shorter than this. */
const MIN_TAIL_LENGTH = 600;

/** Each part alone is short enough that the steps always keep several hundred characters; together below 3,400. */
const MAX_NAME_LENGTH = 120;
const MAX_STEP_LENGTH = 60;
const MAX_REASON_LENGTH = 100;
const MAX_SUBJECT_LENGTH = 200;
const MAX_AUTHOR_LENGTH = 80;
const MAX_SENTENCE_LENGTH = 500;
const MAX_DETAIL_LENGTH = 1_200;
const MAX_WARNINGS = 3;
const MAX_WARNING_LENGTH = 200;
/** "… 999 more steps" and its line break. */
const GAP_LENGTH = 24;

/**
 * The message of a build at one moment: state first, since previews and chat lists show the beginning; then what was pushed, the
 * steps, the end of the failing step's output, how it ended, warnings, time.
 *
 * `html` is Telegram's HTML, at most 4,096 visible UTF-16 units and 32 KiB; `plain` is the same without markup. What does not fit
 * goes in this order: the beginning of the output, steps in the middle (far from the one that failed or runs).
 */
export function renderMessage(state: BuildState, options: { readonly now: number }): Markup {
  const before = join([toHeader(state), toCommit(state)], '\n');
  const after = join(
    [toSentence(state.phase), toDetail(state.phase), toWarnings(state.warnings), toFooter(state, options.now)],
    '\n',
  );
  const tail = toTail(state);
  // Five line breaks at most stand between the parts.
  const room = MAX_VISIBLE_LENGTH - before.plain.length - after.plain.length - 5;
  const steps = toSteps(state.steps, { now: options.now, room: room - Math.min(tail.length, MIN_TAIL_LENGTH) });
  const fitted = fitTail(tail, Math.min(MAX_TAIL_LENGTH, room - steps.plain.length));
  const body = join([steps, fitted === '' ? undefined : expandableQuote(fitted), after], '\n');
  return join([before, body], '\n\n');
}

function toHeader({ phase, build, urls, previous }: BuildState): Markup {
  const [icon, word] = toStateWord(phase, previous);
  const repository = `${build.scope.owner}/${build.scope.name}`;
  const ref = toOneLine(build.ref.name, MAX_NAME_LENGTH);
  return join(
    [
      join([{ html: icon, plain: icon }, bold(word)], ' '),
      link(oneLine(repository, MAX_NAME_LENGTH), urls.repository),
      join([build.ref.kind === 'tag' ? text('tag') : undefined, code(ref)], ' '),
      link(text(build.sha.slice(0, 7)), urls.commit),
    ],
    ' · ',
  );
}

function toStateWord(phase: BuildPhase, previous: BuildState['previous']): readonly [icon: string, word: string] {
  switch (phase.kind) {
    case 'queued':
      return ['⏳', 'Queued'];
    case 'preparing':
      return ['⏳', 'Preparing'];
    case 'running':
      return ['🔄', 'Running'];
    case 'ended':
      return toEndingWord(phase.ending, previous);
  }
}

function toEndingWord(ending: Ending, previous: BuildState['previous']): readonly [icon: string, word: string] {
  switch (ending.kind) {
    case 'passed': {
      const word = previous === 'failed' ? 'Fixed' : 'Passed';
      return ending.allowed.length > 0 ? ['⚠️', `${word} with allowed failures`] : ['✅', word];
    }
    case 'failed':
      return ['❌', 'Failed'];
    case 'timed-out':
      return ['⏰', 'Timed out'];
    case 'skipped':
      return ['⏭', 'Skipped'];
    case 'cancelled':
      return ['🚫', 'Cancelled'];
    case 'superseded':
      return ['⏭', 'Superseded'];
    case 'config-error':
      return ['🛠', 'Config error'];
    case 'refused':
      return ['⛔', 'Refused'];
    case 'infrastructure-error':
      return ['💥', 'Infrastructure error'];
  }
}

function toCommit({ build: { commit } }: BuildState): Markup {
  return join([oneLine(commit.subject, MAX_SUBJECT_LENGTH), oneLine(commit.author, MAX_AUTHOR_LENGTH)], ' — ');
}

/** Lines of the steps, at most `room` characters: the one that failed or runs, the first, the last, then its neighbours. */
function toSteps(steps: readonly StepState[], { now, room }: { now: number; room: number }): Markup {
  const lines = steps.map((step) => toStepLine(step, now));
  if (lines.reduce((sum, { plain }) => sum + plain.length + 1, 0) <= room) return join(lines, '\n');
  const focus = Math.max(0, steps.findIndex(isFocus));
  const distance = (index: number): number =>
    index === 0 || index === lines.length - 1 ? Math.min(0.5, Math.abs(index - focus)) : Math.abs(index - focus);
  const byImportance = lines.map((_, index) => index).sort((a, b) => distance(a) - distance(b));
  // The kept steps make at most three runs, with a gap between each two.
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

function hasTrouble({ phase }: StepState): boolean {
  return phase.kind === 'failed' || phase.kind === 'timed-out' || phase.kind === 'lost';
}

/** Whether the build may have ended for its sake. */
function isCulprit(step: StepState): boolean {
  return hasTrouble(step) && !step.isAllowed;
}

function toStepLine(step: StepState, now: number): Markup {
  const time = step.startedAt === undefined ? undefined : formatDuration((step.endedAt ?? now) - step.startedAt);
  const name = toOneLine(step.name, MAX_STEP_LENGTH);
  return join(
    [
      join(
        [
          text(toStepIcon(step)),
          step.group === undefined ? undefined : text('∥'),
          isFocus(step) ? bold(name) : text(name),
        ],
        ' ',
      ),
      step.attempt > 1 ? text(`attempt ${step.attempt}`) : undefined,
      time === undefined ? undefined : text(time),
      toStepNote(step),
    ],
    ' · ',
  );
}

function toStepIcon(step: StepState): string {
  switch (step.phase.kind) {
    case 'pending':
    case 'skipped':
      return '▫️';
    case 'running':
      return '🔄';
    case 'passed':
      return '✅';
    case 'failed':
      return step.isAllowed ? '⚠️' : '❌';
    case 'timed-out':
      return step.isAllowed ? '⚠️' : '⏰';
    case 'cancelled':
      return '🚫';
    case 'lost':
      return '❔';
  }
}

function toStepNote({ phase, isAllowed }: StepState): Markup | undefined {
  const allowed = isAllowed ? ', allowed' : '';
  switch (phase.kind) {
    case 'pending':
    case 'running':
    case 'passed':
      return undefined;
    case 'failed':
      return text(`${phase.exitCode === undefined ? 'could not start' : `exit ${phase.exitCode}`}${allowed}`);
    case 'timed-out':
      return text(`timed out${allowed}`);
    case 'cancelled':
      return text('cancelled');
    case 'lost':
      return text('outcome unknown');
    case 'skipped':
      return phase.reason === undefined
        ? text('skipped')
        : join([text('skipped:'), oneLine(phase.reason, MAX_REASON_LENGTH)], ' ');
  }
}

/** Of the step that went wrong, once the build has ended. */
function toTail({ phase, steps }: BuildState): string {
  if (phase.kind !== 'ended' || phase.ending.kind === 'passed') return '';
  const step = steps.find(isCulprit);
  return step === undefined ? '' : fitTail(toPlainText(step.tail), MAX_TAIL_LENGTH);
}

/** The last lines, as they will be seen, in at most `room` characters; a first line longer than that is cut at its start. */
function fitTail(tail: string, room: number): string {
  const lines = tail.split('\n');
  const kept: string[] = [];
  let left = room;
  for (const line of lines.toReversed().slice(0, MAX_TAIL_LINES)) {
    // `text` makes a mention one character longer.
    const length = text(line).plain.length + 1;
    if (length > left) break;
    left -= length;
    kept.unshift(line);
  }
  if (kept.length === lines.length) return tail;
  if (kept.length > 0) {
    const end = kept.join('\n').replace(/^\n+/, '');
    return left >= 2 ? `…\n${end}` : end;
  }
  // One endless line: its end, and half the room in case that each second character is a mention's sign.
  const end = (lines.at(-1) ?? '').slice(-Math.max(1, Math.floor(room / 2) - 1)).replace(/^[\uDC00-\uDFFF]/, '');
  return room < 4 ? '' : `…${end}`;
}

function toSentence(phase: BuildPhase): Markup | undefined {
  if (phase.kind === 'preparing') return oneLine(phase.detail, MAX_SENTENCE_LENGTH);
  if (phase.kind !== 'ended' || phase.ending.kind === 'passed') return undefined;
  const { ending } = phase;
  const sentence = ending.kind === 'failed' ? `${ending.step} failed: ${ending.message}` : ending.message;
  return oneLine(sentence, MAX_SENTENCE_LENGTH);
}

function toDetail(phase: BuildPhase): Markup | undefined {
  if (phase.kind !== 'ended' || phase.ending.kind !== 'config-error' || phase.ending.detail === undefined)
    return undefined;
  const detail = clip(toPlainText(phase.ending.detail), MAX_DETAIL_LENGTH);
  return detail === '' ? undefined : preformatted(detail);
}

function toWarnings(warnings: readonly string[]): Markup {
  const shown = warnings
    .slice(0, MAX_WARNINGS)
    .map((warning) => join([text('⚠️'), oneLine(warning, MAX_WARNING_LENGTH)], ' '));
  const hidden = warnings.length - shown.length;
  return join([...shown, hidden > 0 ? text(`… ${hidden} more warning${hidden === 1 ? '' : 's'}`) : undefined], '\n');
}

function toFooter(state: BuildState, now: number): Markup {
  const duration = formatDuration((state.endedAt ?? now) - state.startedAt);
  return text(state.isWarm === undefined ? `⏱ ${duration}` : `⏱ ${duration} · ${state.isWarm ? 'warm' : 'cold'}`);
}

/**
 * Links to the build's page, where whoever follows them is asked before anything is done: `Log` always, `Cancel` while it runs,
 * `Re-run` when it may be wanted. No callbacks: a bot has one receiver of those, and c3 has any number of replicas.
 */
export function toButtons({ links, phase }: BuildState): InlineKeyboardMarkup | undefined {
  if (links === undefined) return undefined;
  const log = { text: 'Log', url: links.view };
  if (phase.kind !== 'ended') {
    return { inline_keyboard: [[log, { text: 'Cancel', url: links.control, style: 'danger' }]] };
  }
  const rerun = { text: 'Re-run', url: links.control };
  return { inline_keyboard: [isRerunWanted(phase.ending) ? [log, rerun] : [log]] };
}

function isRerunWanted(ending: Ending): boolean {
  switch (ending.kind) {
    // Of what passed, or has a newer build, the page itself offers it.
    case 'passed':
      return ending.allowed.length > 0;
    case 'superseded':
    case 'skipped':
    case 'refused':
      return false;
    case 'failed':
    case 'timed-out':
    case 'cancelled':
    case 'config-error':
    case 'infrastructure-error':
      return true;
  }
}
