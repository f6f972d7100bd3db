import { setImmediate as yieldToEventLoop, setTimeout as sleep } from 'node:timers/promises';
import { C3Error } from '../errors.ts';
import { TokenBucket } from '../limiter.ts';

/** Reads answers of a cluster within limits, since a hostile cluster could send anything (threat model A12). */

/** c3 lists one Pod, or the Leases of one repository. */
export const MAX_BODY_BYTES: number = 4 * 1024 * 1024;
/** etcd stores objects of at most 1.5 MiB. As JSON they are a bit larger. */
const MAX_LINE_BYTES = 2 * 1024 * 1024;
/**
 * Objects, lists and members in one answer or line. A Pod has some hundreds. To parse a million would take more than
 * a second.
 */
const MAX_VALUES = 100_000;
/** The size of a value in real answers. A value that is smaller counts as this many bytes. */
const VALUE_BYTES = 32;
/** Other work may run after lines of this size, */
const TURN_BYTES = 64 * 1024;
/** where each line counts as this many bytes more. */
const LINE_BYTES = 328;
/** The buffer that a watch keeps between two lines. */
const KEPT_BYTES = 16 * 1024;

/**
 * The rate at which c3 reads from one cluster. A build costs about 120 KiB of Pods and Leases. So more than a hundred
 * builds can start at once, then four per second. Anything faster is read later.
 */
const BURST_BYTES = 16 * 1024 * 1024;
const BYTES_PER_SECOND = 512 * 1024;
/** Incomplete answers and lines of one cluster, together. Normally they are some kilobytes each. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;

/** What c3 reads from one cluster, over all its connections. */
export interface ReadBudget {
  /** Counts bytes that have arrived at a socket (see `limitReceived`), bodies included. */
  receive(bytes: number): void;
  /** Counts what a body costs beyond the bytes that were counted. Returns the milliseconds to wait before it is used. */
  delay(bytes: number): number;
  /** Counts bytes of incomplete answers; a negative number gives them back. Returns whether there are too many. */
  buffer(bytes: number): boolean;
}

export function createReadBudget(now: () => number = () => performance.now()): ReadBudget {
  const bucket = new TokenBucket({ perMinute: BYTES_PER_SECOND * 60, capacity: BURST_BYTES, now });
  let buffered = 0;
  /** Bytes that were counted at a socket, and not yet in a body. */
  let counted = 0;
  return {
    receive(bytes) {
      counted += bytes;
      bucket.reserve(bytes);
    },
    delay(bytes) {
      const left = Math.max(0, bytes - counted);
      counted = Math.max(0, counted - bytes);
      return bucket.reserve(left);
    },
    buffer(bytes) {
      buffered += bytes;
      return buffered > MAX_BUFFERED_BYTES;
    },
  };
}

export interface ReadContext {
  readonly budget: ReadBudget;
  readonly signal?: AbortSignal | undefined;
  /** Receives the size of each piece of the body. */
  readonly onBytes?: (bytes: number) => void;
  /** Converts the error with which reading fails. Default: none. */
  readonly toError?: (error: unknown) => unknown;
}

/** @throws {C3Error} CLUSTER_UNREACHABLE when the body is too large; also what `toError` returns */
export async function readBody(body: AsyncIterable<Uint8Array>, options: ReadContext): Promise<string> {
  const buffer = createBuffer("The cluster's answer", MAX_BODY_BYTES, options.budget);
  try {
    for await (const chunk of body) {
      buffer.add(chunk);
      await throttle(chunk, options);
    }
    return buffer.takeText();
  } catch (error) {
    throw options.toError?.(error) ?? error;
  } finally {
    buffer.discard();
  }
}

/**
 * Reads the lines of a watch. Other work can run between long lines.
 *
 * @throws {C3Error} CLUSTER_UNREACHABLE when a line is too large; also what `toError` returns
 */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  options: ReadContext,
): AsyncGenerator<string, void, undefined> {
  const buffer = createBuffer("A line of the cluster's watch", MAX_LINE_BYTES, options.budget);
  let bytesThisTurn = 0;
  try {
    for await (const chunk of body) {
      options.onBytes?.(chunk.byteLength);
      await throttle(chunk, options);
      let rest = chunk;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        buffer.add(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
        const line = buffer.takeText();
        bytesThisTurn += line.length + LINE_BYTES;
        yield line;
        if (bytesThisTurn < TURN_BYTES) continue;
        bytesThisTurn = 0;
        await yieldToEventLoop();
      }
      buffer.add(rest);
    }
  } catch (error) {
    throw options.toError?.(error) ?? error;
  } finally {
    buffer.discard();
  }
}

async function throttle(chunk: Uint8Array, context: ReadContext): Promise<void> {
  await waitForBudget(Math.max(chunk.byteLength, countValues(chunk) * VALUE_BYTES), context);
}

/** Counts bytes, and waits until the budget has them. @throws an AbortError when the signal is aborted */
export async function waitForBudget(bytes: number, { budget, signal }: ReadContext): Promise<void> {
  const waitMs = budget.delay(bytes);
  if (waitMs > 0) await sleep(waitMs, undefined, { ref: false, ...(signal ? { signal } : {}) });
}

const [COMMA, BRACKET, BRACE] = Buffer.from(',[{');

/** Returns an upper limit for the number of values in JSON: each has a bracket, a brace or a comma before it. */
function countValues(json: Uint8Array): number {
  let count = 0;
  for (const byte of json) if (byte === COMMA || byte === BRACKET || byte === BRACE) count += 1;
  return count;
}

/** Collects bytes in one array. A list of chunks would cost a hundred bytes for a chunk of one byte. */
function createBuffer(label: string, maxBytes: number, budget: ReadBudget) {
  let bytes = Buffer.alloc(0);
  let [size, values] = [0, 0];

  function findProblem(isOverBudget: boolean): string | undefined {
    if (size > maxBytes) return `is larger than ${maxBytes} bytes`;
    if (values > MAX_VALUES) return `has more than ${MAX_VALUES} values`;
    return isOverBudget ? `and other incomplete answers have more than ${MAX_BUFFERED_BYTES} bytes` : undefined;
  }
  function discard(): void {
    budget.buffer(-size);
    [size, values] = [0, 0];
  }
  return {
    add(part: Uint8Array): void {
      const start = size;
      size += part.byteLength;
      values += countValues(part);
      const problem = findProblem(budget.buffer(part.byteLength));
      if (problem !== undefined) throw new C3Error('CLUSTER_UNREACHABLE', `${label} ${problem}`);
      if (size > bytes.byteLength) bytes = Buffer.concat([bytes], Math.max(2 * bytes.byteLength, size));
      bytes.set(part, start);
    },
    /** Returns the collected text, and starts again. */
    takeText(): string {
      const text = bytes.toString('utf8', 0, size);
      discard();
      if (bytes.byteLength > KEPT_BYTES) bytes = Buffer.alloc(0);
      return text;
    },
    discard,
  };
}
