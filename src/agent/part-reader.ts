import { setTimeout as sleep } from 'node:timers/promises';
import type { FoundWorkspace } from '../engine/cluster.ts';
import { createStepAgent, type StepAgent } from './step-agent.ts';
import { SILENCE_MS } from './build-agents.ts';
import type { Frame } from './frames.ts';
import type { AgentAnswer } from './connection.ts';

/**
 * Reads what a build has left in its Pod: for however many look, over few lines, one question at a time each, so that none of them
 * waits for one that is slow, and the build for nobody.
 */
export interface PartReader {
  /** The lines of the build's files in a container whose names begin so. */
  tell(container: string, name: string): Promise<AgentAnswer<ToldLines>>;
  /**
   * What there is of a log from a place on: 256 KiB at most, a mebibyte of a log that is wanted whole. Who asks the same at the same
   * moment gets the same answer.
   */
  readPart(place: PartPlace): Promise<LogPart>;
  close(): void;
}

export interface ToldLines {
  /** When c3 first came into the container with the build, in epoch milliseconds; 0: nothing there is of it. */
  readonly begunAtMs: number;
  readonly lines: readonly string[];
}

export interface PartPlace {
  readonly container: string;
  readonly stepId: string;
  /** In bytes of the raw log. */
  readonly offset: number;
  /** As the part before said; of the first 0. */
  readonly base: number;
  /** Of what lies beyond so many bytes only the end is wanted. */
  readonly isWhole: boolean;
}

export type LogPart =
  | {
      readonly kind: 'part';
      /** Left out before the bytes: too much of the log lies before its end. */
      readonly skipped: { readonly from: number; readonly to: number } | undefined;
      readonly bytes: Uint8Array;
      /** The place after it. */
      readonly offset: number;
      readonly base: number;
      /** The connection broke in its midst. */
      readonly isCut: boolean;
      /** The step has ended, and this is the end of its log. */
      readonly isLast: boolean;
    }
  /** There is nothing of such a step. */
  | { readonly kind: 'none' }
  /** The step has come to no end, why, in a clause. */
  | { readonly kind: 'lost'; readonly message: string }
  | Extract<AgentAnswer<never>, { kind: 'cut' }>;

/** Into one container at a time: the build has its own lines there, and the container's runtime bears few dozen. */
const MAX_LINES = 4;

/** A file is asked for again after a cut so often, and so long after. */
const MAX_ASKED = 4;
const ASK_AGAIN_MS = 250;

/** Of a file: more than a journal or the times of a step have. A line costs memory also where it is empty. */
const MAX_TOLD_BYTES = 16 * 1024 * 1024;
const LINE_COST_BYTES = 64;

/** Of a part of a log for who reads along, and of one that is wanted whole: the agent makes none that is larger (shell/log.sh). */
const [MAX_PART_BYTES, MAX_WHOLE_PART_BYTES] = [256 * 1024, 1024 * 1024];

/** Frames in an answer that are none of it: the agent's arrival. */
const MAX_ASIDES = 8;

/** Up to there a log is sent whole also to those who read along; the agent has the same number. */
const SOFT_CAP = 16_777_216;
/** No log is longer. */
const NO_CAP = 1_000_000_000_000_000;

export interface PartReaderOptions {
  readonly workspace: FoundWorkspace;
  readonly buildId: string;
  readonly roots: readonly [string, string];
}

export function createPartReader({ workspace, buildId, roots }: PartReaderOptions): PartReader {
  const pools = new Map<string, ConnectionPool>();
  const parts = new Map<string, Promise<LogPart>>();

  function open(container: string): StepAgent {
    return createStepAgent(workspace, container, { buildId, roots, epoch: 0, isReader: true, silenceMs: SILENCE_MS });
  }
  async function use<T>(container: string, work: (agent: StepAgent) => Promise<T>): Promise<T> {
    const pool = pools.get(container) ?? createConnectionPool(() => open(container));
    pools.set(container, pool);
    const agent = await pool.take();
    try {
      return await work(agent);
    } finally {
      pool.giveBack(agent);
    }
  }

  return {
    async tell(container, name) {
      for (let asked = 1; ; asked += 1) {
        const answer = await use(container, async (agent) => await askLines(agent, `tell ${buildId} ${name}\n`));
        if (answer.kind === 'answered' || answer.isFinal || asked === MAX_ASKED) return answer;
        await sleep(ASK_AGAIN_MS, undefined, { ref: false });
      }
    },
    async readPart(place): Promise<LogPart> {
      const { container, stepId, offset, base, isWhole } = place;
      const command = `part ${buildId} ${stepId} ${offset} ${base} ${isWhole ? NO_CAP : SOFT_CAP}\n`;
      const key = `${container} ${command}`;
      const asked = parts.get(key) ?? use(container, async (agent) => await askPart(agent, command, place));
      parts.set(key, asked);
      try {
        return await asked;
      } finally {
        parts.delete(key);
      }
    },
    close(): void {
      for (const pool of pools.values()) pool.close();
      workspace.close();
    },
  };
}

