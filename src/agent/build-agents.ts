import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from '../engine/cluster.ts';
import { createStepAgent, type StepAgent } from './step-agent.ts';
import type { ConnectionPool } from './connection-pool.ts';

/**
 * The agents of a build: as many into a container as steps run there at the same moment, used again by later steps, left to the
 * next build when this one is over.
 */
export interface BuildAgents {
  /** One for the caller alone, until it is given back. Waits while all are in use. */
  take(container: string): Promise<StepAgent>;
  giveBack(container: string, agent: StepAgent): void;
  /** Has so many ready: opening takes as long as a short step, and the first step works meanwhile. */
  warmUp(container: string, count: number): void;
  /** One more, whatever is in use, to cancel a step by; the caller closes it. */
  openAnother(container: string): StepAgent;
  /** What the build left in the workspace can no longer be known. */
  condemn(): void;
  /**
   * Kills what the build left running, unless the workspace goes with it, and lets the agents go, of which none may be in use. Tells
   * whether nothing is left.
   */
  sweep(): Promise<boolean>;
}

export interface BuildAgentsOptions {
  readonly buildId: string;
  readonly workspace: Workspace;
  /** Where the builds' files are: the first of the two directories that can be written. */
  readonly roots: readonly [string, string];
  /** Whether the workspace may serve another build. */
  readonly isReused: boolean;
  /** Pause before a sweep is asked for again after a cut. */
  readonly reconnectMs: number;
  readonly lines?: ConnectionPool;
  /** What is not noted yet in a container of the build's state, as commands for its agent. */
  takeNotes(container: string): string;
}

/** The agent says something every ten seconds. */
export const SILENCE_MS = 45_000;

/** How long the clean-up after a build may take before the workspace is given up. */
const SWEEP_MS = 30_000;

/** Into one container at the same moment; a wider parallel stage waits. A container's runtime bears few dozen execs. */
const MAX_AGENTS = 16;

export function createBuildAgents(options: BuildAgentsOptions): BuildAgents {
  const { workspace, lines } = options;
  const lineOptions = {
    buildId: options.buildId,
    roots: options.roots,
    silenceMs: SILENCE_MS,
    epoch: workspace.epoch,
  };
  const containers = new Map<string, Container>();
  let isCondemned = false;

  function find(name: string): Container {
    const container = containers.get(name) ?? { all: [], free: [], waiting: [] };
    containers.set(name, container);
    return container;
  }

  function add(name: string): StepAgent {
    const kept = lines?.of(workspace, name);
    const agent = createStepAgent(workspace, name, { ...lineOptions, ...(kept ? { kept } : {}) });
    find(name).all.push(agent);
    return agent;
  }

  return {
    async take(name): Promise<StepAgent> {
      const { all, free, waiting } = find(name);
      const agent = free.shift();
      if (agent) return agent;
      return all.length < MAX_AGENTS ? add(name) : await new Promise((resolve) => waiting.push(resolve));
    },
    warmUp(name, count): void {
      const { all, free } = find(name);
      while (all.length < Math.min(count, MAX_AGENTS)) {
        const agent = add(name);
        agent.warmUp();
        free.push(agent);
      }
    },
    giveBack(name, agent): void {
      const container = find(name);
      const next = container.waiting.shift();
      if (next) next(agent);
      else container.free.unshift(agent);
    },
    openAnother: (name) => createStepAgent(workspace, name, lineOptions),
    condemn(): void {
      isCondemned = true;
    },
    async sweep(): Promise<boolean> {
      const all = [...containers.values()];
      // One is enough for all that runs in its container.
      const sweepers = [...containers].flatMap(([name, container]) =>
        container.all.slice(0, 1).map((agent) => ({ agent, notes: options.takeNotes(name) })),
      );
      // What is used for one build alone goes with all that runs there.
      const isSwept = options.isReused && !isCondemned && (await sweepAll(sweepers, options));
      for (const agent of all.flatMap((container) => container.all)) {
        if (isSwept) agent.leave();
        else agent.close();
      }
      return isSwept;
    },
  };
}

interface Container {
  readonly all: StepAgent[];
  readonly free: StepAgent[];
  readonly waiting: ((agent: StepAgent) => void)[];
}

interface Sweeper {
  readonly agent: StepAgent;
  /** Commands that go first: with the end of the build. */
  readonly notes: string;
}

async function sweepAll(sweepers: readonly Sweeper[], options: BuildAgentsOptions): Promise<boolean> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), SWEEP_MS);
  const late = new Promise<boolean>((resolve) => {
    timeout.signal.addEventListener('abort', () => resolve(false), { once: true });
  });
  const swept = Promise.all(sweepers.map(async (sweeper) => await sweepOne(sweeper, options, timeout.signal)));
  const isClean = await Promise.race([swept.then((all) => all.every(Boolean)), late]);
  clearTimeout(timer);
  return isClean;
}

/** Again after a cut: to kill what is dead does no harm, and a connection that broke is no reason to give up a warm workspace. */
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
