import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { Semaphore } from '../limiter.ts';
import { createStepAgent, type ConnectionPool, type StepAgent } from './step-agent.ts';

/**
 * The agents of a build. Each container has as many as the steps that run there at the same time. Later steps reuse
 * them, and their connections stay open for the next build.
 */
export interface BuildAgents {
  /** Lends an agent in a container to `work` alone. Waits while all are in use. */
  use<T>(container: string, work: (agent: StepAgent) => Promise<T>): Promise<T>;
  /** Opens agents in advance, while the first step runs. Opening an agent takes as long as a short step. */
  warmUp(container: string, count: number): void;
  /** Opens one more, even when all are in use, to cancel a step. The caller closes it. */
  openAnother(container: string): StepAgent;
  /** Marks the workspace as unclean, so that no other build uses it. */
  condemn(): void;
  /**
   * Kills what the build left running, unless the workspace is deleted with it, and ends the agents. None may be in
   * use. Resolves with whether nothing is left.
   */
  sweep(): Promise<boolean>;
}

export interface BuildAgentsOptions {
  readonly buildId: string;
  readonly workspace: Workspace;
  /** Where the files of builds are: the first of the two directories that is writable. */
  readonly roots: readonly [string, string];
  /** Whether the workspace may serve another build. */
  readonly isReused: boolean;
  /** The pause before a sweep is tried again after a cut. */
  readonly reconnectMs: number;
  readonly connections?: ConnectionPool;
  /** Returns the commands that record the newest changes of the build's state in a container. */
  takeNotes(container: string): string;
}

/** The agent sends something every ten seconds. */
export const SILENCE_MS = 45_000;

/** The time limit of the sweep after a build. After it, the workspace is deleted. */
const SWEEP_MS = 30_000;

/**
 * The limit of agents in one container. The steps of a wider parallel stage wait. A container runtime tolerates only
 * a few dozen execs.
 */
const MAX_AGENTS = 16;

export function createBuildAgents(options: BuildAgentsOptions): BuildAgents {
  const { workspace, connections } = options;
  const agentOptions = {
    buildId: options.buildId,
    roots: options.roots,
    silenceMs: SILENCE_MS,
    epoch: workspace.epoch,
  };
  const pools = new Map<string, AgentPool>();
  let isCondemned = false;

  function find(container: string): AgentPool {
    const kept = connections?.of(workspace, container);
    const open = (): StepAgent => createStepAgent(workspace, container, { ...agentOptions, ...(kept ? { kept } : {}) });
    const pool = pools.get(container) ?? createAgentPool(open, MAX_AGENTS);
    pools.set(container, pool);
    return pool;
  }

  return {
    use: async (container, work) => await find(container).use(work),
    warmUp: (container, count) => find(container).warmUp(count),
    openAnother: (container) => createStepAgent(workspace, container, agentOptions),
    condemn(): void {
      isCondemned = true;
    },
    async sweep(): Promise<boolean> {
      // One agent sweeps all that runs in its container.
      const sweepers = [...pools].flatMap(([container, { all }]) =>
        all.slice(0, 1).map((agent) => ({ agent, notes: options.takeNotes(container) })),
      );
      // A workspace that serves one build is deleted with all that runs there.
      const isSwept = options.isReused && !isCondemned && (await sweepAll(sweepers, options));
      for (const agent of [...pools.values()].flatMap(({ all }) => all)) {
        if (isSwept) agent.release();
        else agent.close();
      }
      return isSwept;
    },
  };
}

interface Sweeper {
  readonly agent: StepAgent;
  /** Commands that are sent first: they note the end of the build. */
  readonly notes: string;
}

async function sweepAll(sweepers: readonly Sweeper[], options: BuildAgentsOptions): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(SWEEP_MS, false, { signal: over.signal }).catch(() => false);
  const swept = Promise.all(sweepers.map(async (sweeper) => await sweepOne(sweeper, options, over.signal)));
  const isClean = await Promise.race([swept.then((all) => all.every(Boolean)), late]);
  over.abort();
  return isClean;
}

/**
 * Sweeps a container. Retries after a cut: a second sweep does no harm, and a broken connection is no reason to
 * delete a warm workspace.
 */
async function sweepOne({ agent, notes }: Sweeper, options: BuildAgentsOptions, over: AbortSignal): Promise<boolean> {
  while (!over.aborted) {
    const answer = await agent.perform(`${notes}sweep ${options.buildId}\n`, (frame) =>
      frame.kind === 'swept' ? frame.isClean : undefined,
    );
    if (answer.kind === 'answered') return answer.value;
    if (answer.isFinal) return false;
    await sleep(options.reconnectMs, undefined, { ref: false });
  }
  return false;
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
