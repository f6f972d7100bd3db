import { rm, writeFile } from 'node:fs/promises';

import { Command, InvalidArgumentError } from 'commander';

import { describeListenFault } from '../../src/cli/terminal.ts';
import { C3Error } from '../../src/errors.ts';
import { createEmbeddedCluster } from './embedded-cluster.ts';

interface Options {
  readonly kubeconfig: string;
  readonly port: number;
}

const program: Command = new Command('cluster')
  .description('The embedded cluster alone, until a signal. Its containers are processes of this machine.')
  .option('--kubeconfig <file>', 'file to write the kubeconfig to; deleted at the end', 'c3-cluster.kubeconfig')
  .option('--port <port>', 'port to listen on, 0 for any', toPort, 0)
  .action(run);

async function run({ kubeconfig, port }: Options): Promise<void> {
  const cluster = await createEmbeddedCluster({ port });
  await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  process.stdout.write(`The embedded cluster listens on ${cluster.url}\nkubectl --kubeconfig ${kubeconfig} get pods\n`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await cluster.close();
  await rm(kubeconfig, { force: true });
}

function toPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  return Number(text);
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(
    `c3: error: ${describeListenFault(error) ?? (error instanceof Error ? error.message : String(error))}\n`,
  );
  if (error instanceof C3Error && error.hint !== undefined) process.stderr.write(`c3: hint: ${error.hint}\n`);
  process.exitCode = 1;
}
