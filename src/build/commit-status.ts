import { createHash } from 'node:crypto';
import { toOneLine } from '../terminal/text.ts';
import type { Build } from './build.ts';
import type { BuildState, Ending } from './build-state.ts';
import { DURATION, ENDING_WORDS, formatDuration } from './words.ts';

/**
 * A commit status at the forge. This file has its codec: it writes the state of a build into a status, and reads the
 * ending of a build from one. No other room reads or writes these texts.
 */
export interface CommitStatus {
  /** `c3/push`, `c3/tag` or `c3/pr`. */
  readonly context: string;
  readonly state: 'pending' | 'success' | 'failure' | 'error';
  /**
   * At most {@link MAX_DESCRIPTION_LENGTH} UTF-16 units, the ref's short name and the build's id at the end: `passed
   * in 8s (main, build 5f3a0c91d2e4)`.
   */
  readonly description: string;
  readonly targetUrl?: string;
}

/** What c3 reads from a commit status. */
export interface ReadStatus {
  /** Undefined for a status that c3 did not write. */
  readonly buildId: string | undefined;
  /** The ref's short name, see {@link toShortName}. Undefined for a status that c3 did not write. */
  readonly refName?: string | undefined;
  /** Undefined while the build is pending. A passed build has an empty list of allowed failures. */
  readonly ending: Ending | undefined;
  /** The description without the build's id. */
  readonly text: string;
}

/** GitHub refuses a longer description. The other forges accept at least as much. */
export const MAX_DESCRIPTION_LENGTH = 140;

/** Leaves room for the duration and the message after a step's name. */
const MAX_STEP_LENGTH = 40;

/** Follows the word of an ending, in place of the duration, if no step had begun. */
const NOT_BEGUN = ' before its first step';

/** GitHub refuses characters of four UTF-8 bytes in a description. */
const BEYOND_BMP = /[\u{10000}-\u{10FFFF}]/gu;

/** Writes the status for a build's state. */
export function formatCommitStatus(state: BuildState): CommitStatus {
  const { phase } = state;
  const status = phase.kind === 'ended' ? toStatusState(phase.ending) : 'pending';
  const target = state.links === undefined ? {} : { targetUrl: state.links.view };
  const { event, id } = state.build;
  const mark = ` (${toShortName(state.build)}, build ${id})`;
  const description = withoutBeyondBmp(toText(state));
  return {
    context: toStatusContext(event),
    state: status,
    description: toOneLine(description, MAX_DESCRIPTION_LENGTH - mark.length) + mark,
    ...target,
  };
}

export function toStatusContext(event: Build['event']): string {
  return event === 'pull_request' ? 'c3/pr' : `c3/${event}`;
}

/** A longer name is cut, and ends with `~`, which no ref contains, and sixteen digits of its hash. */
const MAX_NAME_LENGTH = 36;

/**
 * Names what was built, for a description, without spaces: the ref, shortened, or `#12`. In one context, different refs
 * and pull requests have different names.
 */
