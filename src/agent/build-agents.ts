import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { untilAborted } from '../limiter.ts';
import { AgentPool } from './agent-pool.ts';
import type { Ready } from './connection.ts';
import type { FirstNote } from './frames.ts';
import { createStepAgent, type ConnectionPool, type StepAgent } from './step-agent.ts';

/**
 * The agents of a build. Each container has as many as the steps that run there at the same time. Later steps reuse
 * them, and their connections stay open for the next build.
 */
export interface BuildAgents {
  /**
   * Waits until an agent is in the container. In a new workspace call it before the first step: a sweep spares what
   * started before this agent, and nothing else. In an abandoned one call it for each container before the first step:
   * this agent kills what is left there.
   */
  enter(container: string): Promise<Ready>;
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
  /** Whether nothing of a build has run in the workspace. */
  readonly isNew: boolean;
  /** The pause before a sweep is tried again after a cut. */
  readonly reconnectMs: number;
  readonly connections?: ConnectionPool;
  /** Returns the commands that record the newest changes of the build's state in a container. */
  takeNotes(container: string): string;
  /** Computes the MAC of the note about the first agent of the workspace. */
  toFirstMac(start: string): string;
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
  const { buildId, workspace, roots, connections } = options;
  const agentOptions = { buildId, roots, silenceMs: SILENCE_MS, epoch: workspace.epoch };
  /** The containers of an abandoned workspace in which nothing of earlier builds is left. */
  const cleared = new Set<string>();
  const pool = new AgentPool((container) => {
    const kept = connections?.of(workspace, container);
    const mustClear = (): boolean => workspace.isAbandoned && !cleared.has(container);
    return createStepAgent(workspace, container, { ...agentOptions, kept, mustClear });
  }, MAX_AGENTS);
  let isCondemned = false;
  let first: FirstNote | undefined;

  /**
   * Finds the note about the first agent. Any step can write one, so that a sweep would spare its processes: only a MAC
   * of c3 counts (threat model A3).
   */
  async function findFirst(agents: readonly StepAgent[]): Promise<FirstNote | undefined> {
    const arrivals = await Promise.all(agents.map(async (agent) => await agent.ready()));
    const notes = arrivals.flatMap((arrival) => (arrival.kind === 'answered' ? [arrival.value.first] : []));
    return notes.find(({ start, mac }) => mac === options.toFirstMac(start));
  }

  /**
   * Sweeps a container. Retries after a cut: a second sweep does no harm, and a broken connection is no reason to
   * delete a warm workspace.
   */
  async function sweepOne(container: string, agent: StepAgent, over: AbortSignal): Promise<boolean> {
    const known = first === undefined ? '' : ` ${first.start} ${first.mac}`;
    const command = `${options.takeNotes(container)}sweep ${buildId}${known}\n`;
    while (!over.aborted) {
      const answer = await agent.perform(command, (frame) => (frame.kind === 'swept' ? frame.isClean : undefined));
      if (answer.kind === 'answered') return answer.value;
      if (answer.isFinal) return false;
      await sleep(options.reconnectMs, undefined, { ref: false });
    }
    return false;
  }

  async function sweepAll(over: AbortSignal): Promise<boolean> {
    // One agent sweeps all that runs in its container.
    const sweepers = [...pool.agents].flatMap(([container, agents]) =>
      agents.slice(0, 1).map((agent) => ({ container, agent })),
    );
    first ??= await findFirst(sweepers.map(({ agent }) => agent));
    const swept = await Promise.all(
      sweepers.map(async ({ container, agent }) => await sweepOne(container, agent, over)),
    );
    return swept.every(Boolean);
  }

  return {
    async enter(container) {
      const arrival = await pool.use(container, async (agent) => await agent.ready());
      if (options.isNew && arrival.kind === 'answered') {
        const start = String(arrival.value.start);
        first ??= { start, mac: options.toFirstMac(start) };
      }
      if (arrival.kind === 'answered') cleared.add(container);
      return arrival;
    },
    use: async (container, work) => await pool.use(container, work),
    warmUp: (container, count) => pool.warmUp(container, count),
    openAnother: (container) => createStepAgent(workspace, container, agentOptions),
    condemn(): void {
      isCondemned = true;
    },
    async sweep(): Promise<boolean> {
      // A workspace that serves one build is deleted with all that runs there.
      const late = AbortSignal.timeout(SWEEP_MS);
      const isSwept = options.isReused && !isCondemned && (await untilAborted(sweepAll(late), late)) === true;
      for (const agent of [...pool.agents.values()].flat()) {
        if (isSwept) agent.release();
        else agent.close();
      }
      return isSwept;
    },
  };
}
