import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { AgentPool } from './agent-pool.ts';
import { SILENCE_MS } from './build-agents.ts';
import type { AgentAnswer, Cut } from './connection.ts';
import { MAX_FRAME_BYTES, type Frame } from './frames.ts';
import { createStepAgent, type StepAgent } from './step-agent.ts';

/** Reads the files that a build has left in its workspace, and changes nothing there. */
export interface PartReader {
  /** Reads the lines of the build's files in a container whose names start with `name`. */
  readFiles(container: string, name: string): Promise<AgentAnswer<FileLines>>;
  /**
   * Reads a part of a log, at most 256 KiB. All callers share few connections, and no caller waits for a slow one.
   * Callers that request the same part at the same moment share one answer.
   */
  readPart(place: PartPlace): Promise<LogPart>;
  /** Opens a connection for one reader, who closes it. */
  openStream(container: string): PartStream;
  close(): void;
}

export interface PartStream {
  /**
   * Reads a part of a log, at most 16 MiB, and passes its bytes on as they come: those of the part that it resolves
   * with are empty.
   *
   * @throws what `onBytes` throws
   */
  readPart(place: Omit<PartPlace, 'container'> & { readonly isWhole: boolean }, sink: PartSink): Promise<LogPart>;
  close(): void;
}

export interface FileLines {
  /**
   * When c3 first came into the container with the build, in epoch milliseconds; 0: nothing of the build is there.
   */
  readonly begunAtMs: number;
  readonly lines: readonly string[];
}

