import { parseEnv } from 'node:util';
import { C3Error } from '../../errors.ts';
import type { Pipeline } from '../../pipeline/index.ts';
import type { Terminal } from '../terminal.ts';

/**
 * `NAME=value` lines, as of a `.env` file: comments, `export`, quotes, values of several lines in quotes.
 *
 * @throws {C3Error} USAGE_INVALID when the file cannot be read or a name cannot be a variable's; never with a value
 */
export function readVariables(terminal: Terminal, path: string | undefined): Record<string, string> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = terminal.readFile(path);
  } catch (error) {
    throw new C3Error('USAGE_INVALID', `Cannot read "${path}"`, { cause: error });
  }
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseEnv(text))) {
    if (!/^[A-Za-z_]\w*$/.test(name) || name.startsWith('C3_')) {
      throw new C3Error('USAGE_INVALID', `"${path}": "${name.slice(0, 40)}" cannot be a variable's name`, {
        hint: 'letters, digits and "_", not beginning with a digit, nor with C3_',
      });
    }
    variables[name] = value ?? '';
  }
  return variables;
}

/** The pipeline with these variables over those of its `env:`; what a step says itself stays. */
export function addVariables(pipeline: Pipeline, variables: Readonly<Record<string, string>>): Pipeline {
  return { ...pipeline, env: { ...pipeline.env, ...variables } };
}

export interface Secrets {
  readonly pipeline: Pipeline;
  /** Names under `secrets:` that have no value here: the steps run without them. */
  readonly missing: readonly string[];
}

/** The pipeline with those of its secrets that have a value, which stands in place of the sealed one. */
export function fillSecrets(pipeline: Pipeline, values: Readonly<Record<string, string>>): Secrets {
  const names = Object.keys(pipeline.secrets);
  const filled = names.filter((name) => Object.hasOwn(values, name));
  return {
    pipeline: { ...pipeline, secrets: Object.fromEntries(filled.map((name) => [name, values[name] ?? ''])) },
    missing: names.filter((name) => !Object.hasOwn(values, name)),
  };
}
