import type { Problem } from './pipeline.ts';
import { createSafeLines } from './yaml/safe-lines.ts';

export interface FormatOptions {
  /** How the file is called. Default `c3.yaml`. */
  readonly file?: string;
}

/** Of an excerpt's line: what a phone or a terminal shows without breaking it. */
const MAX_LINE_LENGTH = 100;

/** How much of a longer line stands before the place in question. */
const LEAD = 40;

/** What forges keep of a commit status. */
const MAX_SUMMARY_LENGTH = 140;

/**
 * A problem for people, in two to four lines without a line break at the end:
 *
 *     c3.yaml:4:5 error: unknown key "wen"
 *       3 |   - sh: y
 *       4 |     wen: main
 *         |     ^^^ did you mean "when"?
 *
 * Of the excerpt `…` is what may be a secret: every value that does not stand where c3 expects one that is none.
 *
 * @param source the text that was parsed
 */
export function formatProblem(problem: Problem, source: string, options: FormatOptions = {}): string {
  return formatProblems([problem], source, options).join('');
}

/** Each as {@link formatProblem} does; the source is looked through once for all of them. */
export function formatProblems(problems: readonly Problem[], source: string, options: FormatOptions = {}): string[] {
  const lineAt = createSafeLines(source);
  return problems.map((problem) => {
    const numberWidth = String(problem.line).length;
    const excerpt: string[] = [];
    const before = clip(lineAt(problem.line - 1).text, 1).text;
    if (before.trim() !== '') excerpt.push(`  ${String(problem.line - 1).padStart(numberWidth)} | ${before}`);
    const line = lineAt(problem.line);
    const column = line.toColumn(problem.column);
    const clipped = clip(line.text, column);
    excerpt.push(`  ${problem.line} | ${clipped.text}`);
    const room = Math.max(1, clipped.text.length - clipped.column + 1);
    const carets = '^'.repeat(Math.max(1, Math.min(line.toColumn(problem.endColumn) - column, room)));
    const hint = problem.hint === undefined ? '' : ` ${toVisible(problem.hint)}`;
    excerpt.push(`  ${' '.repeat(numberWidth)} | ${' '.repeat(clipped.column - 1)}${carets}${hint}`);
    return [toHeadline(problem, options), ...excerpt].map((text) => text.trimEnd()).join('\n');
  });
}

/** The first line alone, at most 140 characters: for a commit status. */
export function summarizeProblem(problem: Problem, options: FormatOptions = {}): string {
  const headline = toHeadline(problem, options);
  return headline.length <= MAX_SUMMARY_LENGTH ? headline : `${headline.slice(0, MAX_SUMMARY_LENGTH - 1)}…`;
}

function toHeadline(problem: Problem, options: FormatOptions): string {
  const message = toVisible(problem.message);
  return `${options.file ?? 'c3.yaml'}:${problem.line}:${problem.column} ${problem.severity}: ${message}`;
}

/** At most {@link MAX_LINE_LENGTH} characters around a column, fit to be seen, and where that column is now. */
function clip(line: string, column: number): { text: string; column: number } {
  const whole = line.trimEnd();
  if (whole.length <= MAX_LINE_LENGTH) return { text: toVisible(whole), column: Math.min(column, whole.length + 1) };
  const start = column <= MAX_LINE_LENGTH - LEAD ? 0 : Math.min(column - 1, whole.length) - LEAD;
  const head = start === 0 ? '' : '…';
  const tail = start + MAX_LINE_LENGTH < whole.length ? '…' : '';
  const text = head + toVisible(whole.slice(start, start + MAX_LINE_LENGTH)) + tail;
  return { text, column: column - start + head.length };
}

/** One column a character: a tab would move the caret, a control character worse, and one that turns the direction of text most of it. */
export function toVisible(text: string): string {
  return text.replaceAll('\t', ' ').replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, '\uFFFD');
}
