import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { createWorld, type World } from '../dev/demo/world.ts';
import { createNamespace } from '../dev/kubernetes/namespace.ts';
import { kubectlPath, startKubernetes } from '../dev/kubernetes/kubernetes.ts';
import { createBare, type Bare } from './bare.ts';
import { createBuilds, type Builds, type BuildsTarget } from './builds.ts';
import { formatFigures, formatRows, measureRow, readFigure } from './measure.ts';
import type { Figure, FigureResult, Row, RowResult } from './measure.ts';
import { readMemoryMiB } from './memory.ts';
import { createCheckoutRows, createProcessesFigure } from './rows/checkout.ts';
import { createColdRows } from './rows/cold.ts';
import { createCrowd, type Crowd } from './rows/crowd.ts';
import { createFarForgeFigure } from './rows/far-forge.ts';
import { createMemoryFigures } from './rows/memory.ts';
import { createOutputRow } from './rows/output.ts';
import { createRequestsFigure } from './rows/requests.ts';
import { createWarmRows } from './rows/warm.ts';

/**
 * `npm run bench`: compares the built c3 with bare measurements of the same run on a real Kubernetes. It prints the
 * progress on standard error. A row above its limit does not fail the run.
 */
interface Options {
  readonly runs?: string;
  readonly only?: string;
  readonly json: boolean;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: { c3: string } };
const PROGRAM = join(ROOT, bin.c3);

await new Command('bench')
  .description('Measures c3 on a real Kubernetes; each row is a ratio to a bare measure taken in the same run.')
  .option('--runs <number>', 'runs of each row; else 20, and a few of those that take minutes')
  .option('--only <text>', 'only the rows and figures whose name holds the text')
  .option('--json', 'one JSON object on standard output instead of the table', false)
  .action(bench)
  .parseAsync();

async function bench(options: Options): Promise<void> {
  await build();
  const kubernetes = await startKubernetes({ registry: true });
  const namespace = await createNamespace(readFileSync(kubernetes.kubeconfig, 'utf8'), 'c3-bench');
  const target: BuildsTarget = {
    kubeconfig: namespace.kubeconfig,
    forgeHost: process.env['C3_TEST_FORGE_HOST'] ?? kubernetes.podGateway ?? '127.0.0.1',
    images: { git: 'alpine/git', main: 'ubuntu' },
  };
  const world = await createWorld({
    forgeHost: target.forgeHost,
    hasLimits: false,
    program: PROGRAM,
    settings: readSettings(),
  });
  const { kubeconfig } = target;
  const bare = createBare({ kubeconfig, kubeconfigPath: kubernetes.kubeconfig, kubectl: kubectlPath() });
  const builds = await createBuilds(world, target, 'bench');
  const crowd = createCrowd(world, target, bare);
  try {
    await measureAll(options, { world, target, bare, builds, crowd });
  } finally {
    await world.close();
    await builds.close();
    await crowd.close();
    await bare.close();
    await namespace.remove();
    await kubernetes.stop();
  }
}

interface Bench {
  readonly world: World;
  readonly target: BuildsTarget;
  readonly bare: Bare;
  readonly builds: Builds;
  readonly crowd: Crowd;
}

async function measureAll(options: Options, { world, target, bare, builds, crowd }: Bench): Promise<void> {
  const idleMiB = readMemoryMiB(world.c3.pid);
  const isWanted = ({ name }: Row | Figure): boolean => options.only === undefined || name.includes(options.only);
  const rows: RowResult[] = [];
  const output = createOutputRow(world, target, bare);
  const all = [
    ...createWarmRows(builds, bare),
    ...createColdRows(builds, bare),
    output,
    crowd.row,
    ...createCheckoutRows(builds, bare),
  ];
  const runs = options.runs === undefined ? undefined : Number(options.runs);
  for (const row of all.filter(isWanted)) {
    function onRun(run: number, of: number, ratio: number): void {
      process.stderr.write(`\r${row.name}: ${run} of ${of} runs, ${ratio.toFixed(2)} so far `);
    }
    const result = await measureRow(row, { runs, onRun });
    rows.push(result);
    const { name, ratio, c3Ms, bareMs } = result;
    process.stderr.write(`\r${name}: ${ratio.toFixed(2)} (${c3Ms.toFixed(0)} / ${bareMs.toFixed(0)} ms)\n`);
  }
  const figures: FigureResult[] = [];
  const memory = createMemoryFigures({ world, target, crowd, program: PROGRAM, idleMiB });
  const counts = [createRequestsFigure(world, target), createProcessesFigure(builds)];
  const farForge = createFarForgeFigure({ world, target, program: PROGRAM });
  for (const figure of [...counts, farForge, ...memory].filter(isWanted)) {
    const result = await readFigure(figure);
    figures.push(result);
    process.stderr.write(`${result.name}: ${result.value} ${result.unit}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ rows, figures })}\n`);
  else process.stdout.write(`${[formatRows(rows), formatFigures(figures)].join('\n\n')}\n`);
}

/**
 * Uses V8's flags of the deployed image. The rate limits are high: a benchmark sends more webhooks than a repository.
 */
function readSettings(): Record<string, string> {
  const image = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8');
  const entry = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(image)?.[1] ?? '[]') as string[];
  const flags = entry.filter((word) => word.startsWith('--'));
  return { NODE_OPTIONS: flags.join(' '), C3_RATE_LIMIT: '100000', C3_RATE_LIMIT_NEW: '100000' };
}

/** Builds the package: the benchmark measures what is published, not the source. */
async function build(): Promise<void> {
  const child = spawn('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  const code = await new Promise((resolve) => {
    child.once('exit', resolve);
  });
  if (code !== 0) throw new Error('npm run build failed');
}
