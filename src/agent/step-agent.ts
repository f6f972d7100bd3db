import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { Semaphore } from '../limiter.ts';
import { openConnection, type AgentAnswer, type AgentConnection } from './connection.ts';
import type { ConnectionOptions, Cut, OnFrame } from './connection.ts';
import type { KeptConnections } from './connection-pool.ts';

/**
 * c3's access to one container for one build. It opens a connection when one is needed, keeps it over the steps,
 * opens another after a cut, and leaves it to the next build in the workspace.
 */
export interface StepAgent {
  /**
   * Sends one command and passes each frame to `onFrame` until it returns a value. Runs one command at a time. Never
   * rejects.
   */
  perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>>;
  /** Opens the connection before the first command. */
  warmUp(): void;
  /**
   * When c3 first came into the container with this build: epoch milliseconds, by the clock of that c3. For a reader
   * 0 means that the container has nothing of the build.
   */
  ready(): Promise<AgentAnswer<{ readonly begunAtMs: number }>>;
  /** Drops the connection. The next command opens another. */
  reset(): void;
  /** Ends this agent and returns its connection to the pool. Call it only between commands. */
  release(): void;
  close(): void;
}

export interface StepAgentOptions extends ConnectionOptions {
  /** Connections that earlier builds left open into this very container. */
  readonly kept?: KeptConnections;
}

/** Where an agent runs. `lost` is missing where the agent only reads. */
export type AgentPlace = Pick<Workspace, 'exec'> & Partial<Pick<Workspace, 'lost'>>;

/** Nothing in the container shows any more what ran, so nothing may be started: it might run twice. */
const FILES_REMOVED = 'the files of the build in the container were removed';

export function createStepAgent(workspace: AgentPlace, container: string, options: StepAgentOptions): StepAgent {
  const { lost } = workspace;
  let connection: Promise<AgentConnection> | undefined;
  let begunAtMs: number | undefined;
  let loss: Promise<string | undefined> | undefined;
  let isClosed = false;

  async function open(): Promise<AgentConnection> {
    const kept = options.kept?.pop();
    if (kept === undefined) return openConnection(workspace, container, options);
    if (await kept.begin(options)) return kept;
    kept.close();
    return openConnection(workspace, container, options);
  }

  async function perform<T>(command: string, onFrame: OnFrame<T>): Promise<AgentAnswer<T>> {
    if (isClosed) return { kind: 'cut', message: 'the connection was closed', isFinal: true };
    connection ??= open();
    const opened = await connection;
    // The first command does not wait for the agent to be ready: it follows right behind.
    if (begunAtMs === undefined) void opened.ready.then(noteBegin);
    else if (!noteBegin(await opened.ready)) return { kind: 'cut', message: FILES_REMOVED, isFinal: true };
    const answer = await opened.perform(command, onFrame);
    if (answer.kind !== 'cut') return answer;
    reset();
    return await explain(answer);
  }

  /** Adds the cluster's reason to a final cut, where it has one. The cluster is asked once for all commands. */
  async function explain(cut: Cut): Promise<Cut> {
    const { isShellMissing, ...plain } = cut;
    // A container that had a shell before has not lost it: the container is ending.
    const isEnding = isShellMissing === true ? begunAtMs !== undefined : cut.isRefused === true;
    if (!cut.isFinal || !isEnding || !lost) return cut;
    loss ??= awaitLoss({ lost });
    return { ...plain, message: (await loss) ?? cut.message };
  }

  /** Returns false when c3 has come here before with this build and nothing is left of that. */
  function noteBegin(arrival: AgentAnswer<{ begunAtMs: number }>): boolean {
    // A reader may come before the build.
    if (arrival.kind === 'answered') begunAtMs ||= arrival.value.begunAtMs;
    return arrival.kind === 'cut' || arrival.value.begunAtMs === begunAtMs;
  }

  function reset(): void {
    void connection?.then((opened) => opened.close());
    connection = undefined;
  }

  return {
    perform,
    warmUp(): void {
      connection ??= open();
    },
    async ready() {
      connection ??= open();
      return await (
        await connection
      ).ready;
    },
    reset,
    release(): void {
      isClosed = true;
      void connection?.then((opened) => (options.kept && !opened.isOver ? options.kept.keep(opened) : opened.close()));
      connection = undefined;
    },
    close(): void {
      isClosed = true;
      reset();
    },
  };
}

/**
 * A node reports the end of a container 0.5 to 2 s after the last connection is possible, and later if the node is
 * busy.
 */
const LOSS_MS = 10_000;

/**
 * Waits for the cluster's message about the loss of a workspace. Resolves with undefined when none comes within ten
 * seconds.
 */
export async function awaitLoss({ lost }: Pick<Workspace, 'lost'>): Promise<string | undefined> {
  const settled = new AbortController();
  const late = sleep(LOSS_MS, undefined, { signal: settled.signal, ref: false }).catch(() => undefined);
  const message = await Promise.race([lost, late]);
  settled.abort();
  return message;
}

/** Agents in one container, opened when they are needed and used again. */
export interface AgentPool {
  readonly all: readonly StepAgent[];
  /** Lends an agent to `work` alone. Waits while all are in use. */
  use<T>(work: (agent: StepAgent) => Promise<T>): Promise<T>;
  /** Opens agents ahead, up to `count`. */
  warmUp(count: number): void;
  close(): void;
}

export function createAgentPool(open: () => StepAgent, maxAgents: number): AgentPool {
  const slots = new Semaphore(maxAgents);
  const all: StepAgent[] = [];
  const free: StepAgent[] = [];
  function add(): StepAgent {
    const agent = open();
    all.push(agent);
    return agent;
  }
  return {
    all,
    async use(work) {
      return await slots.run(async () => {
        const agent = free.pop() ?? add();
        try {
          return await work(agent);
        } finally {
          free.push(agent);
        }
      });
    },
    warmUp(count): void {
      while (all.length < Math.min(count, maxAgents)) {
        const agent = add();
        agent.warmUp();
        free.push(agent);
      }
    },
    close(): void {
      for (const agent of all) agent.close();
    },
  };
}