export function toShortName({ ref: { name }, pull }: Pick<Build, 'ref' | 'pull'>): string {
  if (pull) return `#${pull.number}`;
  const shorten = (length: number): string => toOneLine(withoutBeyondBmp(name), length).replaceAll(/\s/g, '_');
  if (shorten(MAX_NAME_LENGTH) === name) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${shorten(MAX_NAME_LENGTH - 17)}~${digest}`;
}

/** Reads a status that {@link formatCommitStatus} wrote. For any other status, only its state counts. */
export function readCommitStatus({ state, description }: Pick<CommitStatus, 'state' | 'description'>): ReadStatus {
  const [mark = '', refName, buildId] = / \((\S*), build ([^()\s]+)\)$/.exec(description) ?? [];
  const text = description.slice(0, description.length - mark.length);
  const of = { buildId, refName, text };
  const ending = readEnding(text);
  if (state === 'pending') return { ...of, ending: ending?.kind === 'needs-approval' ? ending : undefined };
  return { ...of, ending: ending && toStatusState(ending) === state ? ending : toEndingByState(state, text) };
}

/**
 * Returns whether anything of a build may have run before it ended. A delivery whose build never began is built when it
 * is delivered again.
 */
export function hasBegun({ ending, text }: ReadStatus): boolean {
  if (ending?.kind === 'infrastructure-error') return !text.startsWith(ENDING_WORDS[ending.kind].word + NOT_BEGUN);
  return ending === undefined || !['refused', 'config-error', 'needs-approval'].includes(ending.kind);
}

/** Returns the newest status of a build; undefined if there is none. @param statuses newest first */
export async function findBuildStatus(
  statuses: AsyncIterable<CommitStatus>,
  buildId: string,
): Promise<(ReadStatus & Pick<CommitStatus, 'state'>) | undefined> {
  for await (const status of statuses) {
    const read = readCommitStatus(status);
    if (read.buildId === buildId) return { ...read, state: status.state };
  }
  return undefined;
}

/**
 * Returns the ending of the newest build of a ref that passed or failed; undefined if there is none. Skipped
 * builds and builds that could not run do not count.
 *
 * @param statuses newest first
 */
export async function findOutcome(
  statuses: AsyncIterable<CommitStatus>,
  build: Pick<Build, 'event' | 'ref' | 'pull'>,
): Promise<Ending | undefined> {
  const context = toStatusContext(build.event);
  for await (const status of statuses) {
    const { ending, refName } = readCommitStatus(status);
    if (!ending || refName !== toShortName(build) || !status.context.startsWith(context)) continue;
    if (ending.kind === 'passed' || toStatusState(ending) === 'failure') return ending;
  }
  return undefined;
}

/** Returns whether a failed step of an earlier build, as its status names it, has passed in this one. */
export function hasPassed(failed: Extract<Ending, { kind: 'failed' }>, steps: BuildState['steps']): boolean {
  const same = steps.filter(({ name }) => toOneLine(name, MAX_STEP_LENGTH) === failed.step);
  return same.length > 0 && same.every(({ phase }) => phase.kind === 'passed');
}

export function toStatusState({ kind }: Ending): CommitStatus['state'] {
  switch (kind) {
    case 'needs-approval':
      return 'pending';
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

function withoutBeyondBmp(text: string): string {
  return text.toWellFormed().replaceAll(BEYOND_BMP, '\uFFFD');
}

function toText(state: BuildState): string {
  switch (state.phase.kind) {
    case 'queued':
      return 'queued';
    case 'preparing':
      return `preparing: ${state.phase.detail}`;
    case 'running': {
      const running = state.steps.filter(({ phase }) => phase.kind === 'running');
      return `running ${running.map(({ name }) => toOneLine(name, MAX_STEP_LENGTH)).join(', ')}`;
    }
    case 'ended':
      return toEndedText(state, state.phase.ending);
  }
}

function toEndedText(state: BuildState, ending: Ending): string {
  const duration = formatDuration((state.endedAt ?? state.startedAt) - state.startedAt);
  const { word } = ENDING_WORDS[ending.kind];
  switch (ending.kind) {
    case 'passed':
      return toPassedText(ending.allowed, state, duration);
    case 'failed':
      return withMessage(`${word} at ${formatStep(ending.step)} after ${duration}`, ending.message);
    case 'config-error':
      return withMessage(word, toFirstLine(ending.message));
    case 'skipped':
    case 'needs-approval':
    case 'refused':
      return withMessage(word, ending.message);
    default: {
      const began =
        state.isResumed === true || state.steps.some(({ phase }) => !['pending', 'skipped'].includes(phase.kind));
      const isNew = ending.kind === 'infrastructure-error' && !began;
      return withMessage(`${word}${isNew ? NOT_BEGUN : ` after ${duration}`}`, ending.message);
    }
  }
}

function toPassedText(allowed: readonly string[], { warnings, previous }: BuildState, duration: string): string {
  const failures = allowed.map((name) => toOneLine(name, MAX_STEP_LENGTH)).join(', ');
  const fixed = previous === 'failed' ? ', fixed' : '';
  const passed = `${ENDING_WORDS.passed.word} in ${duration}${fixed}${failures && `, with allowed failures: ${failures}`}`;
  const [warning] = warnings;
  return warning === undefined ? passed : `${passed}; warning: ${toFirstLine(warning)}`;
}

function withMessage(head: string, message: string): string {
  return message === '' ? head : `${head}: ${message}`;
}

function toFirstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

/** Quotes a name that could be confused with what follows it. */
function formatStep(name: string): string {
  const line = toOneLine(name, MAX_STEP_LENGTH);
  return line === '' || /^"|: | after /.test(line) ? JSON.stringify(line) : line;
}

function readEnding(text: string): Ending | undefined {
  const kinds = Object.keys(ENDING_WORDS) as Ending['kind'][];
  const kind = kinds.find((one) => text.startsWith(ENDING_WORDS[one].word));
  if (kind === undefined) return undefined;
  const rest = text.slice(ENDING_WORDS[kind].word.length);
  if (kind === 'passed') return /^(?: in |$)/.test(rest) ? { kind, allowed: [] } : undefined;
  if (kind === 'failed') return readFailed(rest);
  const message = readMessage(rest);
  return message === undefined ? undefined : { kind, message };
}

/** Reads ` at STEP after 8s: MESSAGE`. */
function readFailed(rest: string): Ending | undefined {
  if (!rest.startsWith(' at ')) return undefined;
  const [quoted] = /^"(?:[^"\\]|\\.)*"/.exec(rest.slice(4)) ?? [];
  const end = quoted === undefined ? rest.indexOf(' after ', 4) : 4 + quoted.length;
  const message = end < 0 ? undefined : readMessage(rest.slice(end));
  if (message === undefined) return undefined;
  return { kind: 'failed', step: quoted === undefined ? rest.slice(4, end) : unquote(quoted), message };
}

const AFTER_DURATION = new RegExp(`^(?: after ${DURATION.source}|${NOT_BEGUN})?`);

/** Reads ` after 8s: MESSAGE`, `: MESSAGE` or nothing. */
function readMessage(rest: string): string | undefined {
  const [head = ''] = AFTER_DURATION.exec(rest) ?? [];
  const tail = rest.slice(head.length);
  if (tail === '') return '';
  return tail.startsWith(': ') ? tail.slice(2) : undefined;
}

function unquote(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}

function toEndingByState(state: Exclude<CommitStatus['state'], 'pending'>, text: string): Ending {
  switch (state) {
    case 'success':
      return { kind: 'passed', allowed: [] };
    case 'failure':
      return { kind: 'failed', step: 'a step', message: text };
    case 'error':
      return { kind: 'infrastructure-error', message: text };
  }
}
