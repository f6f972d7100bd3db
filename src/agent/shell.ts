import { readFileSync } from 'node:fs';

/** Brings the pushed commit into the work tree. Nothing from outside is in its text: everything is a variable (A8). */
export const checkoutScript: string = readScript('checkout');

/**
 * What c3 sends to a container's shell. The scripts are in shell/*.sh, where a shell can check them. Nothing of a
 * build is ever in an argv: the API server logs argv, and the processes of a container see each other's (A4).
 */
const program = [
  ...['processes', 'log', 'step'].map(readScript),
  `_checkout=${quoteForShell(checkoutScript)}\n`,
  readScript('agent'),
].join('');

/** The script of the checkout: every agent has it. */
export const CHECKOUT: unique symbol = Symbol('the script of the checkout');

const END_OF_BOOT = '#c3-boot-end';

/** The constant argv of every exec: a shell that reads its program from standard input, line by line. */
export const agentArgv: readonly string[] = [
  'sh',
  '-c',
  `_p=; while IFS= read -r _l && [ "$_l" != '${END_OF_BOOT}' ]; do _p="$_p$_l\n"; done; eval "$_p"`,
  'c3-agent',
];

/** The agent's program, which is sent first. */
export const agentProgram: string = `${program}${END_OF_BOOT}\n`;

/** Converts `it's` to `'it'\''s'`. */
function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Formats lines that set and export variables. Names must be valid shell names. */
export function formatExports(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoteForShell(value)}\n`)
    .join('');
}

/** Formats a command that replaces the shell by one program. */
export function formatArgv(argv: readonly string[]): string {
  return `exec ${argv.map(quoteForShell).join(' ')}\n`;
}

function readScript(name: string): string {
  return withoutComments(readFileSync(new URL(`./shell/${name}.sh`, import.meta.url), 'utf8'));
}

/** Removes what a shell need not read: it reads standard input byte by byte. */
function withoutComments(script: string): string {
  return script.replaceAll(/^[ \t]*(?:#.*)?\n/gm, '');
}
