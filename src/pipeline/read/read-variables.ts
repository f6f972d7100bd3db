import type { SealedValue } from '../pipeline.ts';
import type { Located, ProblemList } from '../problem-list.ts';
import { quote, quoteKey } from '../problem-list.ts';
import type { YamlEntry, YamlMap, YamlNode } from '../yaml-tree.ts';
import { child, readText, toMap } from './read-value.ts';
import { readSealed } from './read-sealed.ts';

/**
 * These variables change how the shell or the loader of every step works, and c3's own supervisor. A script can set
 * them.
 */
const refusedNames: ReadonlySet<string> = new Set(
  'PATH ENV IFS BASH_ENV BASHOPTS SHELLOPTS LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH'.split(' '),
);

/** Matches the names that {@link checkName} accepts. */
export const VARIABLE_PATTERN: RegExp = new RegExp(
  `^(?!C3_|(?:${[...refusedNames].join('|')})$)[A-Za-z_][A-Za-z0-9_]{0,127}$`,
  'u',
);

/**
 * Reads `env`: text by name. A value needs no limit of its own: Linux accepts 128 KiB for a variable
 * (MAX_ARG_STRLEN), and no value of a file of 64 KiB is longer.
 */
export function readEnv(node: YamlNode | undefined, problems: ProblemList): Record<string, string> {
  return readVariables(node, 'env', problems, ({ value }, name) => {
    if (value.kind !== 'scalar' || value.value !== null) return readText(value, `env.${name}`, problems);
    problems.error(value, `env.${name} is empty`, 'write "" for an empty text');
    return undefined;
  });
}

/** Reads `secrets`: sealed values by name. */
export function readSecrets(node: YamlNode | undefined, problems: ProblemList): Record<string, SealedValue> {
  return readVariables(node, 'secrets', problems, (entry, name) =>
    readSealed(entry, { what: `secrets.${name}`, purpose: `secret:${name}`, content: 'the value' }, problems),
  );
}

/** Refuses a name in both `env` and `secrets`: the value of the step would be ambiguous. */
export function refuseOverlap(root: YamlMap, problems: ProblemList): void {
  const env = child(root, 'env');
  const secrets = child(root, 'secrets');
  if (env?.kind !== 'map' || secrets?.kind !== 'map') return;
  for (const [name, entry] of secrets.entries) {
    if (env.entries.has(name)) problems.error(entry.key, `${quoteKey(name)} is in both env and secrets`);
  }
}

function readVariables<Value>(
  node: YamlNode | undefined,
  what: 'env' | 'secrets',
  problems: ProblemList,
  readOne: (entry: YamlEntry, name: string) => Value | undefined,
): Record<string, Value> {
  const map = node && toMap(node, what, problems);
  const variables: [string, Value][] = [];
  for (const [name, entry] of map?.entries ?? []) {
    // Below `secrets`, a secret without a colon can look like a name.
    const shown = what === 'secrets' ? quoteKey(name) : quote(name);
    if (!checkName(name, shown, entry.key, problems)) continue;
    const value = readOne(entry, name);
    if (value !== undefined) variables.push([name, value]);
  }
  return Object.fromEntries(variables);
}

function checkName(name: string, shown: string, at: Located, problems: ProblemList): boolean {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) {
    const hint = 'letters, digits and "_", not starting with a digit, at most 128';
    problems.error(at, `${shown} is not the name of a shell variable`, hint);
  } else if (name.startsWith('C3_')) {
    problems.error(at, `${shown} is reserved: c3 sets the variables that begin with C3_`);
  } else if (refusedNames.has(name)) {
    const hint = `set it in the script: \`export ${name}=…\``;
    problems.error(at, `${shown} is not allowed here: it would change the shell that runs every step`, hint);
  } else {
    return true;
  }
  return false;
}
