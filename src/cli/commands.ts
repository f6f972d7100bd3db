import { Command, CommanderError, Option } from 'commander';
import { SETTINGS, type Flags } from '../config/index.ts';
import type { CatchUpFlags } from './catch-up.ts';
import type { EncryptFlags } from './encrypt.ts';
import type { LintFlags } from './lint.ts';
import { createProcessTerminal } from './terminal.ts';
import type { RunFlags } from './run.ts';
import { tellError, type Terminal } from './terminal.ts';

/** As `engines` in package.json. */
const MIN_NODE = [22, 18] as const;

/**
 * Runs `c3 <command>` and returns the exit code: 0 for success, 1 for a failure, 2 for wrong usage or settings. A
 * command is loaded only when it is called, so that `c3 keygen` does not load a Kubernetes client.
 */
export async function runCli(
  args: readonly string[],
  terminal: Terminal = createProcessTerminal(process.env),
): Promise<number> {
  enterCallersDirectory(terminal.env);
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    terminal.tell(`c3: error: c3 needs Node ${MIN_NODE.join('.')} or newer, and this is ${process.versions.node}`);
    return 2;
  }
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
    .command('link')
    .description('print the control link of a build; standard input is an access token that may push')
    .argument('<url>', 'the link in the commit status')
    .action(async (url: string) => {
      exitCode = await (await import('./link.ts')).link(terminal, url);
    });

  addCatchUp(program).action(async (flags: CatchUpFlags) => {
    exitCode = await (await import('./catch-up.ts')).catchUp(terminal, flags);
  });

  program
    .command('lint')
    .description('check a c3.yaml and print every problem with line, column and hint')
    .argument('[file]', 'the file to check; - reads standard input', 'c3.yaml')
    .option('--fix', 'correct the indentation of scripts in the file')
    .option('--strict', 'fail on warnings too')
    .addOption(new Option('--format <format>', 'output format (default text)').choices(['text', 'json', 'github']))
    .option('--json', 'same as --format json')
    .action(async (file: string, flags: LintFlags) => {
      exitCode = await (await import('./lint.ts')).lint(terminal, file, flags);
    });

  addRun(program).action(async (words: string[], flags: RunFlags) => {
    exitCode = await (await import('./run.ts')).run(terminal, { words, directory: process.cwd() }, flags);
  });

  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has printed the error; --help is not an error.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return tellError(terminal, error);
  }
}

/** `npm run c3` starts in the folder of c3. File names are relative to the folder in which the person called it. */
function enterCallersDirectory({
  npm_lifecycle_event: script,
  npm_package_name: name,
  INIT_CWD: caller,
}: Terminal['env']): void {
  if (script === 'c3' && name === 'c3-ci' && caller) process.chdir(caller);
}

/** Adds an option for each setting that has a flag. Text and default come from the list of settings. */
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

function addRun(program: Command): Command {
  return program
    .command('run')
    .description('run c3.yaml for the working tree, on the embedded cluster or on your own')
    .argument('[file-and-steps...]', 'the file (default c3.yaml), then the names of the steps (default all)')
    .option('--local', 'use the embedded cluster (default if no cluster is named)')
    .option('--kubeconfig <file>', 'use the cluster of this kubeconfig')
    .option('--context <name>', 'use this context of the kubeconfig, KUBECONFIG or ~/.kube/config')
    .addOption(new Option('--event <kind>', 'the event to simulate').choices(['push', 'tag', 'pull_request']))
    .option('--branch <name>', 'the branch that was pushed, or of the pull request (default: the branch of HEAD)')
    .option('--tag <name>', 'the tag that was pushed')
    .option('--base <name>', 'the target branch of the pull request')
    .option('--draft', 'the pull request is a draft')
    .option('--env-file <path>', 'variables, one NAME=value per line')
    .option('--secret-file <path>', 'values for secrets, one NAME=value per line')
    .option('--dry-run', 'print the plan and the Pod without contacting a cluster')
    .option('--watch', 'run again when files change')
    .option('--json', 'print events as JSON, one object per line')
    .option('--fresh', 'use a new Pod and delete it afterwards');
}

function addCatchUp(program: Command): Command {
  return program
    .command('catch-up')
    .description('let GitHub send the webhooks again that c3 missed; standard input is an access token')
    .requiredOption('--repo <host/owner/name>', 'the repository, for example github.com/acme/shop')
    .option('--url <url>', 'only the webhooks that call this c3, named by its public base URL')
    .option('--hours <count>', 'how far to look back (default 72: GitHub keeps deliveries for 3 days)')
    .option('--forges <list>', 'GitHub Enterprise Servers: github=https://ghe.example.com (C3_FORGES)')
    .option('--dry-run', 'print what would be sent again, and send nothing')
    .option('--json', 'print JSON, one object per line');
}

function addEncrypt(program: Command): Command {
  return program
    .command('encrypt')
    .description('seal standard input for one repository and one purpose; for a hook, print its URL and secret')
    .requiredOption('--repo <host/owner/name>', 'the repository, for example github.com/acme/shop')
    .requiredOption('--for <purpose>', 'hook, k8s, telegram or secret:NAME')
    .option('--ref <glob>', "seal for builds of these refs only, for example refs/heads/main or 'refs/tags/v*'")
    .option('--signature <required|optional>', 'whether deliveries of the hook must be signed (default required)')
    .option('--public-key <url|file>', "seal with a server's public key instead of C3_SECRET")
    .option('--secret-file <path>', 'a file with the value of C3_SECRET')
    .option('--url <url>', "the server's public base URL, for a hook (C3_URL)");
}
