import { C3Error } from '../errors.ts';
import { LimitError, LIMITS, type Limits } from './limits.ts';

/**
 * Names the sender of a body. All senders of a `group` share one part of the limits, and all senders of a `member` share
 * one part of the group's.
 */
export interface BodySender {
  readonly group: string;
  readonly member: string;
}

/** Reads the bodies of all requests of a process, so that it can limit them together (A12). */
export interface BodyReader {
  /**
   * Reads a body of at most `maxBytes`. A body whose header announces more is refused before its first byte is read.
   * A refused body stays unread: `listen` handles its connection.
   *
   * @throws {C3Error} BODY_TOO_LARGE, BODY_UNREADABLE; {LimitError} if it had to go for others
   */
  read(request: Request, options: { maxBytes: number; sender: BodySender }): Promise<Uint8Array>;
}

export type BodyLimits = Pick<Limits, 'bodyMs' | 'bodyIdleMs' | 'bodies' | 'totalBodyBytes'>;

const RETRY_AFTER_MS = 10_000;

/** A body that is being read. */
interface Reading {
  /** Bytes in memory: up to twice the bytes that have arrived. */
  readonly byteLength: number;
  readonly sender: BodySender;
  stop(error: C3Error): void;
}

/**
 * Creates a reader. When a limit for all bodies together is reached, it drops the oldest body, or the largest, of the
 * sender who has most. A forge's body arrives within milliseconds. So somebody who sends many slow or large bodies
 * loses their own.
 */
export function createBodyReader(given: Partial<BodyLimits> = {}): BodyReader {
  const limits = { ...LIMITS, ...given };
  /** The oldest first. */
  const readings = new Set<Reading>();

  function makeRoom(): void {
    const oldest = readings.size > limits.bodies ? findMost([...readings], () => 1) : undefined;
    oldest?.stop(new LimitError('c3 reads too many bodies at once, and this is the oldest', RETRY_AFTER_MS));
    const all = [...readings];
    if (sum(all, toByteLength) <= limits.totalBodyBytes) return;
    findMost(all, toByteLength)?.stop(
      new LimitError('c3 reads too many bodies at once, and this is the largest', RETRY_AFTER_MS),
    );
  }

  async function readAll(reader: PieceReader, { maxBytes, sender }: ReadOptions): Promise<Uint8Array> {
    // Pieces are copied: each would keep the 64 KiB that it arrived in.
    let [buffer, length] = [new Uint8Array(0), 0];
    let failure: C3Error | undefined;
    const reading: Reading = {
      get byteLength() {
        return buffer.length;
      },
      sender,
      stop(error) {
        failure ??= error;
        readings.delete(reading);
        // It rejects the read that waits. To cancel it would close the connection before the response.
        reader.releaseLock();
      },
    };
    const total = setTimeout(() => reading.stop(toSlow('took longer than', limits.bodyMs)), limits.bodyMs);
    const idle = setTimeout(() => reading.stop(toSlow('paused for more than', limits.bodyIdleMs)), limits.bodyIdleMs);
    readings.add(reading);
    try {
      makeRoom();
      for (;;) {
        const { done, value } = await reader.read();
        if (failure) throw failure;
        if (done) return buffer.subarray(0, length);
        idle.refresh();
        const end = length + value.length;
        if (end > maxBytes) throw toTooLarge(maxBytes);
        if (end > buffer.length) {
          const grown = new Uint8Array(Math.min(Math.max(end, buffer.length * 2), maxBytes));
          grown.set(buffer.subarray(0, length));
          buffer = grown;
          makeRoom();
        }
        buffer.set(value, length);
        length = end;
      }
    } catch (error) {
      throw failure ?? toBodyError(error);
    } finally {
      clearTimeout(total);
      clearTimeout(idle);
      readings.delete(reading);
    }
  }

  return {
    async read(request, options) {
      const { maxBytes } = options;
      if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw toTooLarge(maxBytes);
      if (request.body === null) return new Uint8Array(0);
      return await readAll(request.body.getReader() as PieceReader, options);
    },
  };
}

type ReadOptions = Parameters<BodyReader['read']>[1];

const toByteLength = ({ byteLength }: Reading): number => byteLength;

/** Finds the largest body of the member with most, of the group with most. The oldest one wins among equals. */
function findMost(readings: readonly Reading[], toSize: (reading: Reading) => number): Reading | undefined {
  const group = findLargest(
    Map.groupBy(readings, ({ sender }) => sender.group),
    toSize,
  );
  const member = findLargest(
    Map.groupBy(group, ({ sender }) => sender.member),
    toSize,
  );
  return member.toSorted((a, b) => toSize(b) - toSize(a))[0];
}

function findLargest(groups: Map<string, Reading[]>, toSize: (reading: Reading) => number): Reading[] {
  return [...groups.values()].toSorted((a, b) => sum(b, toSize) - sum(a, toSize))[0] ?? [];
}

function sum(readings: readonly Reading[], toSize: (reading: Reading) => number): number {
  return readings.reduce((total, reading) => total + toSize(reading), 0);
}

type PieceReader = ReadableStreamDefaultReader<Uint8Array>;

function toTooLarge(maxBytes: number): C3Error {
  return new C3Error('BODY_TOO_LARGE', `The body is larger than ${Math.floor(maxBytes / 1024)} KiB`);
}

function toBodyError(error: unknown): C3Error {
  if (error instanceof C3Error) return error;
  return new C3Error('BODY_UNREADABLE', 'The body ended too early', { cause: error });
}

function toSlow(what: string, ms: number): C3Error {
  return new C3Error('BODY_UNREADABLE', `The body ${what} ${ms / 1000} s`);
}
