import { text } from './markup.ts';

/** What fits on two screens of a phone. */
const MAX_LINES = 20;
/** Lines that are visible without a tap: the summary with which most programs end. */
const MAX_LAST_LINES = 3;
const MAX_LAST_LENGTH = 240;

/** The output of a failed step as the message shows it. Each can be empty. */
export interface FailingLines {
  /** Telegram folds them and shows about three. So they begin with the line that looks like the failure. */
  readonly folded: string;
  /** The last lines, which Telegram shows whole. Empty if the last line is long. */
  readonly last: string;
}

/** Words and marks of compilers, test programs, shells and package managers. */
const FAILURE = [
  /[✗✘×❌✖]|\berr!|\b(?:errors?|fail(?:ed|ures?|s)?|fatal|panic(?:ked)?|traceback|not ok|segmentation fault|killed|aborted)\b/i,
  /\b(?:denied|refused|cannot|can't|could not|unable to|not found|no such|timed out|undefined)\b/i,
  // `ValueError`, but not the package `thiserror`.
  /\w(?:Error|Exception)\b/,
];
/** A line that passed can contain such words too: `test parse_error ... ok`. */
const PASS = [
  /^\W*(?:ok|pass(?:ed)?|npm warn|warning)\b|[✓✔√]|\bpassed\b\s*(?:\[[^\]]{0,9}\])?$|\bok$/i,
  /\b(?:0|no) (?:errors?|fail)|\b(?:failures|errors|failed): 0\b/i,
];

/**
 * Selects lines that fit into `room` characters, as they are displayed: the last lines, and before them those from the
 * first one that looks like a failure. Without such a line, the end of the output.
 */
export function selectFailingLines(output: string, room: number): FailingLines {
  const lines = output.split('\n');
  const last = takeLast(lines, Math.min(room, MAX_LAST_LENGTH), MAX_LAST_LINES);
  const earlier = lines.slice(0, lines.length - last.length);
  const left = { room: room - measure(last), lines: MAX_LINES - last.length };
  const failure = findFailure(earlier, left.lines);
  const folded =
    failure === -1
      ? takeLast(earlier, left.room, left.lines)
      : takeFirst(earlier.slice(failure), left.room, left.lines);
  if (folded.length + last.length === 0) return { folded: clipEnd(lines.at(failure) ?? '', room), last: '' };
  const isShort = last.length > 0 && folded.length <= MAX_LAST_LINES && measure(folded) <= MAX_LAST_LENGTH;
  const [hidden, shown] = isShort ? [[], [...folded, ...last]] : [folded, last];
  return { folded: toText(hidden), last: toText(shown) };
}

/** Finds the first failure in the last `count` lines, or else the last one before them. */
function findFailure(lines: readonly string[], count: number): number {
  const isFailure = (line: string): boolean => matches(FAILURE, line) && !matches(PASS, line);
  const index = lines.findIndex((line, at) => at >= lines.length - count && isFailure(line));
  return index === -1 ? lines.findLastIndex(isFailure) : index;
}

function matches(patterns: readonly RegExp[], line: string): boolean {
  return patterns.some((pattern) => pattern.test(line));
}

function takeLast(lines: readonly string[], room: number, maxLines: number): string[] {
  return take(lines.toReversed(), room, maxLines).toReversed();
}

/** Ends with `…` where lines follow that do not fit. */
function takeFirst(lines: readonly string[], room: number, maxLines: number): string[] {
  const all = take(lines, room, maxLines);
  if (all.length === lines.length) return all;
  const fitting = take(lines, room - 2, maxLines - 1);
  return fitting.length === 0 ? [] : [...fitting, '…'];
}

function take(lines: readonly string[], room: number, maxLines: number): string[] {
  let left = room;
  const kept: string[] = [];
  for (const line of lines.slice(0, maxLines)) {
    left -= measure([line]);
    if (left < 0) break;
    kept.push(line);
  }
  return kept;
}

/** Each line has a line break. `text` makes each mention one character longer. */
function measure(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + text(line).plain.length + 1, 0);
}

function toText(lines: readonly string[]): string {
  return lines.join('\n').replace(/^\n+/, '');
}

/** Returns the end of a line. Uses half the room, because each second character could be the "@" of a mention. */
function clipEnd(line: string, room: number): string {
  const end = line.slice(-Math.max(1, Math.floor(room / 2) - 1)).replace(/^[\uDC00-\uDFFF]/, '');
  return room < 4 ? '' : `…${end}`;
}
