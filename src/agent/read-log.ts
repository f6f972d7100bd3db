import { setTimeout as sleep } from 'node:timers/promises';
import { untilAborted } from '../limiter.ts';
import { BLOCK_BYTES, type LogPart, type PartPlace, type PartReader } from './part-reader.ts';

export type LogReading =
  /** The step has ended, and its whole log, `to` bytes, was read. */
  | { readonly kind: 'whole'; readonly to: number }
  | { readonly kind: 'aborted' }
  /** `to`: where to continue. */
  | { readonly kind: 'failed'; readonly to: number; readonly message: string };

interface LogRequest {
  readonly container: string;
  readonly stepId: string;
  /** Where to begin, in bytes of the raw log. */
  readonly offset: number;
  /** Aborted: no more is wanted. */
  readonly signal: AbortSignal;
  /** Whether a log that does not exist may still come. */
  isAwaited(): boolean;
  /** Whether the build has ended. A step that has not reported its end soon after that never does. */
  isOver(): boolean;
}

export interface FollowRequest extends LogRequest {
  /** `isCaughtUp`: there was no more at that moment. The promise slows the reading, never the step. */
  onPart(part: ReadPart, isCaughtUp: boolean): Promise<void> | void;
  /** Fetches and handles one part, at once or when there is room for it. Default: at once. */
  readonly within?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
}

export interface CopyRequest extends LogRequest {
  /** The raw bytes, exactly once, in order. The promise slows the reading, never the step. */
  onBytes(bytes: Uint8Array): Promise<void> | void;
  /** Called where the middle of a huge log is left out. Default: nothing is left out. */
  readonly onSkip?: (bytes: number) => void;
  /** Aborting it ends the current pause. */
  readonly wake?: AbortSignal;
}

type ReadPart = Extract<LogPart, { kind: 'part' }>;

/**
 * The pause between two reads of a log that did not grow, and after many of them. All readers read at the same
 * moments, so that the readers of one step share an answer.
 */
const READ_PAUSE_MS = 250;
const QUIET_READ_PAUSE_MS = 1000;
const QUIET_LOOKS = 20;

/** After the build has ended, a step must report its end within this number of reads. */
const MAX_LATE_READS = 12;

/** The limit of consecutive requests that fail. */
const MAX_FAILURES = 8;

/**
 * Reads a log to its end, part by part. While the step runs, it reads new output. It continues after cuts. It shares
 * the reader's connections.
 */
export async function followParts(reader: PartReader, request: FollowRequest): Promise<LogReading> {
  const { signal, container, stepId, onPart, within = async (work) => await work() } = request;
  return await readToEnd(request, QUIET_READ_PAUSE_MS, async (place) => {
    return await within(async () => {
      if (signal.aborted) return undefined;
      const part = await untilAborted(reader.readPart({ container, stepId, ...place }), signal);
      if (part?.kind === 'part' && !signal.aborted) await onPart(part, part.isLast || isCaughtUp(part, place));
      return part;
    });
  });
}

/**
 * Copies a log to its end. While the step runs, it copies new output. It continues after cuts. It has its own
 * connection.
 */
export async function copyLog(reader: PartReader, request: CopyRequest): Promise<LogReading> {
  const { signal, container, stepId, onBytes, onSkip } = request;
  const stream = reader.openStream(container);
  try {
    return await readToEnd(request, READ_PAUSE_MS, async (place) => {
      const read = stream.readPart({ stepId, ...place, isWhole: onSkip === undefined }, { onBytes, onSkip });
      return await untilAborted(read, signal);
    });
  } finally {
    // It also ends a part that is on its way.
    stream.close();
  }
}

async function readToEnd(
  { offset: from, signal, isAwaited, isOver, wake }: LogRequest & Pick<CopyRequest, 'wake'>,
  quietLookMs: number,
  read: (place: Pick<PartPlace, 'offset' | 'base'>) => Promise<LogPart | undefined>,
): Promise<LogReading> {
  let [offset, base] = [from, 0];
  let [quiet, failures] = [0, 0];
  async function pause(): Promise<void> {
    const periodMs = quiet > QUIET_LOOKS ? quietLookMs : READ_PAUSE_MS;
    const wakes = wake === undefined || wake.aborted ? [signal] : [signal, wake];
    const ms = periodMs - (Date.now() % periodMs);
    await sleep(ms, undefined, { signal: AbortSignal.any(wakes), ref: false }).catch(() => {});
  }
  while (!signal.aborted) {
    const [wasAwaited, wasOver] = [isAwaited(), isOver()];
    const part = await read({ offset, base });
    // A reader that was aborted may not have received all of the part.
    if (part === undefined || signal.aborted) break;
    switch (part.kind) {
      case 'part': {
        const isNew = part.offset > offset;
        const hasMore = part.isCut || !isCaughtUp(part, { offset });
        ({ offset, base } = part);
        if (part.isLast) return { kind: 'whole', to: offset };
        [quiet, failures] = [isNew ? 0 : quiet + 1, 0];
        if (!hasMore) await pause();
        break;
      }
      case 'none':
        if (!wasAwaited) return { kind: 'failed', to: offset, message: 'there is no such log in the container' };
        quiet += 1;
        await pause();
        break;
      case 'lost':
        return { kind: 'failed', to: offset, message: part.message };
      case 'cut':
        failures += 1;
        if (part.isFinal || failures > MAX_FAILURES) return { kind: 'failed', to: offset, message: part.message };
        await pause();
    }
    if (wasOver && quiet > MAX_LATE_READS) {
      return { kind: 'failed', to: offset, message: 'the build has ended, and the step has not reported its end' };
    }
  }
  return { kind: 'aborted' };
}

function isCaughtUp({ isCut, skipped, offset }: ReadPart, from: Pick<PartPlace, 'offset'>): boolean {
  return !isCut && offset - (skipped?.to ?? from.offset) < BLOCK_BYTES;
}
