import { rm, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { C3Error } from '../../src/errors.ts';
import { createEmbeddedCluster } from './embedded-cluster.ts';

/** Runs the embedded cluster alone until a signal: `node dev/cluster/main.ts [--kubeconfig FILE] [--port PORT]`. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kubeconfig: { type: 'string', default: 'c3-cluster.kubeconfig' },
      port: { type: 'string', default: '0' },
    },
  });
  const cluster = await createEmbeddedCluster({ port: Number(values.port) });
  await writeFile(values.kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  process.stdout.write(
    `The embedded cluster listens on ${cluster.url}\nkubectl --kubeconfig ${values.kubeconfig} get pods\n`,
  );
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await cluster.close();
  await rm(values.kubeconfig, { force: true });
}

try {
  await main();
} catch (error) {
  process.stderr.write(`c3: error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof C3Error && error.hint !== undefined) process.stderr.write(`c3: hint: ${error.hint}\n`);
  process.exitCode = 1;
}
