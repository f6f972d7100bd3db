import type { BuildState } from '../../src/build/index.ts';
import type { BuildView, LineReader, LogLine } from '../../src/logs/index.ts';
import type { LogReading } from '../../src/agent/read-log.ts';

/** A build in memory with a view. The test changes its state and its logs. */
export interface FakeBuild {
  readonly view: BuildView;
  /** The number of readers of logs. */
  readonly readers: number;
  readonly linesRead: number;
  show(state: BuildState): void;
  /** Appends to the log of a step. The text may end within a line. */
  write(index: number, text: string, options?: { attempt?: number; seconds?: number }): void;
  /** Ends the log. With `failure`, it cannot be read to its end. */
  endLog(index: number, options?: { attempt?: number; failure?: string; cut?: number }): void;
}

interface FakeLog {
  bytes: Buffer;
  /** The key is the offset at which a line begins. */
  readonly seconds: Map<number, number>;
  ending: { failure: string | undefined; cut: number | undefined } | undefined;
}

/** The number of lines in one slice. */
const BATCH_LINES = 1_000;

export function createFakeBuild(first: BuildState, { isLed = true }: { isLed?: boolean } = {}): FakeBuild {
  const logs = new Map<string, FakeLog>();
  let state = first;
  let [readers, linesRead] = [0, 0];
  let changed = Promise.withResolvers<void>();

  function tell(): void {
    changed.resolve();
    changed = Promise.withResolvers();
  }

  function getLog(index: number, attempt: number): FakeLog {
    const key = `${index}.${attempt}`;
    const log = logs.get(key) ?? { bytes: Buffer.alloc(0), seconds: new Map(), ending: undefined };
    logs.set(key, log);
    return log;
  }

  async function read(log: FakeLog, from: number, reader: LineReader): Promise<LogReading> {
    let offset = from;
    while (!reader.signal.aborted) {
      const next = changed.promise;
      let end = log.bytes.indexOf('\n', offset);
      while (end !== -1 && !reader.signal.aborted) {
        const lines: LogLine[] = [];
        for (; end !== -1 && lines.length < BATCH_LINES; end = log.bytes.indexOf('\n', offset)) {
          lines.push({ text: log.bytes.toString('utf8', offset, end), seconds: log.seconds.get(offset) });
          offset = end + 1;
        }
        linesRead += lines.length;
        await reader.onLines(lines, { offset, pieces: 0 });
      }
      const { ending } = log;
      if (reader.signal.aborted) break;
      const rest = log.bytes.toString('utf8', offset);
      if (ending?.cut !== undefined) reader.onCut(ending.cut);
      if (ending && rest !== '')
        await reader.onLines([{ text: rest, seconds: undefined }], { offset: log.bytes.length, pieces: 0 });
      if (ending?.failure !== undefined) return { kind: 'failed', to: offset, message: ending.failure };
      if (ending) return { kind: 'whole', to: log.bytes.length };
      await reader.onPartial(rest);
      await Promise.race([next, aborted(reader.signal)]);
    }
    return { kind: 'aborted' };
  }

  return {
    view: {
      get state() {
        return state;
      },
      isLed,
      async *changes(signal): AsyncGenerator<BuildState> {
        for (let told: BuildState | undefined; !signal.aborted;) {
          const next = changed.promise;
          if (state !== told) yield (told = state);
          else await Promise.race([next, aborted(signal)]);
          if (!isLed || told.phase.kind === 'ended') return;
        }
      },
      async readLog({ index, attempt, from }, reader): Promise<LogReading> {
        readers += 1;
        try {
          return await read(getLog(index, attempt), from.offset, reader);
        } finally {
          readers -= 1;
        }
      },
      async copyLog({ index, attempt }, { onBytes }): Promise<LogReading> {
        const { bytes, ending } = getLog(index, attempt);
        await onBytes(bytes);
        return ending?.failure === undefined
          ? { kind: 'whole', to: bytes.length }
          : { kind: 'failed', to: bytes.length, message: ending.failure };
      },
      close(): void {},
    },
    get readers() {
      return readers;
    },
    get linesRead() {
      return linesRead;
    },
    show(newest): void {
      state = newest;
      tell();
    },
    write(index, text, { attempt = 1, seconds } = {}): void {
      const log = getLog(index, attempt);
      const begin = log.bytes.length;
      log.bytes = Buffer.concat([log.bytes, Buffer.from(text)]);
      if (seconds !== undefined) for (const at of findLineStarts(log.bytes, begin)) log.seconds.set(at, seconds);
      tell();
    },
    endLog(index, { attempt = 1, failure, cut } = {}): void {
      getLog(index, attempt).ending = { failure, cut };
      tell();
    },
  };
}

function findLineStarts(bytes: Buffer, from: number): number[] {
  const starts: number[] = [];
  for (let at = from; at < bytes.length; at = bytes.indexOf('\n', at) + 1) {
    starts.push(at);
    if (bytes.indexOf('\n', at) === -1) break;
  }
  return starts;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
