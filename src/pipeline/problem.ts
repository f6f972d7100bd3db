import type { Problem } from './pipeline.ts';
import { isPlaceholder, isSealed } from './read-sealed.ts';

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
 * Values under `k8s`, `telegram` and `secrets` that are not sealed are left out of the excerpt.
 *
 * @param source the text that was parsed
 */
export function formatProblem(problem: Problem, source: string, options: FormatOptions = {}): string {
  const lines = source.replace(/^\uFEFF/, '').split('\n');
  const numberWidth = String(problem.line).length;
  const excerpt: string[] = [];
  const before = toVisible(hideSecret(lines, problem.line - 2));
  if (before.trim() !== '') {
    excerpt.push(`  ${String(problem.line - 1).padStart(numberWidth)} | ${clip(before, 1).text}`);
  }
  const line = toVisible(hideSecret(lines, problem.line - 1));
  const clipped = clip(line, problem.column);
  excerpt.push(`  ${problem.line} | ${clipped.text}`);
  const room = Math.max(1, clipped.text.length - clipped.column + 1);
  const carets = '^'.repeat(Math.max(1, Math.min(problem.endColumn - problem.column, room)));
  const hint = problem.hint === undefined ? '' : ` ${problem.hint}`;
  excerpt.push(`  ${' '.repeat(numberWidth)} | ${' '.repeat(clipped.column - 1)}${carets}${hint}`);
  return [toHeadline(problem, options), ...excerpt].map((text) => text.trimEnd()).join('\n');
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

/** At most {@link MAX_LINE_LENGTH} characters around a column, and where that column is now. */
function clip(line: string, column: number): { text: string; column: number } {
  if (line.length <= MAX_LINE_LENGTH) return { text: line, column: Math.min(column, line.length + 1) };
  const start = column <= MAX_LINE_LENGTH - LEAD ? 0 : Math.min(column - 1, line.length) - LEAD;
  const head = start === 0 ? '' : '…';
  const tail = start + MAX_LINE_LENGTH < line.length ? '…' : '';
  return { text: head + line.slice(start, start + MAX_LINE_LENGTH) + tail, column: column - start + head.length };
}

/** One column a character: a tab would move the caret, a control character worse. */
function toVisible(line: string): string {
  return line
    .trimEnd()
    .replaceAll('\t', ' ')
    .replace(/\p{Cc}/gu, '\uFFFD');
}

/**
 * A line under a top-level key whose values are secrets, cut after its first colon unless the value is sealed or a
 * placeholder. Works on text, because a file with syntax errors has no tree.
 */
function hideSecret(lines: readonly string[], index: number): string {
  const line = lines[index] ?? '';
  if (!isUnderSecretKey(lines, index)) return line;
  const match = /^([^:]*:)?\s*(.*?)\s*$/.exec(line);
  const value = (match?.[2] ?? '').replace(/\s#.*$/, '').replace(/^(["'])(.*)\1$/, '$2');
  return value === '' || isSealed(value) || isPlaceholder(value) ? line : `${match?.[1] ?? ''} …`;
}

function isUnderSecretKey(lines: readonly string[], index: number): boolean {
  for (let at = index; at >= 0; at--) {
    const key = /^["']?([^\s#"':]+)["']?\s*:/.exec(lines[at] ?? '')?.[1];
    if (key !== undefined) return key === 'k8s' || key === 'telegram' || key === 'secrets';
  }
  return false;
}
