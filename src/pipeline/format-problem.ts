import type { Problem } from './pipeline.ts';

export interface FormatOptions {
  /** The name of the file. Default `c3.yaml`. */
  readonly file?: string;
}

/** A phone or a terminal shows a line of this length without a break. */
const MAX_LINE_LENGTH = 100;

/** How much of a longer line is shown before the column of the problem. */
const LEAD = 40;

/** Forges cut a longer description of a commit status. */
const MAX_SUMMARY_LENGTH = 140;

/**
 * Formats a problem with an excerpt of the file, in two to four lines without a final line break. The excerpt shows
 * the unchanged file, with secrets in clear text: only for the command line, where the file belongs to the user.
 *
 *     c3.yaml:4:5 error: unknown key "wen"
 *       3 |   - sh: y
 *       4 |     wen: main
 *         |     ^^^ did you mean "when"?
 *
 * @param source the text that was parsed
 */
export function formatProblem(problem: Problem, source: string, options: FormatOptions = {}): string {
  // The byte order mark is not a column.
  const lines = source.replace(/^\uFEFF/, '').split('\n');
  const numberWidth = String(problem.line).length;
  const excerpt: string[] = [];
  const before = cutAround(lines[problem.line - 2] ?? '', 1).text;
  if (before.trim() !== '') excerpt.push(`  ${String(problem.line - 1).padStart(numberWidth)} | ${before}`);
  const { text, column } = cutAround(lines[problem.line - 1] ?? '', problem.column);
  excerpt.push(`  ${problem.line} | ${text}`);
  const room = Math.max(1, text.length - column + 1);
  const carets = '^'.repeat(Math.max(1, Math.min(problem.endColumn - problem.column, room)));
  const hint = problem.hint === undefined ? '' : ` ${toVisible(problem.hint)}`;
  excerpt.push(`  ${' '.repeat(numberWidth)} | ${' '.repeat(column - 1)}${carets}${hint}`);
  return [toHeadline(problem, options), ...excerpt].map((line) => line.trimEnd()).join('\n');
}

/** Formats a problem without an excerpt and hint, in at most 140 characters: for a commit status. */
export function summarizeProblem(problem: Problem, options: FormatOptions = {}): string {
  const headline = toHeadline(problem, options);
  return headline.length <= MAX_SUMMARY_LENGTH ? headline : `${headline.slice(0, MAX_SUMMARY_LENGTH - 1)}…`;
}

function toHeadline(problem: Problem, options: FormatOptions): string {
  const message = toVisible(problem.message);
  return `${options.file ?? 'c3.yaml'}:${problem.line}:${problem.column} ${problem.severity}: ${message}`;
}

/** Cuts a line to {@link MAX_LINE_LENGTH} characters around a column. Returns the visible text and the new column. */
function cutAround(line: string, column: number): { text: string; column: number } {
  const whole = line.trimEnd();
  if (whole.length <= MAX_LINE_LENGTH) return { text: toVisible(whole), column: Math.min(column, whole.length + 1) };
  const start = column <= MAX_LINE_LENGTH - LEAD ? 0 : Math.min(column - 1, whole.length) - LEAD;
  const head = start === 0 ? '' : '…';
  const tail = start + MAX_LINE_LENGTH < whole.length ? '…' : '';
  const text = head + toVisible(whole.slice(start, start + MAX_LINE_LENGTH)) + tail;
  return { text, column: column - start + head.length };
}

/**
 * Replaces each character that moves the cursor, controls the terminal or changes the direction of text, one for one.
 */
export function toVisible(text: string): string {
  return text.replaceAll('\t', ' ').replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, '\uFFFD');
}
