import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { SILENCE_MS } from './build-agents.ts';
import type { AgentAnswer, Cut } from './connection.ts';
import { MAX_FRAME_BYTES, type Frame } from './frames.ts';
import { createAgentPool, createStepAgent, type AgentPool, type StepAgent } from './step-agent.ts';

/** Reads the files that a build has left in its workspace, and changes nothing there. */
export interface PartReader {
  /** Reads the lines of all files of the build in a container whose names begin with `name`. */
  tell(container: string, name: string): Promise<AgentAnswer<ToldLines>>;
  /**
   * Reads a part of a log, at most 256 KiB. All callers share few connections, and none waits for a slow one. Callers that ask for
   * the same at the same moment share one answer.
   */
  readPart(place: PartPlace): Promise<LogPart>;
  /** Opens a connection for one reader, who closes it. */
  openStream(container: string): PartStream;
  close(): void;
}

export interface PartStream {
  /**
   * Reads a part of a log, at most 16 MiB, and passes its bytes on as they come: those of the part that it resolves with are empty.
   *
   * @throws what `onBytes` throws
   */
  readPart(place: Omit<PartPlace, 'container'> & { readonly isWhole: boolean }, sink: PartSink): Promise<LogPart>;
  close(): void;
}

export interface PartSink {
  /** The promise is back-pressure. */
  onBytes(bytes: Uint8Array): Promise<void> | void;
  /** Called before the bytes that follow a gap of so many bytes. */
  readonly onSkip?: ((bytes: number) => void) | undefined;
}

export interface ToldLines {
  /** When c3 first came into the container with the build, in epoch milliseconds; 0: nothing of the build is there. */
  readonly begunAtMs: number;
  readonly lines: readonly string[];
}

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

/** Shared connections into one container: the build has its own there, and a container runtime tolerates few dozen. */
const MAX_CONNECTIONS = 4;

/** How often, and how long after a cut, a file is asked for again. */
const MAX_ATTEMPTS = 4;
const RETRY_MS = 250;

/** Of a file: more than a journal or the times of a step have. An empty line costs memory too (A12). */
const MAX_TOLD_BYTES = 16 * 1024 * 1024;
const LINE_COST_BYTES = 64;

/** The agent sends blocks of this size (shell/log.sh). Hundreds of readers may keep a shared part in memory, so it is small. */
const BLOCK_BYTES = 131_072;
const SHARED_BLOCKS = 2;
const STREAM_BLOCKS: number = MAX_FRAME_BYTES / BLOCK_BYTES;

/** Frames in an answer that do not belong to it, such as the start of the agent (A12). */
const MAX_OTHER_FRAMES = 8;

/** A log is sent whole up to this size. Of a larger one the middle is left out, unless all of it is wanted. */
const SOFT_CAP = 16_777_216;
/** No log is longer. */
const NO_CAP = 1_000_000_000_000_000;

export interface PartReaderOptions {
  readonly workspace: Pick<Workspace, 'exec'>;
  readonly buildId: string;
  readonly roots: readonly [string, string];
}

export function createPartReader({ workspace, buildId, roots }: PartReaderOptions): PartReader {
  const pools = new Map<string, AgentPool>();
  const parts = new Map<string, Promise<LogPart>>();
  const streams = new Set<StepAgent>();
  let isClosed = false;

  function open(container: string): StepAgent {
    const agent = createStepAgent(workspace, container, {
      buildId,
      roots,
      epoch: 0,
      isReader: true,
      silenceMs: SILENCE_MS,
    });
    if (isClosed) agent.close();
    return agent;
  }
  async function use<T>(container: string, work: (agent: StepAgent) => Promise<T>): Promise<T> {
    const pool = pools.get(container) ?? createAgentPool(() => open(container), MAX_CONNECTIONS);
    pools.set(container, pool);
    return await pool.use(work);
  }

  return {
    async tell(container, name) {
      for (let attempt = 1; ; attempt += 1) {
        const answer = await use(container, async (agent) => await askLines(agent, `tell ${buildId} ${name}\n`));
        if (answer.kind === 'answered' || answer.isFinal || attempt === MAX_ATTEMPTS) return answer;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    },
    async readPart(place): Promise<LogPart> {
      const { container, stepId, offset, base } = place;
      const command = `part ${buildId} ${stepId} ${offset} ${base} ${SOFT_CAP} ${SHARED_BLOCKS}\n`;
      const key = `${container} ${command}`;
      const asked = parts.get(key) ?? use(container, async (agent) => await readShared(agent, command, place));
      parts.set(key, asked);
      try {
        return await asked;
      } finally {
        parts.delete(key);
      }
    },
    openStream(container): PartStream {
      const agent = open(container);
      streams.add(agent);
      return {
        async readPart({ stepId, offset, base, isWhole }, sink): Promise<LogPart> {
          const cap = isWhole ? NO_CAP : SOFT_CAP;
          const command = `part ${buildId} ${stepId} ${offset} ${base} ${cap} ${STREAM_BLOCKS}\n`;
          return await readStreamed(agent, command, { container, stepId, offset, base }, sink);
        },
        close(): void {
          streams.delete(agent);
          agent.close();
        },
      };
    },
    close(): void {
      isClosed = true;
      for (const pool of pools.values()) pool.close();
      for (const agent of streams) agent.close();
    },
  };
}

async function askLines(agent: StepAgent, command: string): Promise<AgentAnswer<ToldLines>> {
  const lines: string[] = [];
  let bytes = 0;
  let others = 0;
  const answer = await agent.perform(command, (frame) => {
    if (frame.kind === 'told') return 'all';
    if (frame.kind !== 'text') {
      others += 1;
      return others > MAX_OTHER_FRAMES ? 'enough' : undefined;
    }
    lines.push(frame.text);
    bytes += frame.text.length + LINE_COST_BYTES;
    return bytes < MAX_TOLD_BYTES ? undefined : 'enough';
  });
  if (answer.kind === 'cut') return answer;
  const arrival = await agent.ready();
  // The rest of the answer is not wanted.
  if (answer.value === 'enough') agent.reset();
  return arrival.kind === 'cut' ? arrival : { kind: 'answered', value: { begunAtMs: arrival.value.begunAtMs, lines } };
}

/** Reads a part into memory. Copies: a piece, however small, keeps the chunk in which it came. */
async function readShared(agent: StepAgent, command: string, place: PartPlace): Promise<LogPart> {
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
async function readStreamed(
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
  /** Answers false when it takes no more. */
  onBytes(bytes: Uint8Array): boolean | Promise<boolean>;
  readonly onSkip?: PartSink['onSkip'];
}

/** Asks for a part. The one that it resolves with has no bytes: the handler has them. */
async function askPart(agent: StepAgent, command: string, { place, onBytes, onSkip }: PartHandler): Promise<LogPart> {
  let { offset } = place;
  let skipped: { from: number; to: number } | undefined;
  let others = 0;
  let hasBytes = false;
  function end({ base = place.base, isCut = false, isLast = false }): LogPart {
    return { kind: 'part', skipped, bytes: NOTHING, offset, base, isCut, isLast };
  }
  function reject(): Cut {
    const message = `container "${place.container}" sends what it was not asked for`;
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
    // The rest of the answer is not wanted.
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
