import { Command, CommanderError } from 'commander';
import { SETTINGS, type Flags } from '../config/index.ts';
import type { EncryptFlags } from './encrypt.ts';
import { createProcessTerminal } from './process-terminal.ts';
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

  program
    .command('encrypt')
    .description('seal standard input for one repository and one purpose; for a hook, print its URL and its secret')
    .requiredOption('--repo <host/owner/name>', 'the repository, for example github.com/acme/shop')
    .requiredOption('--for <purpose>', 'hook, k8s, telegram or secret:NAME')
    .option('--public-key <url|file>', "seal with a server's public key instead of C3_SECRET")
    .option('--secret-file <path>', 'a file that holds what C3_SECRET would')
    .option('--url <url>', "the server's public base URL, for a hook (C3_URL)")
    .action(async (flags: EncryptFlags) => {
      exitCode = await (await import('./encrypt.ts')).encrypt(terminal, flags);
    });

  program
    .command('lint')
    .description('check a c3.yaml: every problem at once, with line, column and hint')
    .argument('[file]', 'the file', 'c3.yaml')
    .option('--json', 'one JSON object on standard output')
    .action(async (file: string, { json }: { json?: boolean }) => {
      exitCode = (await import('./lint.ts')).lint(terminal, file, { isJson: json === true });
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
