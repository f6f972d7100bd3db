import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { createWorld } from '../dev/demo/world.ts';
import { startKubernetes } from '../dev/kubernetes/kubernetes.ts';
import { createBare } from './bare.ts';
import { createBuilds } from './builds.ts';
import { formatTable, measureRow, type RowResult } from './measure.ts';
import { createRows } from './rows.ts';

/** `npm run bench`: measures c3 on a real Kubernetes against bare measures of the same run. Progress on standard error. */
interface Options {
  readonly runs: string;
  readonly only?: string;
  readonly json: boolean;
}

await new Command('bench')
  .description('Measures c3 on a real Kubernetes; each row is a ratio to a bare measure taken in the same run.')
  .option('--runs <number>', 'runs of each row', '20')
  .option('--only <text>', 'only the rows whose name holds the text')
  .option('--json', 'one JSON object on standard output instead of the table', false)
  .action(bench)
  .parseAsync();

async function bench(options: Options): Promise<void> {
  const kubernetes = await startKubernetes({ registry: true });
  const kubeconfig = readFileSync(kubernetes.kubeconfig, 'utf8');
  const target = {
    kubeconfig,
    forgeHost: process.env['C3_TEST_FORGE_HOST'] ?? kubernetes.podGateway ?? '127.0.0.1',
    images: { git: 'alpine/git', main: 'ubuntu' },
  };
  const world = await createWorld({ forgeHost: target.forgeHost, hasLimits: false });
  const kubectl = join(process.env['C3_CLUSTER_DIR'] ?? join(homedir(), '.cache/c3/cluster'), 'bin/kubectl');
  const bare = createBare({ kubeconfig, kubeconfigPath: kubernetes.kubeconfig, kubectl });
  const builds = await createBuilds(world, target, 'bench');
  const results: RowResult[] = [];
  try {
    const idleMiB = readMemory(world.c3.pid);
    for (const row of createRows(builds, bare)) {
      if (options.only !== undefined && !row.name.includes(options.only)) continue;
      await row.prepare();
      const result = await measureRow(row, Number(options.runs));
      results.push(result);
      process.stderr.write(
        `${result.name}: ${result.ratio.toFixed(2)} (${result.c3Ms.toFixed(0)} / ${result.bareMs.toFixed(0)} ms)\n`,
      );
    }
    const memory = { idleMiB, afterMiB: readMemory(world.c3.pid) };
    if (options.json) process.stdout.write(`${JSON.stringify({ rows: results, memory })}\n`);
    else
      process.stdout.write(
        `${formatTable(results)}\nresident memory of c3: ${idleMiB} MiB idle, ${memory.afterMiB} MiB after these builds\n`,
      );
  } finally {
    await world.close();
    await builds.pods.clear();
    await builds.pods.close();
    await bare.close();
    await kubernetes.stop();
  }
}

/** Resident memory of a process in MiB, from `/proc`. */
function readMemory(pid: number): number {
  const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
