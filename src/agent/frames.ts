/**
 * What an agent sends (shell/agent.sh): one frame a line, and the bytes of a `data` frame after its line. Offsets are
 * positions in the step's log, so c3 asks for a frame that was cut again.
 */
export type Frame =
  /**
   * The agent has started, with its files under `root`. `begunAtMs`: when c3 first came with this build, by c3's
   * clock.
   */
  | { readonly kind: 'ready'; readonly begunAtMs: number; readonly root: string }
  /** A piece of the current data frame, in order. */
  | { readonly kind: 'data'; readonly offset: number; readonly bytes: Uint8Array }
  /** The log from `from` to `to` is left out, since too much of it lies before its end. */
  | { readonly kind: 'skipped'; readonly from: number; readonly to: number }
  /** The step has ended. `offset`: the size of its log, all of which was sent if it was asked for. */
  | ({ readonly kind: 'exit'; readonly offset: number } & ExitNote)
  /** A part of the log was sent, up to `offset`. `base`: for the next request. */
  | { readonly kind: 'part-sent'; readonly offset: number; readonly base: number }
  /** A line of a file that was asked for. */
  | { readonly kind: 'text'; readonly text: string }
  /** The file has no more lines. */
  | { readonly kind: 'told' }
  /** The step runs. `size`: of its log. The data before this frame is the end of it. */
  | { readonly kind: 'heartbeat'; readonly size: number }
  /** It cannot be known how the step ended. `message`: why, in a clause. */
  | { readonly kind: 'lost'; readonly message: string }
  /** The step was never started. */
  | { readonly kind: 'never-started' }
  | { readonly kind: 'cancel-noted' }
  | { readonly kind: 'swept'; readonly isClean: boolean }
  | { readonly kind: 'fault'; readonly message: string };

/**
 * What the exit file of a step says. `proof`: only the step's supervisor knows it; empty unless the step has passed.
 */
export interface ExitNote {
  readonly exitCode: number;
  readonly why: ExitReason;
  readonly proof: string;
}

/**
 * `out-of-memory`: not exit code 0, and the kernel killed a process of the container for memory while the step ran.
 */
export type ExitReason = 'exited' | 'out-of-memory' | 'timed-out' | 'cancelled' | 'log-limit';

const EXIT_REASONS: readonly string[] = [
  'exited',
  'out-of-memory',
  'timed-out',
  'cancelled',
  'log-limit',
] satisfies ExitReason[];

/** No line of the protocol is longer. */
const MAX_LINE_BYTES = 4096;

/** No data frame is larger. */
export const MAX_FRAME_BYTES: number = 16 * 1024 * 1024;

/** No end of a log that goes with a heartbeat or an exit is larger (`_small_log` in shell/log.sh). */
export const MAX_END_BYTES = 65_536;

export interface FrameDecoder {
  /**
   * Yields the frames that `chunk` completes. Decodes each on demand, since a chunk may hold millions: take all of
   * them before the next chunk. Yields nothing after a `fault` frame.
   */
  push(chunk: Uint8Array): Iterable<Frame>;
}

/** Creates a decoder for one connection. Chunks may be cut anywhere. */
export function createFrameDecoder(): FrameDecoder {
  // A copy: a rest of a chunk would keep all of it in memory.
  const line = Buffer.alloc(MAX_LINE_BYTES);
  let lineBytes = 0;
  let open: { offset: number; left: number } | undefined;
  let isBroken = false;

  function* push(chunk: Uint8Array): Generator<Frame> {
    let rest = chunk;
    while (rest.length > 0 && !isBroken) {
      if (open) {
        const bytes = rest.subarray(0, open.left);
        const { offset } = open;
        rest = rest.subarray(bytes.length);
        open =
          open.left === bytes.length ? undefined : { offset: offset + bytes.length, left: open.left - bytes.length };
        yield { kind: 'data', offset, bytes };
        continue;
      }
      const end = rest.indexOf(0x0a);
      const piece = end === -1 ? rest : rest.subarray(0, end);
      rest = end === -1 ? rest.subarray(rest.length) : rest.subarray(end + 1);
      if (lineBytes + piece.length > MAX_LINE_BYTES) {
        yield toFault('the agent sent a line that is too long');
        continue;
      }
      line.set(piece, lineBytes);
      lineBytes += piece.length;
      const frame = end === -1 ? undefined : readLine();
      if (frame) yield frame;
    }
  }

  /** Returns undefined for the header of a data frame. */
  function readLine(): Frame | undefined {
    const text = line.toString('utf8', 0, lineBytes);
    lineBytes = 0;
    const frame = parseFrame(text);
    if (frame === undefined) return toFault(`the agent sent ${JSON.stringify(text.slice(0, 80))}`);
    if (!('length' in frame)) return frame;
    open = { offset: frame.offset, left: frame.length };
    return undefined;
  }

  function toFault(message: string): Frame {
    isBroken = true;
    return { kind: 'fault', message };
  }

  return { push };
}

function parseFrame(line: string): Frame | { offset: number; length: number } | undefined {
  const [verb, ...words] = line.split(' ');
  switch (verb) {
    case 'R': {
      const begunAtMs = toCount(words[0]);
      return begunAtMs === undefined ? undefined : { kind: 'ready', begunAtMs, root: words.slice(1).join(' ') };
    }
    case 'K': {
      const [from, to] = [toCount(words[0]), toCount(words[1])];
      return from === undefined || to === undefined || to <= from ? undefined : { kind: 'skipped', from, to };
    }
    case 'D': {
      const [offset, length] = [toCount(words[0]), toCount(words[1])];
      return offset === undefined || !length || length > MAX_FRAME_BYTES ? undefined : { offset, length };
    }
    case 'X': {
      const [offset, note] = [toCount(words[0]), parseExitNote(words.slice(1).join(' '))];
      return offset === undefined || note === undefined ? undefined : { kind: 'exit', offset, ...note };
    }
    case 'P': {
      const [offset, base] = [toCount(words[0]), toCount(words[1])];
      return offset === undefined || base === undefined ? undefined : { kind: 'part-sent', offset, base };
    }
    case 'J':
      return { kind: 'text', text: words.join(' ') };
    case 'T':
      return { kind: 'told' };
    case 'H': {
      const size = toCount(words[0]);
      return size === undefined ? undefined : { kind: 'heartbeat', size };
    }
    case 'L':
      return { kind: 'lost', message: words.join(' ') };
    case 'N':
      return { kind: 'never-started' };
    case 'C':
      return { kind: 'cancel-noted' };
    case 'S':
      return { kind: 'swept', isClean: words[0] === 'clean' };
    case 'E':
      return { kind: 'fault', message: words.join(' ') };
    default:
      return undefined;
  }
}

/**
 * Parses the line of an exit file, `CODE WHY end PROOF` (shell/step.sh). Returns undefined when the step has not
 * ended.
 */
export function parseExitNote(line: string): ExitNote | undefined {
  const [, code, why, proof = ''] = /^(\d{1,3}) ([a-z-]+) end(?: ([!-~]*))? *$/.exec(line) ?? [];
  const exitCode = toCount(code);
  if (exitCode === undefined || exitCode > 255 || !isExitReason(why)) return undefined;
  return { exitCode, why, proof };
}

function isExitReason(text: string | undefined): text is ExitReason {
  return text !== undefined && EXIT_REASONS.includes(text);
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : undefined;
}
