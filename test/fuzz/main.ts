import { parseArgs } from 'node:util';
import { createFuzzer } from './fuzzer.ts';
import { targets } from './targets.ts';

/** `npm run fuzz -- --runs N [--only X] [--seed S]`: progress on standard error, a table on standard output, exit code 1 for a finding. */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed ?? Date.now() & 0x7fff_ffff);
const chosen = targets.filter(({ name }) => name.includes(values.only));

/** So many inputs at a time, each lot with a seed of its own: progress can be told, and memory is given back. */
const LOT = 10_000;

interface Row {
  readonly target: string;
  readonly runs: number;
  readonly seconds: number;
  readonly failure: string | undefined;
}

async function fuzz(target: string): Promise<Row> {
  const fuzzer = createFuzzer();
  const startedAt = performance.now();
  let done = 0;
  let failure: string | undefined;
  while (done < runs && failure === undefined) {
    const lot = Math.min(LOT, runs - done);
    failure = await fuzzer.run({ target, runs: lot, seed: (seed + done) & 0x7fff_ffff });
    done += lot;
    process.stderr.write(`\r${target}: ${done} of ${runs}   `);
  }
  await fuzzer.close();
  process.stderr.write('\n');
  return { target, runs: done, seconds: Math.round((performance.now() - startedAt) / 1000), failure };
}

if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed) || chosen.length === 0) {
  process.stderr.write(
    `usage: npm run fuzz -- --runs N [--only TARGET] [--seed S]; targets: ${targets.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}
const rows: Row[] = [];
for (const { name } of chosen) rows.push(await fuzz(name));
process.stdout.write(`seed ${seed}\n`);
for (const { target, runs, seconds, failure } of rows) {
  process.stdout.write(
    `${target.padEnd(22)} ${String(runs).padStart(9)} inputs ${String(seconds).padStart(6)} s  ${failure === undefined ? 'held' : 'BROKE'}\n`,
  );
}
for (const { failure } of rows.filter((row) => row.failure !== undefined)) process.stdout.write(`\n${failure}\n`);
process.exitCode = rows.some(({ failure }) => failure !== undefined) ? 1 : 0;
