import type { Located, ProblemList } from '../problem-list.ts';
import { quote, quoteKey } from '../problem-list.ts';
import { readSealed } from './read-sealed.ts';
import { describeKind, readText, toMap } from './read-value.ts';
import type { YamlNode } from '../yaml-tree.ts';

/**
 * Variables that change how the shell or the loader under every step works, c3's own supervisor included. Inside the
 * script they are the script's own business.
 */
const refusedNames: ReadonlySet<string> = new Set([
  'PATH',
  'ENV',
  'IFS',
  'BASH_ENV',
  'BASHOPTS',
  'SHELLOPTS',
  'LD_PRELOAD',
  'LD_AUDIT',
  'LD_LIBRARY_PATH',
]);

/** What {@link checkName} takes. */
export const VARIABLE_PATTERN: RegExp = new RegExp(
  `^(?!C3_|(?:${[...refusedNames].join('|')})$)[A-Za-z_][A-Za-z0-9_]{0,127}$`,
  'u',
);

/**
 * `env:`, text by name. What is none is not quoted: a password may be of digits. A value needs no limit of its own: Linux takes 128 KiB
 * a variable (MAX_ARG_STRLEN), and no value of a file of 64 KiB is that long, escapes written out.
 */
export function readEnv(node: YamlNode | undefined, what: string, problems: ProblemList): Record<string, string> {
  return readVariables(node, what, problems, (value, name) => {
    const label = `${what}.${name}`;
    if (value.kind !== 'scalar' || typeof value.value === 'string') return readText(value, label, problems);
    if (value.value === null) problems.error(value, `${label} is empty`, 'quote it: ""');
    else problems.error(value, `${label} must be text, not ${describeKind(value)}`, 'quote it');
    return undefined;
  });
}

/** `secrets:`, sealed values by name. */
export function readSecrets(node: YamlNode | undefined, problems: ProblemList): Record<string, string> {
  return readVariables(node, 'secrets', problems, (value, name, at) =>
    readSealed(value, { what: `secrets.${name}`, purpose: `secret:${name}`, content: 'the value', at }, problems),
  );
}

function readVariables(
  node: YamlNode | undefined,
  what: string,
  problems: ProblemList,
  readOne: (value: YamlNode, name: string, at: Located) => string | undefined,
): Record<string, string> {
  const map = node === undefined ? undefined : toMap(node, what, problems);
  const variables: [string, string][] = [];
  for (const [name, entry] of map?.entries ?? []) {
    if (!checkName(name, { what, at: entry.key }, problems)) continue;
    const value = readOne(entry.value, name, entry.key);
    if (value !== undefined) variables.push([name, value]);
  }
  return Object.fromEntries(variables);
}

function checkName(
  name: string,
  { what, at }: { readonly what: string; readonly at: Located },
  problems: ProblemList,
): boolean {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) {
    const hint = 'letters, digits and "_", not beginning with a digit, at most 128';
    problems.error(
      at,
      `${what === 'secrets' ? quoteKey(name) : quote(name)} is not the name of a shell variable`,
      hint,
    );
  } else if (name.startsWith('C3_')) {
    problems.error(at, `${quote(name)} is reserved: c3 sets the variables that begin with C3_`);
  } else if (refusedNames.has(name)) {
    const hint = `set it inside the script: \`export ${name}=…\``;
    problems.error(at, `${quote(name)} cannot be set here: it would change the shell that runs every step`, hint);
  } else {
    return true;
  }
  return false;
}