interface ConnectionPool {
  /** One for the caller alone. Waits while all are in use. */
  take(): Promise<StepAgent>;
  giveBack(agent: StepAgent): void;
  close(): void;
}

function createConnectionPool(open: () => StepAgent): ConnectionPool {
  const all: StepAgent[] = [];
  const free: StepAgent[] = [];
  const waiting: ((agent: StepAgent) => void)[] = [];
  let isClosed = false;
  return {
    async take(): Promise<StepAgent> {
      const agent = free.pop();
      if (agent) return agent;
      if (all.length >= MAX_LINES) return await new Promise((resolve) => waiting.push(resolve));
      const opened = open();
      if (isClosed) opened.close();
      all.push(opened);
      return opened;
    },
    giveBack(agent): void {
      const next = waiting.shift();
      if (next) next(agent);
      else free.push(agent);
    },
    close(): void {
      isClosed = true;
      for (const agent of all) agent.close();
    },
  };
}

async function askLines(agent: StepAgent, command: string): Promise<AgentAnswer<ToldLines>> {
  const lines: string[] = [];
  let bytes = 0;
  let asides = 0;
  const answer = await agent.perform(command, (frame) => {
    if (frame.kind === 'told') return 'all';
    if (frame.kind !== 'text') {
      asides += 1;
      return asides > MAX_ASIDES ? 'enough' : undefined;
    }
    lines.push(frame.text);
    bytes += frame.text.length + LINE_COST_BYTES;
    return bytes < MAX_TOLD_BYTES ? undefined : 'enough';
  });
  if (answer.kind === 'cut') return answer;
  const arrival = await agent.ready();
  // What else comes is not wanted.
  if (answer.value === 'enough') agent.reset();
  return arrival.kind === 'cut' ? arrival : { kind: 'answered', value: { begunAtMs: arrival.value.begunAtMs, lines } };
}

async function askPart(agent: StepAgent, command: string, place: PartPlace): Promise<LogPart> {
  const kept = createPartBytes(place.isWhole ? MAX_WHOLE_PART_BYTES : MAX_PART_BYTES);
  let { offset } = place;
  let skipped: { from: number; to: number } | undefined;
  let asides = 0;
  function end({ base = place.base, isCut = false, isLast = false }): LogPart {
    return { kind: 'part', skipped, bytes: kept.take(), offset, base, isCut, isLast };
  }
  function misspeak(): LogPart {
    const message = `container "${place.container}" says what it was not asked`;
    return { kind: 'cut', message, isFinal: true };
  }
  function onFrame(frame: Frame): LogPart | undefined {
    switch (frame.kind) {
      case 'data':
        if (frame.offset !== offset || !kept.add(frame.bytes)) return misspeak();
        offset += frame.bytes.length;
        return undefined;
      case 'skipped':
        if (frame.from !== offset || skipped !== undefined || kept.size > 0) return misspeak();
        skipped = { from: frame.from, to: frame.to };
        offset = frame.to;
        return undefined;
      case 'part-sent':
        return frame.offset === offset ? end({ base: frame.base }) : misspeak();
      case 'exit':
        return frame.offset === offset ? end({ isLast: true }) : misspeak();
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
        asides += 1;
        return asides > MAX_ASIDES ? misspeak() : undefined;
    }
  }
  const answer = await agent.perform(command, onFrame);
  if (answer.kind === 'answered') {
    if (answer.value.kind === 'none') await lookAgain(agent);
    // What else comes is not wanted.
    if (answer.value.kind === 'cut') agent.reset();
    return answer.value;
  }
  // Not in vain: what has arrived need not come again.
  return answer.isFinal || kept.size === 0 ? answer : end({ isCut: true });
}

/** The bytes of a part as they come: copies, since however small a piece is, it keeps the chunk in which it came. */
function createPartBytes(maxBytes: number) {
  let bytes = new Uint8Array(0);
  let size = 0;
  return {
    get size() {
      return size;
    },
    /** False: there is no room for it. */
    add(piece: Uint8Array): boolean {
      if (size + piece.length > maxBytes) return false;
      if (bytes.length === 0) bytes = new Uint8Array(maxBytes);
      bytes.set(piece, size);
      size += piece.length;
      return true;
    },
    take: (): Uint8Array => bytes.slice(0, size),
  };
}

/** An agent that came before the build does not know where its files are. */
async function lookAgain(agent: StepAgent): Promise<void> {
  const arrival = await agent.ready();
  if (arrival.kind === 'answered' && arrival.value.begunAtMs === 0) agent.reset();
}
