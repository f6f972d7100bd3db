import { C3Error } from '../errors.ts';
import { LimitError } from './limit-error.ts';

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
  /** What it holds in memory, which may be twice of what has come. */
  readonly byteLength: number;
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

  /** Resolves with the body, or rejects with the error of the first `cut`, of the clock's or of another body's. */
  function collect(reader: PieceReader, maxBytes: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const body = new Pieces(maxBytes);
      const reading: Reading = {
        get byteLength() {
          return body.capacity;
        },
        cut: (error) => {
          close();
          reject(error);
        },
      };
      const total = setTimeout(() => reading.cut(toSlow('longer than', limits.maxMs)), limits.maxMs);
      const idle = setTimeout(() => reading.cut(toSlow('a pause of more than', limits.maxIdleMs)), limits.maxIdleMs);
      function close(): void {
        clearTimeout(total);
        clearTimeout(idle);
        if (readings.delete(reading)) totalBytes -= body.capacity;
      }

      // What is read is waited for here alone: a promise that lasts as long as the body would keep a trace of every piece.
      async function readAll(): Promise<void> {
        for (;;) {
          const { done, value } = await reader.read();
          // It may have been cut while the piece was on its way.
          if (!readings.has(reading)) return;
          if (done) return resolve(body.bytes);
          idle.refresh();
          totalBytes += body.add(value);
          makeRoom();
        }
      }

      readings.add(reading);
      makeRoom();
      void readAll()
        .catch((error: unknown) => reject(toBodyError(error)))
        .finally(close);
    });
  }

  return {
    async read(request, maxBytes) {
      if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw toTooLarge(maxBytes);
      if (request.body === null) return new Uint8Array(0);
      return await collect(request.body.getReader() as PieceReader, maxBytes);
    },
  };
}

type PieceReader = ReadableStreamDefaultReader<Uint8Array>;

/** Takes the pieces of a body into one that grows: a piece that is kept keeps all of what it came in, up to 64 KiB for one byte. */
class Pieces {
  readonly #maxBytes: number;
  #buffer = new Uint8Array(0);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get capacity(): number {
    return this.#buffer.length;
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** By how many bytes it has grown. @throws {C3Error} BODY_TOO_LARGE */
  add(piece: Uint8Array): number {
    const before = this.capacity;
    const length = this.#length + piece.length;
    if (length > this.#maxBytes) throw toTooLarge(this.#maxBytes);
    if (length > before) {
      const grown = new Uint8Array(Math.min(Math.max(length, before * 2), this.#maxBytes));
      grown.set(this.bytes);
      this.#buffer = grown;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
    return this.capacity - before;
  }
}

function toTooLarge(maxBytes: number): C3Error {
  return new C3Error('BODY_TOO_LARGE', `The body is larger than ${Math.floor(maxBytes / 1024)} KiB`);
}

function toBodyError(error: unknown): C3Error {
  if (error instanceof C3Error) return error;
  return new C3Error('BODY_UNREADABLE', 'The body ended before it was whole', { cause: error });
}

function toSlow(what: string, ms: number): C3Error {
  return new C3Error('BODY_UNREADABLE', `The body took ${what} ${ms / 1000} s`);
}
