import { toOneLine } from '../terminal/text.ts';
import type { BuildState, Ending } from './build-state.ts';
import { DURATION, ENDING_WORDS, formatDuration } from './words.ts';

/**
 * A commit status at the forge. This file has its codec: it writes the state of a build into a status, and reads the
 * ending of a build from one. No other room reads or writes these texts.
 */
export interface CommitStatus {
  readonly state: 'pending' | 'success' | 'failure' | 'error';
  /**
   * At most {@link MAX_DESCRIPTION_LENGTH} UTF-16 units, the build's id at the end: `passed in 8s (build
   * 5f3a0c91d2e4)`.
   */
  readonly description: string;
  readonly targetUrl?: string;
}

/** What c3 reads from a commit status. */
export interface ReadStatus {
  /** Undefined for a status that c3 did not write. */
  readonly buildId: string | undefined;
  /** Undefined while the build is pending. A passed build has an empty list of allowed failures. */
  readonly ending: Ending | undefined;
  /** The description without the build's id. */
  readonly text: string;
}

/** GitHub refuses a longer description. The other forges accept at least as much. */
export const MAX_DESCRIPTION_LENGTH = 140;

/** Leaves room for the duration and the message after a step's name. */
const MAX_STEP_LENGTH = 40;

/** GitHub refuses characters of four UTF-8 bytes in a description. */
const BEYOND_BMP = /[\u{10000}-\u{10FFFF}]/gu;

/** Writes the status for a build's state. */
export function formatCommitStatus(state: BuildState): CommitStatus {
  const { phase } = state;
  const status = phase.kind === 'ended' ? toStatusState(phase.ending) : 'pending';
  const target = state.links === undefined ? {} : { targetUrl: state.links.view };
  return { state: status, description: describe(toText(state), state.build.id), ...target };
}

/** Reads a status that {@link formatCommitStatus} wrote. For any other status, only its state counts. */
export function readCommitStatus({ state, description }: Omit<CommitStatus, 'targetUrl'>): ReadStatus {
  const [mark = '', buildId] = / \(build ([^()\s]+)\)$/.exec(description) ?? [];
  const text = description.slice(0, description.length - mark.length);
  if (state === 'pending') return { buildId, ending: undefined, text };
  const ending = readEnding(text);
  return { buildId, ending: ending && toStatusState(ending) === state ? ending : toEndingByState(state, text), text };
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
 * Returns the result of the newest build that passed or failed; undefined if there is none. Skipped builds and builds
 * that could not run do not count.
 *
 * @param statuses newest first
 */
export async function findOutcome(statuses: AsyncIterable<CommitStatus>): Promise<'passed' | 'failed' | undefined> {
  for await (const status of statuses) {
    const { ending } = readCommitStatus(status);
    if (ending?.kind === 'passed') return 'passed';
    if (ending && toStatusState(ending) === 'failure') return 'failed';
  }
  return undefined;
}

export function toStatusState({ kind }: Ending): Exclude<CommitStatus['state'], 'pending'> {
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

function describe(text: string, buildId: string): string {
  const mark = ` (build ${buildId})`;
  const plain = text.toWellFormed().replaceAll(BEYOND_BMP, '\uFFFD');
  return toOneLine(plain, MAX_DESCRIPTION_LENGTH - mark.length) + mark;
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
    case 'refused':
      return withMessage(word, ending.message);
    default:
      return withMessage(`${word} after ${duration}`, ending.message);
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

const AFTER_DURATION = new RegExp(`^(?: after ${DURATION.source})?`);

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
