import { C3Error } from '../errors.ts';
import { formatProblem, parsePipeline } from '../pipeline/index.ts';
import type { Terminal } from './terminal.ts';

/** `c3 lint [FILE]`: every problem of a c3.yaml at once. Exit code 0 (warnings allowed) or 1. */
export function lint(terminal: Terminal, file: string, { isJson }: { isJson: boolean }): number {
  const source = readSource(terminal, file);
  const { problems } = parsePipeline(source);
  if (isJson) terminal.print(JSON.stringify({ file, problems }));
  else for (const problem of problems) terminal.print(`${formatProblem(problem, source, { file })}\n`);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  if (!isJson) terminal.tell(`${file}: ${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}`);
  return errors > 0 ? 1 : 0;
}

function readSource(terminal: Terminal, file: string): string {
  try {
    return terminal.readFile(file);
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot read "${file}"`, { cause: error, hint: 'name the file: c3 lint FILE' });
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
