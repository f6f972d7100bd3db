import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createFuzzer } from './fuzzer.ts';
import { targets } from './targets.ts';

const USAGE = `usage: npm run fuzz -- [--runs N] [--only TARGET[,TARGET…]] [--seed S] [--jobs J]

  --runs N   inputs for each target; 100000
  --only     targets whose name holds one of these words; all
  --seed S   repeats a run; the time
  --jobs J   targets at the same time; the machine's cores

targets: ${targets.map(({ name }) => name).join(', ')}
`;

/** The number of inputs with one seed. After each lot it reports the progress and frees memory. */
const LOT = 10_000;

interface Plan {
  readonly names: readonly string[];
  readonly runs: number;
  readonly seed: number;
  readonly jobs: number;
}

interface Row {
  readonly target: string;
  readonly runs: number;
  readonly seconds: number;
  readonly failure: string | undefined;
}

/** The number of done inputs of each running target. */
const running = new Map<string, number>();

/** Prints the progress on standard error and a table on standard output. Exits with 1 if a target failed. */
const plan = readPlan();
if (plan === undefined) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  const rows = await fuzzAll(plan);
  report(plan.seed, rows);
  process.exitCode = rows.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

/** Parses the options; undefined if they are invalid. */
function readPlan(): Plan | undefined {
  const options = {
    runs: { type: 'string', default: '100000' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: String(Date.now() & 0x7fff_ffff) },
    jobs: { type: 'string', default: String(availableParallelism()) },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const [runs, seed, jobs] = [Number(values.runs), Number(values.seed), Number(values.jobs)];
    const words = values.only.split(',');
    const names = targets.map(({ name }) => name).filter((name) => words.some((word) => name.includes(word)));
    const understood =
      Number.isSafeInteger(seed) && [runs, jobs].every((count) => Number.isSafeInteger(count) && count > 0);
    return understood && names.length > 0 ? { names, runs, seed, jobs } : undefined;
  } catch {
    return undefined;
  }
}

async function fuzzAll({ names, runs, seed, jobs }: Plan): Promise<readonly Row[]> {
  const left = [...names];
  const rows: Row[] = [];
  async function work(): Promise<void> {
    for (let target = left.shift(); target !== undefined; target = left.shift())
      rows.push(await fuzz(target, runs, seed));
  }
  await Promise.all(Array.from({ length: jobs }, work));
  return rows.toSorted((one, other) => names.indexOf(one.target) - names.indexOf(other.target));
}

async function fuzz(target: string, runs: number, seed: number): Promise<Row> {
  const fuzzer = createFuzzer();
  const startedAt = performance.now();
  let done = 0;
  let failure: string | undefined;
  while (done < runs && failure === undefined) {
    const lot = Math.min(LOT, runs - done);
    failure = await fuzzer.run({ target, runs: lot, seed: (seed + done) & 0x7fff_ffff });
    done += lot;
    running.set(target, done);
    showProgress(target, runs);
  }
  await fuzzer.close();
  running.delete(target);
  const row = { target, runs: done, seconds: Math.round((performance.now() - startedAt) / 1000), failure };
  process.stderr.write(`${process.stderr.isTTY ? '\r\u001B[K' : ''}${describe(row)}\n`);
  return row;
}

/** Rewrites one line on a terminal. Otherwise prints a line for every tenth lot of `target`. */
function showProgress(target: string, runs: number): void {
  const { stderr } = process;
  const lines = [...running].map(([name, done]) => `${name}: ${done} of ${runs}`);
  if (stderr.isTTY) stderr.write(`\r\u001B[K${lines.join('  ')}`);
  else if ((running.get(target) ?? 0) % (10 * LOT) === 0) stderr.write(`${lines.join('  ')}\n`);
}

function report(seed: number, rows: readonly Row[]): void {
  process.stdout.write(`seed ${seed}\n`);
  for (const row of rows) process.stdout.write(`${describe(row)}\n`);
  for (const { failure } of rows.filter((row) => row.failure !== undefined)) process.stdout.write(`\n${failure}\n`);
}

function describe({ target, runs, seconds, failure }: Row): string {
  return `${target.padEnd(22)} ${String(runs).padStart(9)} inputs ${String(seconds).padStart(6)} s  ${failure === undefined ? 'held' : 'BROKE'}`;
}
