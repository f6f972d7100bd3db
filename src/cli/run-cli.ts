import { Command, CommanderError, Option } from 'commander';
import { SETTINGS, type Flags } from '../config/index.ts';
import type { EncryptFlags } from './encrypt.ts';
import type { LintFlags } from './lint.ts';
import { createProcessTerminal } from './process-terminal.ts';
import type { RunFlags } from './run.ts';
import { tellError, type Terminal } from './terminal.ts';

/**
 * `c3 <command>`: arguments in, exit code out. 0 done, 1 the thing asked for failed, 2 wrong usage or settings. Commands are loaded
 * when they are asked for: `c3 keygen` does not wait for a Kubernetes client.
 */
export async function runCli(
  args: readonly string[],
  terminal: Terminal = createProcessTerminal(process.env),
): Promise<number> {
  let exitCode = 0;
  const program = new Command('c3')
    .description('A minimal, stateless CI/CD service for Kubernetes that reports to Telegram.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.tell(text.trimEnd().replace(/^error: /, 'c3: error: ')),
    });

  const serve = program.command('serve').description('run the server');
  addSettings(serve).action(async (flags: Flags) => {
    exitCode = await (await import('./serve.ts')).serve(terminal, flags);
  });

  program
    .command('keygen')
    .description('print a new secret for C3_SECRET')
    .action(async () => {
      exitCode = (await import('./keygen.ts')).keygen(terminal);
    });

  addEncrypt(program).action(async (flags: EncryptFlags) => {
    exitCode = await (await import('./encrypt.ts')).encrypt(terminal, flags);
  });

  program
    .command('lint')
    .description('check a c3.yaml: every problem at once, with line, column and hint')
    .argument('[file]', 'the file; - is standard input', 'c3.yaml')
    .option('--fix', 'indent scripts as deeply as they are read, in the file')
    .option('--strict', 'warnings fail too')
    .option('--format <format>', 'text, json or github (default text)')
    .option('--json', 'as --format json')
    .action(async (file: string, flags: LintFlags) => {
      exitCode = await (await import('./lint.ts')).lint(terminal, file, flags);
    });

  program
    .command('run')
    .description('run c3.yaml for the working tree, on an embedded cluster or one of your own')
    .argument('[file-and-steps...]', 'the file, if it is not c3.yaml, and the names of the steps, if not all')
    .option('--local', 'on the embedded cluster, the default where no cluster is named')
    .option('--kubeconfig <file>', 'on the cluster of this kubeconfig')
    .option('--context <name>', 'on this context of the kubeconfig, KUBECONFIG or ~/.kube/config')
    .addOption(new Option('--event <kind>', 'what to pretend').choices(['push', 'tag']))
    .option('--branch <name>', 'the branch that was pushed, instead of that of HEAD')
    .option('--tag <name>', 'the tag that was pushed')
    .option('--env-file <path>', 'variables, a line NAME=value each')
    .option('--secret-file <path>', 'values for secrets, a line NAME=value each')
    .option('--dry-run', 'print the plan and the Pod; nothing is contacted')
    .option('--watch', 'run again when files change')
    .option('--json', 'events on standard output, one JSON object a line')
    .option('--fresh', 'in a Pod of its own, which is deleted afterwards')
    .action(async (words: string[], flags: RunFlags) => {
      exitCode = await (await import('./run.ts')).run(terminal, { words, directory: process.cwd() }, flags);
    });

  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has told it already; --help is no error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return tellError(terminal, error);
  }
}

/** Every setting that has a flag, with its text and default from the one list. */
function addSettings(command: Command): Command {
  for (const setting of Object.values(SETTINGS)) {
    if (setting.flag === undefined) continue;
    const shown = setting.defaultText ?? setting.default;
    command.option(setting.flag, `${setting.text} (${setting.env}${shown ? `, default ${shown}` : ''})`);
  }
  return command.addHelpText(
    'after',
    '\nSecrets come from the environment only: C3_SECRET, C3_TELEGRAM_TOKEN. See docs/settings.md.',
  );
}

function addEncrypt(program: Command): Command {
  return program
    .command('encrypt')
    .description('seal standard input for one repository and one purpose; for a hook, print its URL and its secret')
    .requiredOption('--repo <host/owner/name>', 'the repository, for example github.com/acme/shop')
    .requiredOption('--for <purpose>', 'hook, k8s, telegram or secret:NAME')
    .option('--signature <required|optional>', 'whether deliveries of the hook must be signed (default required)')
    .option('--public-key <url|file>', "seal with a server's public key instead of C3_SECRET")
    .option('--secret-file <path>', 'a file that holds what C3_SECRET would')
    .option('--url <url>', "the server's public base URL, for a hook (C3_URL)");
}
