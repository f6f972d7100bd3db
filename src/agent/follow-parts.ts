import { setTimeout as sleep } from 'node:timers/promises';
import type { LogPart, PartPlace, PartReader } from './part-reader.ts';
import type { LogReading } from './read-log.ts';

export interface PartsOrder extends Omit<PartPlace, 'base'> {
  /** Aborted: no more is wanted. */
  readonly signal: AbortSignal;
  /** Whether a log that is not there may come. */
  isAwaited(): boolean;
  /** Whether the build has ended: a step that has not told how it did by then does not. */
  isOver(): boolean;
  /** `isCaughtUp`: there was no more at that moment. The promise slows the reading, never the step. */
  onPart(part: Extract<LogPart, { kind: 'part' }>, isCaughtUp: boolean): Promise<void> | void;
  /** Lets a part be fetched and handed over, now or when there is room for it; by default now. */
  readonly within?: (<T>(work: () => Promise<T>) => Promise<T>) | undefined;
}

/**
 * Between two looks at a log that has no more, and at one that has had none for some looks. All readers look at the same moments, so
 * that those of one step ask as one.
 */
const LOOK_MS = 250;
const QUIET_LOOK_MS = 1000;
const QUIET_LOOKS = 20;

/** A step whose build has ended says how it ended within so many looks, or never. */
const MAX_LATE_LOOKS = 12;

/** Questions that brought nothing, one after another, before it is given up. */
const MAX_FRUITLESS = 8;

/** A part that has fewer bytes has all there is (shell/log.sh). */
const BLOCK_BYTES = 131_072;

/** Reads a log from a place to its end; while the step runs, as it is written. Goes on over cut connections. */
export async function followParts(reader: PartReader, order: PartsOrder): Promise<LogReading> {
  const { signal, onPart, isAwaited, isOver, within = async (work) => await work() } = order;
  let [offset, base] = [order.offset, 0];
  let [quiet, fruitless] = [0, 0];
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  while (!signal.aborted) {
    const [wasAwaited, wasOver] = [isAwaited(), isOver()];
    const place = { ...order, offset, base };
    const part = await within(async () => {
      if (signal.aborted) return undefined;
      const read = await Promise.race([reader.readPart(place), aborted]);
      if (read?.kind === 'part' && !signal.aborted) await onPart(read, isCaughtUp(read) || read.isLast);
      return read;
    });
    // Who wants no more may not have taken all of the part.
    if (part === undefined || signal.aborted) break;
    switch (part.kind) {
      case 'part': {
        const isNew = part.offset > offset;
        ({ offset, base } = part);
        if (part.isLast) return { kind: 'whole', to: offset };
        [quiet, fruitless] = [isNew ? 0 : quiet + 1, 0];
        if (isCaughtUp(part)) await look(quiet, signal);
        break;
      }
      case 'none':
        if (!wasAwaited) return { kind: 'failed', to: offset, message: 'there is no such log in the container' };
        quiet += 1;
        await look(quiet, signal);
        break;
      case 'lost':
        return { kind: 'failed', to: offset, message: part.message };
      case 'cut':
        fruitless += 1;
        if (part.isFinal || fruitless > MAX_FRUITLESS) return { kind: 'failed', to: offset, message: part.message };
        await look(0, signal);
    }
    if (wasOver && quiet > MAX_LATE_LOOKS) {
      return { kind: 'failed', to: offset, message: 'the build has ended, and the step has not told how it did' };
    }
  }
  return { kind: 'aborted' };
}

function isCaughtUp({ isCut, bytes }: Extract<LogPart, { kind: 'part' }>): boolean {
  return !isCut && bytes.length < BLOCK_BYTES;
}

async function look(quiet: number, signal: AbortSignal): Promise<void> {
  const periodMs = quiet > QUIET_LOOKS ? QUIET_LOOK_MS : LOOK_MS;
  await sleep(periodMs - (Date.now() % periodMs), undefined, { signal, ref: false }).catch(() => {});
}
