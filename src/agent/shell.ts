import { readFileSync } from 'node:fs';

/**
 * What c3 says to a container's shell. The scripts live in shell/*.sh, where a shell can check them; here they become text to
 * send. Nothing of a build is ever in an argv: the API server logs argv, and processes of a container see each other's.
 */
const program = ['processes', 'log', 'step', 'watch', 'sweep', 'agent'].map(readScript).join('');

const END_OF_BOOT = '#c3-boot-end';

/** The constant argv of every exec: a shell that takes its program from standard input, line by line. */
export const agentArgv: readonly string[] = [
  'sh',
  '-c',
  `_p=; while IFS= read -r _l && [ "$_l" != '${END_OF_BOOT}' ]; do _p="$_p$_l\n"; done; eval "$_p"`,
  'c3-agent',
];

/** The first thing to send: the agent's program. */
export const agentProgram: string = `${program}${END_OF_BOOT}\n`;

/** `it's` becomes `'it'\''s'`. */
function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Lines that set and export variables. Names must be valid shell names. */
export function formatExports(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoteForShell(value)}\n`)
    .join('');
}

/** A command that replaces the shell by one program. */
export function formatArgv(argv: readonly string[]): string {
  return `exec ${argv.map(quoteForShell).join(' ')}\n`;
}

function readScript(name: string): string {
  return withoutComments(readFileSync(new URL(`./shell/${name}.sh`, import.meta.url), 'utf8'));
}

/** A shell reads standard input byte by byte: what it need not read is not sent. */
function withoutComments(script: string): string {
  return script.replaceAll(/^[ \t]*(?:#.*)?\n/gm, '');
}
