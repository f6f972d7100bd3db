import type { Located, ProblemList } from '../problem-list.ts';
import { findOption, isLikeStepKey } from '../step-language.ts';
import type { YamlNode, YamlScalar } from '../yaml-tree.ts';
import { findBashTest, findEmptiedLog, findForeignProgram, findShell } from './shell-lines.ts';

interface ScriptContext {
  readonly problems: ProblemList;
  /** The text of the file. */
  readonly text: string;
}

/** Checks a script that `sh` runs: what YAML makes of its lines, and what only other shells know. */
export function checkScript(node: YamlScalar, script: string, context: ScriptContext): void {
  if (node.style === 'plain') warnOfComment(node, context);
  else if (refuseOptions(node, context)) return;
  warnOfScript(node, script, context);
  const line = findForeignProgram(script);
  if (line === undefined) return warnOfBashTest(node, script, context);
  const hint = 'write a list, `[bash, -euc, SCRIPT]`, or pass the script to its program in a here-document';
  context.problems.warning(placeOf(node, line, context.text), 'c3 runs this script with `sh` and ignores "#!"', hint);
}

/** Checks the scripts in a list that starts a shell: `[bash, -euc, SCRIPT]`. */
export function checkArguments(items: readonly YamlNode[], words: readonly string[], context: ScriptContext): void {
  const shell = findShell(words);
  if (shell === undefined) return;
  for (const [index, node] of items.entries()) {
    const script = words[index] ?? '';
    if (node.kind !== 'scalar' || !/^-[a-z]*c$/.test(words[index - 1] ?? '')) continue;
    warnOfScript(node, script, context);
    if (shell === 'sh') warnOfBashTest(node, script, context);
  }
}

function warnOfScript(node: YamlScalar, script: string, context: ScriptContext): void {
  warnOfJoinedLines(node, context);
  const line = findEmptiedLog(script);
  if (line === undefined) return;
  const message = 'this empties the log of the step: it opens the log again as a file';
  context.problems.warning(placeOf(node, line, context.text), message, 'write `>&2` or `>&1`, or `tee -a`');
}

function warnOfBashTest(node: YamlScalar, script: string, { problems, text }: ScriptContext): void {
  const line = findBashTest(script);
  if (line === undefined) return;
  const message = 'not every `sh` knows "[["; where it does not, `if [[ … ]]` is false';
  problems.warning(placeOf(node, line, text), message, 'write `[ … ]`, or a list: `[bash, -euc, SCRIPT]`');
}

/** Locates a line of a script. Only under `|` do the lines of the script correspond to those of the file. */
function placeOf(node: YamlScalar, line: number, text: string): Located {
  if (node.style !== 'literal') return node;
  let start = node.start;
  for (let count = 0; count <= line; count++) start = text.indexOf('\n', start) + 1;
  const [content = ''] = text.slice(start, node.end).split('\n', 1);
  return { start: start + content.search(/\S|$/), end: start + content.trimEnd().length };
}

/**
 * Warns when YAML joins two lines and the second one does not look like a continuation: the second command would be
 * arguments of the first. YAML keeps line breaks under `|`. Under `>`, it keeps those beside a line that is indented
 * deeper.
 */
function warnOfJoinedLines(node: YamlScalar, { text, problems }: ScriptContext): void {
  if (node.style === 'literal') return;
  const isFolded = node.style === 'folded';
  const isQuoted = node.style === 'quoted';
  const from = isFolded ? text.indexOf('\n', node.start) + 1 : node.start + (isQuoted ? 1 : 0);
  const lines = text.slice(from, node.end - (isQuoted ? 1 : 0)).split('\n');
  const margin = findMargin(lines);
  const isKept = (line: string): boolean => line.trim() === '' || (isFolded && /^[ \t]/.test(line.slice(margin)));
  let start = from;
  let candidates = 0;
  for (const [index, line] of lines.entries()) {
    const before = lines[index - 1] ?? '';
    if (!isKept(before) && !isKept(line) && !CONTINUES.test(before.trim()) && !CONTINUATION.test(line.trim())) {
      // More candidates are the lines of a text in quotes.
      if (++candidates > MAX_CANDIDATES) return;
      if (!hasOpenQuote(text.slice(from, start))) {
        const at = { start: start + line.search(/\S/), end: start + line.trimEnd().length };
        const hint = 'put the script under "|", where each line stays a line';
        return problems.warning(at, 'YAML joins this line and the one above it into one command', hint);
      }
    }
    start += line.length + 1;
  }
}

/** The end of a line after which a command continues, and the start of a line that continues one. */
const CONTINUES = /(?:[\\&|;({]|\b(?:then|do|else))$/;
const CONTINUATION = /^(?:[-&|;)}<>]|\d>)/;

/**
 * Refuses options that are indented like the script above them: `when: …` would be a command that does not exist, after
 * the others have run. A line of a here-document or inside quotes can look like this. Returns whether it found one.
 */
function refuseOptions(node: YamlScalar, { text, problems }: ScriptContext): boolean {
  const [header = '', ...lines] = text.slice(node.start, node.end).split('\n');
  if (!/^[|>]/.test(header)) return false;
  const margin = findMargin(lines);
  let start = node.start + header.length + 1;
  let candidates = 0;
  let isFound = false;
  for (const line of lines) {
    const option = line.search(/[^ ]/) === margin ? findOption(line) : undefined;
    if (option !== undefined && isLikeStepKey(option)) {
      const before = text.slice(node.start + header.length, start);
      // More candidates than options are the lines of a file, in quotes.
      if (++candidates > MAX_CANDIDATES || before.includes('<<')) return isFound;
      const at = { start: start + margin, end: start + line.length };
      const hint = 'indent it like the container';
      if (!hasOpenQuote(before)) {
        problems.error(at, 'this option is indented like the script above it', hint);
        isFound = true;
      }
    }
    start += line.length + 1;
  }
  return isFound;
}

/** Returns how deep the first line that is not empty is indented. */
function findMargin(lines: readonly string[]): number {
  return /^ */.exec(lines.find((line) => line.trim() !== '') ?? '')?.[0].length ?? 0;
}

const MAX_CANDIDATES = 10;

function hasOpenQuote(script: string): boolean {
  return /["']/.test(script.replace(/\\.|'[^']*'|"(?:\\.|[^"\\])*"/gs, ''));
}

/**
 * Warns where YAML cuts a plain text at ` #`. A shell would do the same, so `make # all of it` is fine. Different are
 * a `#` in quotes, and `#1`, which people nearly always want to keep.
 */
function warnOfComment(node: YamlScalar, { text, problems }: ScriptContext): void {
  const comment = /^[ \t]+(#[^\r\n]*)/.exec(text.slice(node.end, node.end + 200))?.[1];
  if (comment === undefined) return;
  const script = text.slice(node.start, node.end);
  if (!/^#[^\s#]/.test(comment) && !hasOpenQuote(script)) return;
  const start = text.indexOf('#', node.end);
  const hint = 'to keep it, put the whole script in quotes or under "|"';
  problems.warning({ start, end: start + comment.length }, 'this is a comment, not part of the script', hint);
}
