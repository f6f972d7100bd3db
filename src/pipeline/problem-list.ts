import type { LineCounter } from 'yaml';

import type { Problem } from './pipeline.ts';

/** A range of the parsed text, in UTF-16 units from its start; `end` is exclusive. */
export interface Located {
  readonly start: number;
  readonly end: number;
}

/**
 * Collects problems. Drops a second problem with the same message and position: an alias leads to the same node
 * twice.
 */
export interface ProblemList {
  error(at: Located, message: string, hint?: string): void;
  /**
   * Reports a value that is replaced by null. Later problems at the same position are its consequences, and are
   * dropped.
   */
  unreadable(at: Located, message: string, hint?: string): void;
  warning(at: Located, message: string, hint?: string): void;
  /** Drops all later problems in a line: they are consequences of one that was reported. */
  mute(line: number): void;
  /** Whether the limit of errors is reached, so that costly checks can be skipped. */
  readonly isFull: boolean;
  readonly hasErrors: boolean;
  /** Whether sealed values are not checked: see `ParseOptions`. */
  readonly withoutSeals: boolean;
  /** Whether a placeholder of a sealed value is only a warning. */
  readonly allowPlaceholders: boolean;
  /** Line of a position in the original text, from 1. */
  lineOf(at: Located): number;
  /** By line and column. */
  toSorted(): readonly Problem[];
}

export interface ProblemSource {
  readonly text: string;
  readonly lineCounter: LineCounter;
  /**
   * Columns that the repair inserted at the start of a line, by line. Subtracted to get columns of the original text.
   */
  readonly insertedColumns: ReadonlyMap<number, number>;
  readonly withoutSeals: boolean;
  readonly allowPlaceholders?: boolean;
}

/**
 * Limits errors, and warnings, separately. More are not useful, and a hostile file can have tens of thousands.
 */
const MAX_PROBLEMS = 50;

const MAX_QUOTE_LENGTH = 40;

export function createProblemList(source: ProblemSource): ProblemList {
  const found: Record<Problem['severity'], Map<string, Problem>> = { error: new Map(), warning: new Map() };
  const unreadable = new Set<number>();
  const muted = new Set<number>();
  const lineOf = (at: Located): number => source.lineCounter.linePos(at.start).line || 1;

  function add(severity: Problem['severity'], at: Located, message: string, hint: string | undefined): void {
    if (unreadable.has(at.start) || muted.has(lineOf(at))) return;
    const problems = found[severity];
    if (problems.size > MAX_PROBLEMS) return;
    const position = toPosition(source, at);
    const problem: Problem =
      problems.size === MAX_PROBLEMS
        ? { severity, message: `more than ${MAX_PROBLEMS} ${severity}s, the rest is not shown`, ...position }
        : { severity, message, ...(hint === undefined ? {} : { hint }), ...position };
    problems.set(`${problem.line}:${problem.column}:${problem.message}`, problem);
  }

  return {
    error: (at, message, hint) => add('error', at, message, hint),
    unreadable: (at, message, hint) => {
      add('error', at, message, hint);
      unreadable.add(at.start);
    },
    warning: (at, message, hint) => add('warning', at, message, hint),
    get isFull() {
      return found.error.size > MAX_PROBLEMS;
    },
    get hasErrors() {
      return found.error.size > 0;
    },
    withoutSeals: source.withoutSeals,
    allowPlaceholders: source.allowPlaceholders ?? false,
    mute: (line) => void muted.add(line),
    lineOf,
    toSorted: () =>
      [...found.error.values(), ...found.warning.values()].sort((a, b) => a.line - b.line || a.column - b.column),
  };
}

/**
 * Quotes a key or a name for a message: escaped, one line, at most {@link MAX_QUOTE_LENGTH} characters. Never for
 * values.
 */
export function quote(name: string): string {
  const isLong = name.length > MAX_QUOTE_LENGTH;
  return JSON.stringify(isLong ? `${name.slice(0, MAX_QUOTE_LENGTH - 1)}…` : name);
}

/** Quotes a key that is a word. After a misplaced colon, a part of a value can look like a key: it is not quoted. */
export function quoteKey(key: string): string {
  return /^[\w./-]+$/.test(key) ? quote(key) : '(not a word)';
}

function toPosition(source: ProblemSource, at: Located): Pick<Problem, 'line' | 'column' | 'endColumn'> {
  const { text, lineCounter } = source;
  const found = lineCounter.linePos(at.start);
  // An empty counter (nothing was parsed) returns line 0.
  const line = found.line || 1;
  const inserted = source.insertedColumns.get(line) ?? 0;
  const lineStart = at.start - (found.col || 1) + 1;
  const lineBreak = text.indexOf('\n', at.start);
  const lineEnd = text.slice(lineStart, lineBreak === -1 ? text.length : lineBreak).trimEnd().length + 1;
  const column = Math.max(1, found.col - inserted);
  const endColumn = Math.min(at.end - lineStart + 1, Math.max(lineEnd, found.col)) - inserted;
  return { line, column, endColumn: Math.max(column + 1, endColumn) };
}
