import { parseEnv } from 'node:util';
import { C3Error } from '../../errors.ts';
import { type Pipeline, type Stage, stepsOf, suggest } from '../../pipeline/index.ts';
import { readUserFile, type Terminal } from '../terminal.ts';

/**
 * Returns the pipeline with only the named steps, in their own order. A container's name chooses its steps. Steps of
 * `finally` can be named too.
 *
 * @throws {C3Error} USAGE_INVALID with the first name that no step and no container of a step has
 */
export function chooseSteps(pipeline: Pipeline, names: readonly string[]): Pipeline {
  if (names.length === 0) return pipeline;
  const stages = [...pipeline.steps, ...pipeline.finally];
  const all = stages.flatMap(stepsOf);
  const known = new Set(all.flatMap(({ name, container }) => [name, container]));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    const near = suggest(unknown, known);
    const listed = [...new Set(all.map(({ name }) => `"${name}"`))].join(', ');
    const hint = near === undefined ? `the steps are ${listed}` : `did you mean "${near}"?`;
    throw new C3Error('USAGE_INVALID', `No step is called "${unknown}"`, { hint });
  }
  const steps = choose(pipeline.steps, names);
  const last = choose(pipeline.finally, names);
  // A pipeline has at least one step. If only steps of `finally` are named, they become the steps.
  const [first, ...rest] = steps.length > 0 ? steps : last;
  return first ? { ...pipeline, steps: [first, ...rest], finally: steps.length > 0 ? last : [] } : pipeline;
}

function choose(stages: readonly Stage[], names: readonly string[]): Stage[] {
  return stages.flatMap((stage): Stage[] => {
    const [first, ...rest] = stepsOf(stage).filter(
      ({ name, container }) => names.includes(name) || names.includes(container),
    );
    if (!first) return [];
    return [rest.length === 0 ? { kind: 'step', step: first } : { kind: 'parallel', steps: [first, ...rest] }];
  });
}

/**
 * Reads `NAME=value` lines in the format of a `.env` file: comments, `export`, quotes, quoted values over several
 * lines.
 *
 * @throws {C3Error} USAGE_INVALID when the file cannot be read or a name is invalid; the message never holds a value
 */
export function readVariables(terminal: Terminal, path: string | undefined): Record<string, string> {
  if (path === undefined) return {};
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseEnv(readUserFile(terminal, path)))) {
    if (!/^[A-Za-z_]\w*$/.test(name) || name.startsWith('C3_')) {
      throw new C3Error('USAGE_INVALID', `"${path}": "${name.slice(0, 40)}" cannot be a variable's name`, {
        hint: 'letters, digits and "_"; it must not start with a digit or with C3_',
      });
    }
    variables[name] = value ?? '';
  }
  return variables;
}

/** Returns the pipeline with these variables in its `env:`. They replace its own; the `env:` of a step still wins. */
export function addVariables(pipeline: Pipeline, variables: Readonly<Record<string, string>>): Pipeline {
  return { ...pipeline, env: { ...pipeline.env, ...variables } };
}

/**
 * Replaces each sealed secret by its value, which stays for the same refs. Removes the secrets that have no value, so
 * that the steps run without them.
 *
 * @returns the pipeline, and the names without a value
 */
export function fillSecrets(
  pipeline: Pipeline,
  values: Readonly<Record<string, string>>,
): { readonly pipeline: Pipeline; readonly missing: readonly string[] } {
  const secrets = Object.entries(pipeline.secrets);
  const filled = secrets.filter(([name]) => Object.hasOwn(values, name));
  return {
    pipeline: {
      ...pipeline,
      secrets: Object.fromEntries(filled.map(([name, sealed]) => [name, { ...sealed, value: values[name] ?? '' }])),
    },
    missing: Object.keys(pipeline.secrets).filter((name) => !Object.hasOwn(values, name)),
  };
}
