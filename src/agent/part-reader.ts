import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { SILENCE_MS } from './build-agents.ts';
import type { AgentAnswer } from './connection.ts';
import { MAX_OTHER_FRAMES, readShared, readStreamed, SHARED_BLOCKS, STREAM_BLOCKS } from './log-part.ts';
import type { LogPart, PartPlace, PartSink } from './log-part.ts';
import { createAgentPool, createStepAgent, type AgentPool, type StepAgent } from './step-agent.ts';

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

/**
 * Shared connections into one container: the build has its own there, and a container runtime tolerates few dozen.
 */
const MAX_CONNECTIONS = 4;

/** The number of requests for a file, and the pause before a request after a cut. */
const MAX_ATTEMPTS = 4;
const RETRY_MS = 250;

/** The limit of a file. A journal and the times of a step are smaller. An empty line costs memory too (A12). */
const MAX_TOLD_BYTES = 16 * 1024 * 1024;
const LINE_COST_BYTES = 64;

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
    async readFiles(container, name) {
      for (let attempt = 1; ; attempt += 1) {
        const answer = await use(container, async (agent) => await readLinesOf(agent, `tell ${buildId} ${name}\n`));
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

async function readLinesOf(agent: StepAgent, command: string): Promise<AgentAnswer<FileLines>> {
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
  // Discard the rest of the answer.
  if (answer.value === 'enough') agent.reset();
  return arrival.kind === 'cut' ? arrival : { kind: 'answered', value: { begunAtMs: arrival.value.begunAtMs, lines } };
}
