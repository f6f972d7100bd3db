import type { ProblemList } from '../problem-list.ts';
import type { ComposedYaml, YamlMistake } from './compose-yaml.ts';
import { composeYaml, listYamlMistakes, readYamlTokens } from './compose-yaml.ts';

/** Limits the lexemes of all passes; each mistake needs one or two. Composing takes about 2 µs for each lexeme. */
const MAX_LEXEMES_READ = 40_000;

/** What these say about the lines after them cannot be known. */
const structural: ReadonlySet<YamlMistake['code']> = new Set<YamlMistake['code']>([
  'BAD_INDENT',
  'TAB_AS_INDENT',
  'MULTIPLE_DOCS',
  'BAD_DIRECTIVE',
  'RESOURCE_EXHAUSTION',
]);

/**
 * Reports the mistakes of YAML, and replaces the values that have them by text of the same length, so that the mistakes
 * in the rest of the file can be reported too. Mutes the lines that it changed.
 *
 * Returns undefined when the structure of the file itself is not known.
 */
export function recoverYaml(yaml: ComposedYaml, problems: ProblemList): ComposedYaml | undefined {
  const attempts = new Map<number, number>();
  let current = yaml;
  for (let lexemesLeft = MAX_LEXEMES_READ; ;) {
    const mistakes = listYamlMistakes(current, problems);
    const [first] = mistakes;
    if (first === undefined) return current;
    const attempt = (attempts.get(first.line) ?? 0) + 1;
    attempts.set(first.line, attempt);
    if (attempt > 2 || lexemesLeft <= 0 || structural.has(first.code)) {
      for (const { at, message, hint } of mistakes) problems.error(at, message, hint);
      return undefined;
    }
    problems.error(first.at, first.message, first.hint);
    const lines = current.text.split('\n');
    const last = hide(lines, first, attempt);
    for (let line = first.line; line <= last; line++) problems.mute(line);
    const tokens = readYamlTokens(lines.join('\n'));
    if (tokens === undefined) return undefined;
    lexemesLeft -= tokens.lexemeCount;
    // The next mistakes can be consequences of the first one, so each pass handles only one.
    current = composeYaml(tokens);
  }
}

/** The indentation, the dashes of lists and a key. */
const BEFORE_VALUE = /^ *(?:- +)*(?:(?:"[^"]*"|'[^']*'|[\w./-]+) *:(?= |$) *)?/;

/**
 * Replaces the value in a line by text, at the second attempt also the lines below that are indented deeper. Returns the last line that it changed, from 1.
 */
function hide(lines: string[], { code, line }: YamlMistake, attempt: number): number {
  const index = line - 1;
  const text = lines[index] ?? '';
  if (code === 'MISSING_CHAR' || code === 'MULTILINE_IMPLICIT_KEY') {
    // It has no key, so that nothing is lost.
    lines[index] = text.replace(/\S/g, ' ');
    return line;
  }
  const valueStart = BEFORE_VALUE.exec(text)?.[0].length ?? 0;
  lines[index] = text.slice(0, valueStart) + toText(text.slice(valueStart));
  if (attempt === 1) return line;
  const depth = text.search(/[^ -]/);
  let last = index;
  while (isDeeper(lines[last + 1], depth)) {
    last += 1;
    lines[last] = toText(lines[last] ?? '');
  }
  return last + 1;
}

function isDeeper(line: string | undefined, depth: number): boolean {
  return line !== undefined && line.trim() !== '' && line.search(/[^ ]/) > depth;
}

function toText(text: string): string {
  return text.replace(/\S/g, 'x');
}
