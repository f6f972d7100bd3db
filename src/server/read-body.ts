import { C3Error } from '../errors.ts';
import { LimitError } from './limits.ts';

/** Reads the bodies of requests: of one process all through one, since it bounds them together. */
export interface BodyReader {
  /**
   * The body, at most `maxBytes`: what says it is larger is refused before a byte is read, what lies about it as soon as it shows.
   * A body that is refused is left as it is: the socket is the business of `listen`.
   *
   * @throws {C3Error} BODY_TOO_LARGE, BODY_UNREADABLE; {LimitError} when it was given up for others
   */
  read(request: Request, maxBytes: number): Promise<Uint8Array>;
}

export interface BodyLimits {
  /** A sender that takes longer is not a forge. */
  readonly maxMs: number;
  /** Between two pieces. */
  readonly maxIdleMs: number;
  /** Bodies that are read at a time. */
  readonly maxBodies: number;
  /** What they hold together. */
  readonly maxTotalBytes: number;
}

const LIMITS: BodyLimits = { maxMs: 10_000, maxIdleMs: 3_000, maxBodies: 256, maxTotalBytes: 64 * 1024 * 1024 };

const RETRY_AFTER_SECONDS = 10;

/** A body that is being read. */
interface Reading {
  byteLength: number;
  /** Ends it. */
  cut(error: C3Error): void;
}

/**
 * When the limits for all bodies together are reached, a body goes to make room: the one that is being read for the longest time,
 * or the largest. A forge's body is there within milliseconds, so who sends many slow or large ones ends their own.
 */
export function createBodyReader(given: Partial<BodyLimits> = {}): BodyReader {
  const limits = { ...LIMITS, ...given };
  /** The oldest first. */
  const readings = new Set<Reading>();
  let totalBytes = 0;

  function makeRoom(): void {
    const [oldest] = readings.size > limits.maxBodies ? readings : [];
    oldest?.cut(new LimitError('c3 reads as many bodies as it can: this one took the longest', RETRY_AFTER_SECONDS));
    if (totalBytes <= limits.maxTotalBytes) return;
    const largest = [...readings].reduce((a, b) => (b.byteLength > a.byteLength ? b : a));
    largest.cut(new LimitError('c3 reads as many bodies as it can: this one is the largest', RETRY_AFTER_SECONDS));
  }

  /** Settles with the error of the first `cut`, of the clock's or of another body's. */
  function open(): { ended: Promise<never>; add(chunk: Uint8Array): number; close(): void } {
    const ending = Promise.withResolvers<never>();
    ending.promise.catch(() => {}); // it may end when nobody waits
    const reading: Reading = {
      byteLength: 0,
      cut(error) {
        close();
        ending.reject(error);
      },
    };
    const total = setTimeout(() => reading.cut(toSlow('longer than', limits.maxMs)), limits.maxMs);
    const idle = setTimeout(() => reading.cut(toSlow('a pause of more than', limits.maxIdleMs)), limits.maxIdleMs);
    function close(): void {
      clearTimeout(total);
      clearTimeout(idle);
      if (readings.delete(reading)) totalBytes -= reading.byteLength;
    }
    function add(chunk: Uint8Array): number {
      // It may have been cut while the chunk was on its way.
      if (!readings.has(reading)) return 0;
      idle.refresh();
      reading.byteLength += chunk.length;
      totalBytes += chunk.length;
      makeRoom();
      return reading.byteLength;
    }
    readings.add(reading);
    makeRoom();
    return { ended: ending.promise, add, close };
  }

  return {
    async read(request, maxBytes) {
      const tooLarge = new C3Error('BODY_TOO_LARGE', `The body is larger than ${Math.floor(maxBytes / 1024)} KiB`);
      if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge;
      if (request.body === null) return new Uint8Array(0);
      const { ended, add, close } = open();
      const chunks: Uint8Array[] = [];
      try {
        const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
        for (;;) {
          const { done, value } = await Promise.race([ended, reader.read()]);
          if (done) return Buffer.concat(chunks);
          if (add(value) > maxBytes) throw tooLarge;
          chunks.push(value);
        }
      } catch (error) {
        if (error instanceof C3Error) throw error;
        throw new C3Error('BODY_UNREADABLE', 'The body ended before it was whole', { cause: error });
      } finally {
        close();
      }
    },
  };
}

function toSlow(what: string, ms: number): C3Error {
  return new C3Error('BODY_UNREADABLE', `The body took ${what} ${ms / 1000} s`);
}
