import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { C3Error } from '../errors.ts';

/** Lists that c3 asks for are of one Pod, or of the Leases of one repository. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** etcd holds objects of at most 1.5 MiB; as JSON they are somewhat larger. */
const MAX_LINE_BYTES = 2 * 1024 * 1024;
/**
 * In one answer or line: objects, lists and their members. A Pod has some hundreds, and a million empty ones, three bytes each, would take
 * more than a second to be parsed.
 */
const MAX_VALUES = 100_000;
/** As many as a value takes in what clusters really say: where values are shorter, their number counts. */
const VALUE_BYTES = 32;
/** A line that takes longer to be read than whatever else waits should have to. */
const LONG_LINE_BYTES = 64 * 1024;
/** So many short ones take as long. */
const MAX_LINES_A_TURN = 200;
/** What stays allotted to a watch between two lines. */
const KEPT_BYTES = 16 * 1024;

/**
 * What a cluster may have c3 read: a build costs some 120 KiB of Pods and Leases, so that more than a hundred may begin at once, and
 * then four each second. A cluster that says more has to wait until it is read.
 */
const BURST_BYTES = 16 * 1024 * 1024;
const BYTES_A_SECOND = 512 * 1024;

/** Of all answers that have begun and are not whole: as a rule there are some kilobytes of each. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;

/** Of all answers of one cluster. */
export interface Allowance {
  /** Counts bytes that are to be read; tells how many milliseconds to wait before that. */
  take(bytes: number): number;
  /** Counts bytes that are held until the rest has come, or no longer held; tells whether there are too many. */
  hold(change: number): boolean;
}

export function createAllowance(now: () => number = () => performance.now()): Allowance {
  let taken = 0;
  let held = 0;
  let since = now();
  return {
    hold(change) {
      held += change;
      return held > MAX_HELD_BYTES;
    },
    take(bytes) {
      const freed = ((now() - since) / 1000) * BYTES_A_SECOND;
      taken = Math.max(0, taken - freed) + bytes;
      since = now();
      return (Math.max(0, taken - BURST_BYTES) / BYTES_A_SECOND) * 1000;
    },
  };
}

export interface Reading {
  readonly allowance: Allowance;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {C3Error} CLUSTER_UNREACHABLE when it is larger than any answer; whatever the body or the signal ends with */
export async function readBody(body: AsyncIterable<Uint8Array>, reading: Reading): Promise<string> {
  const pile = createPile("The cluster's answer", MAX_BODY_BYTES, reading.allowance);
  try {
    for await (const chunk of body) {
      pile.add(chunk);
      await wait(chunk, reading);
    }
    return pile.take();
  } finally {
    pile.drop();
  }
}

/**
 * The lines of an answer. Between two that are long, whatever else waits is done.
 *
 * @throws {C3Error} CLUSTER_UNREACHABLE for a line that is larger than any object; whatever the body or the signal ends with
 */
export async function* readLines(
  body: AsyncIterable<Uint8Array>,
  reading: Reading,
): AsyncGenerator<string, void, undefined> {
  const pile = createPile("A line of the cluster's watch", MAX_LINE_BYTES, reading.allowance);
  let linesThisTurn = 0;
  try {
    for await (const chunk of body) {
      await wait(chunk, reading);
      let rest = chunk;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        pile.add(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
        linesThisTurn = pile.size > LONG_LINE_BYTES ? MAX_LINES_A_TURN : linesThisTurn + 1;
        yield pile.take();
        if (linesThisTurn < MAX_LINES_A_TURN) continue;
        linesThisTurn = 0;
        await nextTurn();
      }
      pile.add(rest);
    }
  } finally {
    pile.drop();
  }
}

async function wait(chunk: Uint8Array, { allowance, signal }: Reading): Promise<void> {
  const waitMs = allowance.take(Math.max(chunk.byteLength, countValues(chunk) * VALUE_BYTES));
  if (waitMs > 0) await sleep(waitMs, undefined, { ref: false, ...(signal ? { signal } : {}) });
}

/** How many values there are in a piece of JSON, at most: each has a bracket, a brace or a comma before it. */
function countValues(json: Uint8Array): number {
  let count = 0;
  for (const byte of json) if (byte === COMMA || byte === BRACKET || byte === BRACE) count += 1;
  return count;
}

const [COMMA, BRACKET, BRACE] = Buffer.from(',[{');

/** Bytes in one piece, however small the pieces in which they come: one of a single byte is an object of a hundred. */
function createPile(label: string, maxBytes: number, allowance: Allowance) {
  let bytes = new Uint8Array(0);
  let size = 0;
  let values = 0;
  function drop(): void {
    allowance.hold(-size);
    [size, values] = [0, 0];
  }
  function refuse(what: string): never {
    throw new C3Error('CLUSTER_UNREACHABLE', `${label} ${what}`);
  }
  return {
    get size(): number {
      return size;
    },
    add(part: Uint8Array): void {
      const grown = size + part.byteLength;
      if (grown > maxBytes) refuse(`is larger than ${maxBytes} bytes`);
      values += countValues(part);
      if (values > MAX_VALUES) refuse(`has more than ${MAX_VALUES} values`);
      if (allowance.hold(part.byteLength)) {
        allowance.hold(-part.byteLength);
        refuse(`has more than ${MAX_HELD_BYTES} bytes together with others that are not whole yet`);
      }
      if (grown > bytes.byteLength) {
        const larger = new Uint8Array(Math.max(2 * bytes.byteLength, grown));
        larger.set(bytes.subarray(0, size));
        bytes = larger;
      }
      bytes.set(part, size);
      size = grown;
    },
    /** All of it as a text; it is empty then. */
    take(): string {
      const text = Buffer.from(bytes.buffer, 0, size).toString('utf8');
      drop();
      if (bytes.byteLength > KEPT_BYTES) bytes = new Uint8Array(0);
      return text;
    },
    drop,
  };
}