export interface PartPlace {
  readonly container: string;
  readonly stepId: string;
  /** The position in the raw log, in bytes. */
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

/** Shared connections into one container. A container runtime tolerates few dozen. */
const MAX_CONNECTIONS = 4;

/** The number of requests for a file, and the pause before a request after a cut. */
const MAX_ATTEMPTS = 4;
const RETRY_MS = 250;

/** The limit of a file. A journal and the times of a step are smaller. An empty line costs memory too (A12). */
const MAX_TOLD_BYTES = 16 * 1024 * 1024;
const LINE_COST_BYTES = 64;

/**
 * The agent sends blocks of this size (shell/log.sh), and fewer bytes only at the end of the log. Hundreds of readers
 * may keep a shared part in memory, so it is small.
 */
export const BLOCK_BYTES = 131_072;
const SHARED_BLOCKS = 2;
const STREAM_BLOCKS = MAX_FRAME_BYTES / BLOCK_BYTES;

/** A larger log is sent without its middle, unless the caller requests all of it. */
const SOFT_CAP = 16_777_216;
/** No log is longer. */
const NO_CAP = 1_000_000_000_000_000;

export interface PartReaderOptions {
  readonly workspace: Pick<Workspace, 'exec'>;
  readonly buildId: string;
  readonly roots: readonly [string, string];
}

export function createPartReader({ workspace, buildId, roots }: PartReaderOptions): PartReader {
  const pool = new AgentPool(open, MAX_CONNECTIONS);
  const parts = new Map<string, Promise<LogPart>>();
  const opened = new Set<StepAgent>();
  let isClosed = false;

  function open(container: string): StepAgent {
    const agentOptions = { buildId, roots, epoch: 0, mode: 'read' as const, silenceMs: SILENCE_MS };
    const agent = createStepAgent(workspace, container, agentOptions);
    if (isClosed) agent.close();
    opened.add(agent);
    return agent;
  }

  return {
    async readFiles(container, name) {
      for (let attempt = 1; ; attempt += 1) {
        const answer = await pool.use(
          container,
          async (agent) => await readLinesOf(agent, `tell ${buildId} ${name}\n`),
        );
        if (answer.kind === 'answered' || answer.isFinal || attempt === MAX_ATTEMPTS) return answer;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    },
    async readPart(place): Promise<LogPart> {
      const key = JSON.stringify([place.container, place.stepId, place.offset, place.base]);
      const request = { ...place, buildId, cap: SOFT_CAP, blocks: SHARED_BLOCKS };
      const asked = parts.get(key) ?? pool.use(place.container, async (agent) => await readShared(agent, request));
      parts.set(key, asked);
      try {
        return await asked;
      } finally {
        parts.delete(key);
      }
    },
    openStream(container): PartStream {
      const agent = open(container);
      return {
        async readPart({ isWhole, ...place }, sink): Promise<LogPart> {
          const cap = isWhole ? NO_CAP : SOFT_CAP;
          return await askPart(agent, { ...place, container, buildId, cap, blocks: STREAM_BLOCKS }, sink);
        },
        close(): void {
          opened.delete(agent);
          agent.close();
        },
      };
    },
    close(): void {
      isClosed = true;
      for (const agent of opened) agent.close();
    },
  };
}

async function readLinesOf(agent: StepAgent, command: string): Promise<AgentAnswer<FileLines>> {
  const lines: string[] = [];
  let bytes = 0;
  const answer = await agent.perform(command, (frame) => {
    if (frame.kind === 'ready') return undefined;
    if (frame.kind !== 'text') return frame.kind === 'told' ? 'all' : 'enough';
    lines.push(frame.text);
    bytes += frame.text.length + LINE_COST_BYTES;
    return bytes < MAX_TOLD_BYTES ? undefined : 'enough';
  });
  if (answer.kind === 'cut') return answer;
  const arrival = await agent.ready();
  // Discard the rest of the answer.
  if (answer.value === 'enough') agent.reset();
  return arrival.kind === 'cut' ? arrival : { kind: 'answered', value: { begunAtMs: arrival.value.begunAtMs, lines } };
}

interface PartRequest extends PartPlace {
  readonly buildId: string;
  /** Beyond it only the end of the log is sent. */
  readonly cap: number;
  readonly blocks: number;
}

/** Reads a part into memory. Copies: a piece, however small, keeps the chunk in which it came. */
async function readShared(agent: StepAgent, request: PartRequest): Promise<LogPart> {
  let bytes = new Uint8Array(0);
  let size = 0;
  const part = await askPart(agent, request, {
    onBytes(piece) {
      if (size === 0) bytes = new Uint8Array(request.blocks * BLOCK_BYTES);
      bytes.set(piece, size);
      size += piece.length;
    },
  });
  return part.kind === 'part' ? { ...part, bytes: bytes.slice(0, size) } : part;
}

/** Requests a part, and passes its bytes to the sink. The result has none. @throws what the sink throws */
async function askPart(agent: StepAgent, request: PartRequest, { onBytes, onSkip }: PartSink): Promise<LogPart> {
  const { container, buildId, stepId, cap, blocks } = request;
  let { offset } = request;
  let left = blocks * BLOCK_BYTES;
  let skipped: { from: number; to: number } | undefined;
  let hasBytes = false;
  function end({ base = request.base, isCut = false, isLast = false }): LogPart {
    return { kind: 'part', skipped, bytes: new Uint8Array(0), offset, base, isCut, isLast };
  }
  function reject(): Cut {
    return { kind: 'cut', message: `container "${container}" sends data that c3 did not request`, isFinal: true };
  }
  async function onFrame(frame: Frame): Promise<LogPart | undefined> {
    switch (frame.kind) {
      case 'data':
        left -= frame.bytes.length;
        if (frame.offset !== offset || left < 0) return reject();
        offset += frame.bytes.length;
        hasBytes = true;
        await onBytes(frame.bytes);
        return undefined;
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
      case 'ready':
        return undefined;
      default:
        return reject();
    }
  }
  let isOver = false;
  try {
    const command = `part ${buildId} ${stepId} ${offset} ${request.base} ${cap} ${blocks}\n`;
    const answer = await agent.perform(command, onFrame);
    // What has arrived need not come again.
    if (answer.kind === 'cut') return answer.isFinal || !hasBytes ? answer : end({ isCut: true });
    // An agent that started before the build does not know where the files of the build are.
    const arrival = answer.value.kind === 'none' ? await agent.ready() : undefined;
    const isEarly = arrival?.kind === 'answered' && arrival.value.begunAtMs === 0;
    isOver = !isEarly && answer.value.kind !== 'cut';
    return answer.value;
  } finally {
    // Discard the rest of the answer.
    if (!isOver) agent.reset();
  }
}
