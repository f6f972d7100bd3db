/** One row of the table: c3 against a bare measurement. The runs of both alternate. */
export interface Row {
  readonly name: string;
  readonly against: string;
  /** The maximum ratio that c3 promises. */
  readonly atMost: number;
  /** The number of runs without `--runs`. Default: {@link RUNS}; fewer for a row that takes minutes. */
  readonly defaultRuns?: number;
  /** Called once, before the row is measured. */
  prepare(): Promise<void>;
  /** Runs once and returns milliseconds. */
  c3(): Promise<number>;
  bare(): Promise<number>;
  /** Called after each run, outside the measurement: waits until nothing of the run can slow the next. */
  settle?(): Promise<void>;
  /** Called once, after the row is measured: removes what `prepare` made. */
  finish?(): Promise<void>;
}

export interface RowResult {
  readonly name: string;
  readonly against: string;
  readonly c3Ms: number;
  readonly bareMs: number;
  readonly ratio: number;
  readonly atMost: number;
  readonly runs: number;
}

/** A single value, without a bare measurement. */
export interface Figure {
  readonly name: string;
  readonly unit: 'MiB' | 'requests' | 'processes' | 'round trips';
  readonly atMost?: number;
  read(): Promise<{ value: number; detail?: string }>;
}

export interface FigureResult {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly detail?: string;
  readonly atMost?: number;
}

const RUNS = 20;

export interface RowOptions {
  readonly runs: number | undefined;
  /** Called after each run, with the ratio so far. */
  onRun(run: number, of: number, ratio: number): void;
}

/**
 * Alternates the runs, so that a slow phase of the machine slows both, and compares medians, so that outliers do not
 * count.
 */
export async function measureRow(row: Row, { runs = row.defaultRuns ?? RUNS, onRun }: RowOptions): Promise<RowResult> {
  // The first run of each fills caches and connections and does not count. A row that takes minutes needs no warm-up.
  const warmUps = row.defaultRuns === undefined ? 1 : 0;
  const c3: number[] = [];
  const bare: number[] = [];
  const medians = (): [number, number] => [median(c3.slice(warmUps)), median(bare.slice(warmUps))];
  await row.prepare();
  try {
    for (let run = 1 - warmUps; run <= runs; run += 1) {
      c3.push(await row.c3());
      await row.settle?.();
      bare.push(await row.bare());
      await row.settle?.();
      const [c3Ms, bareMs] = medians();
      if (run > 0) onRun(run, runs, c3Ms / bareMs);
    }
  } finally {
    await row.finish?.();
  }
  const [c3Ms, bareMs] = medians();
  return { name: row.name, against: row.against, c3Ms, bareMs, ratio: c3Ms / bareMs, atMost: row.atMost, runs };
}

export async function readFigure({ name, unit, atMost, read }: Figure): Promise<FigureResult> {
  return { name, unit, ...(await read()), ...(atMost === undefined ? {} : { atMost }) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function formatRows(rows: readonly RowResult[]): string {
  return formatTable([
    ['c3', '', 'against', '', 'ratio', 'at most', 'runs', ''],
    ...rows.map(({ name, against, c3Ms, bareMs, ratio, atMost, runs }) => [
      name,
      formatMs(c3Ms),
      against,
      formatMs(bareMs),
      ratio.toFixed(2),
      atMost.toFixed(2),
      String(runs),
      ratio <= atMost ? 'ok' : 'over',
    ]),
  ]);
}

export function formatFigures(figures: readonly FigureResult[]): string {
  return formatTable([
    ['c3', '', 'at most', '', ''],
    ...figures.map(({ name, unit, value, atMost, detail }) => [
      name,
      `${value} ${unit}`,
      atMost === undefined ? '' : String(atMost),
      atMost === undefined ? '' : value <= atMost ? 'ok' : 'over',
      detail ?? '',
    ]),
  ]);
}

function formatMs(ms: number): string {
  return `${ms.toFixed(0)} ms`;
}

function formatTable(lines: readonly string[][]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
