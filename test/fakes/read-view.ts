import type { BuildView, LineReader, LogLine, LogPosition, LogRequest } from '../../src/logs/build-view.ts';
import type { LogReading } from '../../src/agent/read-log.ts';

/** The events of a reader of a log. */
export interface Read {
  readonly reading: LogReading;
  readonly lines: LogLine[];
  readonly partials: string[];
  readonly cuts: number[];
  /** Every position, and the number of lines before it. */
  readonly ends: { readonly end: LogPosition; readonly count: number }[];
}

/** Reads the log of a step, by default of its first attempt, from the beginning. */
export async function readView(
  view: BuildView,
  request: Partial<LogRequest> & Pick<LogRequest, 'index'>,
  reader: Partial<LineReader> = {},
): Promise<Read> {
  const told: Omit<Read, 'reading'> = { lines: [], partials: [], cuts: [], ends: [] };
  const from = { offset: 0, pieces: 0 };
  const reading = await view.readLog(
    { attempt: 1, from, ...request },
    {
      signal: reader.signal ?? new AbortController().signal,
      ...(reader.within && { within: reader.within }),
      async onLines(lines, end): Promise<void> {
        told.lines.push(...lines);
        told.ends.push({ end, count: told.lines.length });
        await reader.onLines?.(lines, end);
      },
      async onPartial(text): Promise<void> {
        told.partials.push(text);
        await reader.onPartial?.(text);
      },
      onCut(bytes): void {
        told.cuts.push(bytes);
        reader.onCut?.(bytes);
      },
    },
  );
  return { ...told, reading };
}

export function toTexts({ lines }: Pick<Read, 'lines'>): string[] {
  return lines.map(({ text }) => text);
}
