/**
 * What an agent sends (shell/agent.sh): one frame a line, and the bytes of a `data` frame after its line. Offsets are
 * positions in the step's log, so c3 asks for a frame that was cut again.
 */
export type Frame =
  | ReadyFrame
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
  /** The step runs. `size`: the size of its log, in bytes. The data before this frame is the end of it. */
  | { readonly kind: 'heartbeat'; readonly size: number }
  /** It cannot be known how the step ended. `message`: why, in a clause. */
  | { readonly kind: 'lost'; readonly message: string }
  /** The step was never started. */
  | { readonly kind: 'never-started' }
  | { readonly kind: 'cancel-noted' }
  /** `nonce`: that of the greeting. With another one, a step wrote the frame. */
  | { readonly kind: 'swept'; readonly isClean: boolean; readonly nonce: string }
  | { readonly kind: 'fault'; readonly message: string };

/** The agent is ready for commands. */
export interface ReadyFrame {
  readonly kind: 'ready';
  /** When c3 first came with this build, by the clock of that c3, in epoch milliseconds. */
  readonly begunAtMs: number;
  /** When the agent started, in clock ticks since the boot of its node. */
  readonly start: number;
  /** The note about the first agent of the Pod. Every step can change it, so it counts only with a valid MAC. */
  readonly first: FirstNote;
  /** What c3 has sent with the build. */
  readonly nonce: string;
}

/** When the first agent of a Pod started, before any build ran there: decimal clock ticks since boot, and a MAC. */
export interface FirstNote {
  readonly start: string;
  readonly mac: string;
}

/**
 * What the exit file of a step says. `proof`: only the step's supervisor knows it; empty unless the step has passed.
 */
export interface ExitNote {
  readonly exitCode: number;
  readonly why: (typeof EXIT_REASONS)[number];
  readonly proof: string;
}

/**
 * `out-of-memory`: not exit code 0, and the kernel killed a process of the container for memory while the step ran.
 */
const EXIT_REASONS = ['exited', 'out-of-memory', 'timed-out', 'cancelled', 'log-limit'] as const;

/** No line of the protocol is longer. */
const MAX_LINE_BYTES = 4096;

/** No data frame is larger. */
export const MAX_FRAME_BYTES: number = 16 * 1024 * 1024;

/** No end of a log that goes with a heartbeat or an exit is larger (`_small_log` in shell/log.sh). */
export const MAX_END_BYTES = 65_536;

/** Decodes what one connection brings. Chunks may be cut anywhere. */
export class FrameDecoder {
  /** The start of a line that is not complete. A copy: a rest of a chunk would keep all of it in memory. */
  readonly #line = Buffer.alloc(MAX_LINE_BYTES);
  #lineBytes = 0;
  /** What is missing of a data frame. */
  #open = { offset: 0, left: 0 };
  #isBroken = false;

  /**
   * Yields the frames that `chunk` completes. Decodes each on demand, since a chunk may hold millions: take all of
   * them before the next chunk. Yields nothing after a `fault` frame.
   */
  *push(chunk: Uint8Array): Generator<Frame> {
    let rest = chunk;
    while (rest.length > 0 && !this.#isBroken) {
      const { offset, left } = this.#open;
      if (left > 0) {
        const bytes = rest.subarray(0, left);
        rest = rest.subarray(bytes.length);
        this.#open = { offset: offset + bytes.length, left: left - bytes.length };
        yield { kind: 'data', offset, bytes };
        continue;
      }
      const end = rest.indexOf(0x0a);
      const piece = end === -1 ? rest : rest.subarray(0, end);
      rest = rest.subarray(piece.length + 1);
      const frame = this.#read(piece, end !== -1);
      this.#isBroken = frame?.kind === 'fault';
      if (frame) yield frame;
    }
  }

  /** Returns undefined when the line is not complete, and for the header of a data frame. */
  #read(piece: Uint8Array, isComplete: boolean): Frame | undefined {
    if (this.#lineBytes + piece.length > MAX_LINE_BYTES)
      return { kind: 'fault', message: 'the agent sent a line that is too long' };
    this.#line.set(piece, this.#lineBytes);
    this.#lineBytes += piece.length;
    if (!isComplete) return undefined;
    const text = this.#line.toString('utf8', 0, this.#lineBytes);
    this.#lineBytes = 0;
    const frame = parseFrame(text);
    if (frame === undefined) return { kind: 'fault', message: `the agent sent ${JSON.stringify(text.slice(0, 80))}` };
    if (!('left' in frame)) return frame;
    this.#open = frame;
    return undefined;
  }
}

function parseFrame(line: string): Frame | { offset: number; left: number } | undefined {
  const [verb = '', first, second, ...others] = line.split(' ');
  const text = line.slice(verb.length + 1);
  // A word that is not a count gives NaN, and every comparison with NaN is false.
  const [one, two] = [toCount(first), toCount(second)];
  switch (verb) {
    case 'R': {
      const [start = '', mac = '', nonce = ''] = others;
      return one >= 0 && two >= 0
        ? { kind: 'ready', begunAtMs: one, start: two, first: { start, mac }, nonce }
        : undefined;
    }
    case 'K':
      return two > one ? { kind: 'skipped', from: one, to: two } : undefined;
    case 'D':
      return one >= 0 && two > 0 && two <= MAX_FRAME_BYTES ? { offset: one, left: two } : undefined;
    case 'X': {
      const note = parseExitNote([second, ...others].join(' '));
      return one >= 0 && note ? { kind: 'exit', offset: one, ...note } : undefined;
    }
    case 'P':
      return one >= 0 && two >= 0 ? { kind: 'part-sent', offset: one, base: two } : undefined;
    case 'J':
      return { kind: 'text', text };
    case 'T':
      return { kind: 'told' };
    case 'H':
      return one >= 0 ? { kind: 'heartbeat', size: one } : undefined;
    case 'L':
      return { kind: 'lost', message: text };
    case 'N':
      return { kind: 'never-started' };
    case 'C':
      return { kind: 'cancel-noted' };
    case 'S':
      return { kind: 'swept', isClean: first === 'clean', nonce: second ?? '' };
    case 'E':
      return { kind: 'fault', message: text };
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
  const reason = EXIT_REASONS.find((known) => known === why);
  return exitCode <= 255 && reason ? { exitCode, why: reason, proof } : undefined;
}

/** Returns NaN when the text is not a whole number in decimal digits. */
function toCount(text: string | undefined): number {
  return text !== undefined && /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : Number.NaN;
}
