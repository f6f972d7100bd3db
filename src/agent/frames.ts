/**
 * What an agent says (shell/agent.sh), one frame a line; a `data` frame's bytes follow its line. Offsets are positions in the
 * step's log, so a frame that was cut is simply asked for again.
 */
export type Frame =
  /** The agent is there; its files are under `root`. `begunAtMs`: when c3 first came with this build, by c3's clock. */
  | { readonly kind: 'ready'; readonly begunAtMs: number; readonly root: string }
  /** A piece of the data frame at hand, in order. */
  | { readonly kind: 'data'; readonly offset: number; readonly bytes: Uint8Array }
  /** The log from `from` to `to` is left out: too much of it lies before its end. */
  | { readonly kind: 'skipped'; readonly from: number; readonly to: number }
  /** The step has ended and the whole log, `offset` bytes, was sent. `proof`: with which its supervisor has noted that it passed. */
  | {
      readonly kind: 'exit';
      readonly offset: number;
      readonly exitCode: number;
      readonly why: ExitReason;
      readonly proof: string;
    }
  /** All of the log that was asked for at once was sent, and the step goes on. `base`: what the next question is to say. */
  | { readonly kind: 'part-sent'; readonly offset: number; readonly base: number }
  /** A line of a file that was asked for. */
  | { readonly kind: 'text'; readonly text: string }
  /** No more lines of it. */
  | { readonly kind: 'told' }
  | { readonly kind: 'heartbeat' }
  /** How it ended will never be known; why, in a clause. */
  | { readonly kind: 'lost'; readonly message: string }
  /** The step was never started. */
  | { readonly kind: 'never-started' }
  | { readonly kind: 'cancel-noted' }
  | { readonly kind: 'swept'; readonly isClean: boolean }
  | { readonly kind: 'fault'; readonly message: string };

/** `out-of-memory`: it exited with another code than 0, and while it ran the kernel killed a process of its container for memory. */
export type ExitReason = 'exited' | 'out-of-memory' | 'timed-out' | 'cancelled' | 'log-limit';

const EXIT_REASONS: readonly string[] = [
  'exited',
  'out-of-memory',
  'timed-out',
  'cancelled',
  'log-limit',
] satisfies ExitReason[];

/** No line of the protocol is longer; what is, is not the protocol. */
const MAX_LINE_BYTES = 4096;

/** The largest data frame the agent makes, with room. */
const MAX_FRAME_BYTES = 4 * 1024 * 1024;

export interface FrameDecoder {
  /**
   * The frames that `chunk` completes, each read when it is taken: a chunk may hold millions. They are to be taken before the next
   * chunk comes. After a `fault` frame nothing more comes out.
   */
  push(chunk: Uint8Array): Iterable<Frame>;
}

/** A reader for one connection; chunks may be cut anywhere. */
export function createFrameDecoder(): FrameDecoder {
  // A copy: what is left of a chunk would keep all of it.
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
        yield toFault('a line of the agent is too long');
        continue;
      }
      line.set(piece, lineBytes);
      lineBytes += piece.length;
      const frame = end === -1 ? undefined : readLine();
      if (frame) yield frame;
    }
  }

  /** Undefined: it is the header of data. */
  function readLine(): Frame | undefined {
    const text = line.toString('utf8', 0, lineBytes);
    lineBytes = 0;
    const frame = parseFrame(text);
    if (frame === undefined) return toFault(`the agent said ${JSON.stringify(text.slice(0, 80))}`);
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
      const [offset, exitCode, why] = [toCount(words[0]), toCount(words[1]), words[2]];
      if (offset === undefined || exitCode === undefined || exitCode > 255 || !isExitReason(why)) return undefined;
      return { kind: 'exit', offset, exitCode, why, proof: words[3] ?? '' };
    }
    case 'P': {
      const [offset, base] = [toCount(words[0]), toCount(words[1])];
      return offset === undefined || base === undefined ? undefined : { kind: 'part-sent', offset, base };
    }
    case 'J':
      return { kind: 'text', text: words.join(' ') };
    case 'T':
      return { kind: 'told' };
    case 'H':
      return { kind: 'heartbeat' };
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

export function isExitReason(text: string | undefined): text is ExitReason {
  return text !== undefined && EXIT_REASONS.includes(text);
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : undefined;
}
