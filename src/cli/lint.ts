import { formatCount } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import {
  fixPipeline,
  formatProblem,
  MAX_PIPELINE_BYTES,
  parsePipeline,
  toVisible,
  type Problem,
} from '../pipeline/index.ts';
import { escapeControls, readUserFile, type Terminal } from './terminal.ts';

export interface LintFlags {
  /** The same as `format: json`. */
  readonly json?: boolean;
  readonly format?: 'text' | 'json' | 'github';
  readonly strict?: boolean;
  readonly fix?: boolean;
}

/** The name in messages when there is no file. */
const STANDARD_INPUT = 'standard input';

/**
 * Runs `c3 lint [FILE]`: prints every problem of a c3.yaml, with an excerpt in clear text, because the file belongs
 * to the user. Exit code 0, or 1 when there is an error (with `--strict`, also for a warning).
 *
 * @param file `-` is standard input
 * @throws {C3Error} `USAGE_INVALID` when the file does not exist
 */
export async function lint(terminal: Terminal, file: string, flags: LintFlags): Promise<number> {
  const source =
    file === '-'
      ? await terminal.readInput(MAX_PIPELINE_BYTES)
      : readUserFile(terminal, file, { hint: 'name the file: c3 lint FILE' });
  const fixed = flags.fix === true ? fix(terminal, file, source) : source;
  const { problems } = parsePipeline(fixed, { allowPlaceholders: true });
  const name = file === '-' ? STANDARD_INPUT : file;
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  switch (flags.format ?? (flags.json === true ? 'json' : 'text')) {
    case 'json':
      terminal.print(escapeControls(JSON.stringify({ file: name, problems })));
      break;
    case 'github':
      for (const problem of problems) terminal.print(formatWorkflowCommand(problem, name));
      break;
    case 'text':
      for (const problem of problems) terminal.print(`${formatProblem(problem, fixed, { file: name })}\n`);
      terminal.tell(`${name}: ${formatCount(errors, 'error')}, ${formatCount(problems.length - errors, 'warning')}`);
      break;
  }
  return errors > 0 || (flags.strict === true && problems.length > 0) ? 1 : 0;
}

/** Indents the scripts in the file that are not indented deep enough. Returns the new content. */
function fix(terminal: Terminal, file: string, source: string): string {
  if (file === '-') {
    throw new C3Error('USAGE_INVALID', '--fix changes a file, not standard input', { hint: 'name the file' });
  }
  const fixed = fixPipeline(source);
  if (fixed === undefined) {
    terminal.tell(`${file}: nothing changed`);
    return source;
  }
  try {
    terminal.writeFile(file, fixed.text);
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot write "${file}"`, { cause: error });
  }
  for (const { key, firstLine, lastLine } of fixed.scripts) {
    const lines = firstLine === lastLine ? `line ${firstLine}` : `lines ${firstLine}-${lastLine}`;
    terminal.tell(`${file}: indented ${lines}, the script of "${key}"`);
  }
  return fixed.text;
}

/**
 * Formats a problem for GitHub Actions, which shows it beside the line.
 *
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
 */
function formatWorkflowCommand(problem: Problem, file: string): string {
  const properties = [
    ['file', file],
    ['line', problem.line],
    ['col', problem.column],
    ['endColumn', problem.endColumn],
  ] as const;
  const shown = properties.map(([key, value]) => `${key}=${escapeProperty(String(value))}`).join(',');
  const text = problem.hint === undefined ? problem.message : `${problem.message}: ${problem.hint}`;
  return `::${problem.severity} ${shown}::${escapeData(toVisible(text))}`;
}

/** @see https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
