import type { Cut } from './connection.ts';
import { MAX_FRAME_BYTES, type Frame } from './frames.ts';
import type { StepAgent } from './step-agent.ts';

export interface PartPlace {
  readonly container: string;
  readonly stepId: string;
  /** In bytes of the raw log. */
  readonly offset: number;
  /** From the part before; 0 for the first. */
  readonly base: number;
}

export type LogPart =
  | {
      readonly kind: 'part';
      /** Left out before the bytes: too much of the log lies before its end. */
      readonly skipped: { readonly from: number; readonly to: number } | undefined;
      readonly bytes: Uint8Array;
      /** The offset after it. */
      readonly offset: number;
      readonly base: number;
      /** The connection broke in the middle of it. */
      readonly isCut: boolean;
      /** The step has ended, and this is the end of its log. */
      readonly isLast: boolean;
    }
  /** There is no such step. */
  | { readonly kind: 'none' }
  /** The step will never report an end; why, in a clause. */
  | { readonly kind: 'lost'; readonly message: string }
  | Cut;

export interface PartSink {
  /** The promise is back-pressure. */
  onBytes(bytes: Uint8Array): Promise<void> | void;
  /** Called before the bytes that follow a gap of so many bytes. */
  readonly onSkip?: ((bytes: number) => void) | undefined;
}

/**
 * The agent sends blocks of this size (shell/log.sh). Hundreds of readers may keep a shared part in memory, so it is
 * small.
 */
const BLOCK_BYTES = 131_072;
export const SHARED_BLOCKS = 2;
export const STREAM_BLOCKS: number = MAX_FRAME_BYTES / BLOCK_BYTES;

/** Frames in an answer that do not belong to it, such as the start of the agent (A12). */
export const MAX_OTHER_FRAMES = 8;

/** Reads a part into memory. Copies: a piece, however small, keeps the chunk in which it came. */
export async function readShared(agent: StepAgent, command: string, place: PartPlace): Promise<LogPart> {
  let bytes = new Uint8Array(0);
  let size = 0;
  const part = await askPart(agent, command, {
    place,
    onBytes(piece) {
      if (size + piece.length > SHARED_BLOCKS * BLOCK_BYTES) return false;
      if (bytes.length === 0) bytes = new Uint8Array(SHARED_BLOCKS * BLOCK_BYTES);
      bytes.set(piece, size);
      size += piece.length;
      return true;
    },
  });
  return part.kind === 'part' ? { ...part, bytes: bytes.slice(0, size) } : part;
}

/** Passes the bytes of a part on as they come. */
export async function readStreamed(
  agent: StepAgent,
  command: string,
  place: PartPlace,
  { onBytes, onSkip }: PartSink,
): Promise<LogPart> {
  let passing: Promise<void> | undefined;
  let failure: { readonly error: unknown } | undefined;
  let size = 0;
  async function pass(bytes: Uint8Array): Promise<void> {
    try {
      await onBytes(bytes);
    } catch (error) {
      failure ??= { error };
    }
  }
  const part = await askPart(agent, command, {
    place,
    async onBytes(piece) {
      size += piece.length;
      if (size > STREAM_BLOCKS * BLOCK_BYTES) return false;
      passing = pass(piece);
      await passing;
      return failure === undefined;
    },
    onSkip,
  });
  // After a cut the last bytes may still be on their way.
  await passing;
  if (failure) throw failure.error;
  return part;
}

interface PartHandler {
  readonly place: PartPlace;
  /** Returns false if it needs no more bytes. */
  onBytes(bytes: Uint8Array): boolean | Promise<boolean>;
  readonly onSkip?: PartSink['onSkip'];
}

/** Requests a part. The handler receives its bytes; the part that this returns has none. */
async function askPart(agent: StepAgent, command: string, { place, onBytes, onSkip }: PartHandler): Promise<LogPart> {
  let { offset } = place;
  let skipped: { from: number; to: number } | undefined;
  let others = 0;
  let hasBytes = false;
  function end({ base = place.base, isCut = false, isLast = false }): LogPart {
    return { kind: 'part', skipped, bytes: NOTHING, offset, base, isCut, isLast };
  }
  function reject(): Cut {
    const message = `container "${place.container}" sends data that c3 did not request`;
    return { kind: 'cut', message, isFinal: true };
  }
  function onFrame(frame: Frame): LogPart | undefined | Promise<LogPart | undefined> {
    switch (frame.kind) {
      case 'data': {
        if (frame.offset !== offset) return reject();
        offset += frame.bytes.length;
        hasBytes = true;
        const taken = onBytes(frame.bytes);
        if (typeof taken === 'boolean') return taken ? undefined : reject();
        return taken.then((isTaken) => (isTaken ? undefined : reject()));
      }
      case 'skipped':
        if (frame.from !== offset || skipped !== undefined || hasBytes) return reject();
        skipped = { from: frame.from, to: frame.to };
        offset = frame.to;
        onSkip?.(frame.to - frame.from);
        return undefined;
      case 'part-sent':
        return frame.offset === offset ? end({ base: frame.base }) : reject();
      case 'exit':
        return frame.offset === offset ? end({ isLast: true }) : reject();
      case 'lost':
        return frame;
      case 'never-started':
        return { kind: 'none' };
      case 'text':
      case 'told':
      case 'heartbeat':
      case 'ready':
      case 'cancel-noted':
      case 'swept':
      case 'fault':
        others += 1;
        return others > MAX_OTHER_FRAMES ? reject() : undefined;
    }
  }
  const answer = await agent.perform(command, onFrame);
  if (answer.kind === 'answered') {
    if (answer.value.kind === 'none') await findRootAgain(agent);
    // Discard the rest of the answer.
    if (answer.value.kind === 'cut') agent.reset();
    return answer.value;
  }
  // What has arrived need not come again.
  return answer.isFinal || !hasBytes ? answer : end({ isCut: true });
}

const NOTHING = new Uint8Array(0);

/** An agent that started before the build does not know where the files of the build are. */
async function findRootAgain(agent: StepAgent): Promise<void> {
  const arrival = await agent.ready();
  if (arrival.kind === 'answered' && arrival.value.begunAtMs === 0) agent.reset();
}
