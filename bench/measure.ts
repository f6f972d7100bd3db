/** One row of the table: what c3 does, against a bare measure taken in the same run, one after the other in turn. */
export interface Row {
  readonly name: string;
  readonly against: string;
  /** The ratio that the product promises. */
  readonly atMost: number;
  /** Milliseconds of one run. */
  c3(): Promise<number>;
  bare(): Promise<number>;
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

/** Interleaved, so that a machine that becomes slower slows both; medians, so that one hiccup counts for nothing. */
export async function measureRow(row: Row, runs: number): Promise<RowResult> {
  const c3: number[] = [];
  const bare: number[] = [];
  // The first of each warms caches and connections and is not counted.
  await row.c3();
  await row.bare();
  for (let run = 0; run < runs; run += 1) {
    c3.push(await row.c3());
    bare.push(await row.bare());
  }
  const [c3Ms, bareMs] = [median(c3), median(bare)];
  return { name: row.name, against: row.against, c3Ms, bareMs, ratio: c3Ms / bareMs, atMost: row.atMost, runs };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function formatTable(rows: readonly RowResult[]): string {
  const lines = rows.map(({ name, against, c3Ms, bareMs, ratio, atMost }) => [
    name,
    `${c3Ms.toFixed(0)} ms`,
    against,
    `${bareMs.toFixed(0)} ms`,
    ratio.toFixed(2),
    atMost.toFixed(2),
    ratio <= atMost ? 'ok' : 'over',
  ]);
  const all = [['c3', '', 'against', '', 'ratio', 'at most', ''], ...lines];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? [];
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
