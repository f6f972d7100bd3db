import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { describeListenFault } from '../../src/cli/terminal.ts';
import { createForgeServer } from './forge-server.ts';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly publicHost?: string;
  readonly repository: string;
  readonly private: boolean;
  readonly login: string;
}

const program: Command = new Command('forge')
  .description(
    "A forge on this machine, with GitHub's API, webhooks and git over HTTP. The administrator's token comes from FORGE_TOKEN.",
  )
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--port <number>', 'port to listen on, 0 for any', toPort, 0)
  .option('--public-host <name>', "host name in the forge's URLs, if others see it under another name")
  .option('--repository <owner/name>', 'repository to create', 'acme/shop')
  .option('--private', 'make the repository private', false)
  .option('--login <name>', 'login of the administrator', 'acme')
  .action(run);

await program.parseAsync().catch((error: unknown) => {
  const text = describeListenFault(error) ?? (error instanceof Error ? error.message : String(error));
  program.error(`forge: error: ${text}`);
});

async function run(options: Options): Promise<void> {
  const token = process.env['FORGE_TOKEN'];
  if (token === undefined || token === '') {
    program.error('forge: error: FORGE_TOKEN is not set\nforge: hint: any text without spaces will do');
  }
  const [owner = '', name = ''] = options.repository.split('/');
  const root = await mkdtemp(join(tmpdir(), 'c3-forge-'));
  const { host, port, publicHost } = options;
  const forge = await createForgeServer({
    root,
    host,
    port,
    ...(publicHost === undefined ? {} : { publicHost }),
    users: [{ login: options.login, token, permissions: { '*': 'admin' } }],
  });
  const repository = await forge.createRepository({ owner, name, isPrivate: options.private });
  console.log(`API       ${forge.apiBase}`);
  console.log(`clone     ${forge.origin}/${repository.fullName}.git`);
  console.log(`directory ${repository.path}`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await forge.close();
  await rm(root, { recursive: true });
}

function toPort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  }
  return port;
}
