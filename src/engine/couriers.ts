import { setTimeout as sleep } from 'node:timers/promises';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Workspace } from './cluster.ts';
import { createCourier, type Courier } from './courier.ts';
import type { LinePool } from './line-pool.ts';

/**
 * The couriers of a build: as many into a container as steps run there at the same moment, used again by later steps, left to the
 * next build when this one is over.
 */
export interface Couriers {
  /** One for the caller alone, until it is given back. Waits while all are in use. */
  take(container: string): Promise<Courier>;
  giveBack(container: string, courier: Courier): void;
  /** Has so many ready: opening takes as long as a short step, and the first step works meanwhile. */
  warmUp(container: string, count: number): void;
  /** One more, whatever is in use, to cancel a step by; the caller closes it. */
  openAnother(container: string): Courier;
  /** What the build left in the workspace can no longer be known. */
  condemn(): void;
  /**
   * Kills what the build left running, unless the workspace goes with it, and lets the couriers go, of which none may be in use. Tells
   * whether nothing is left.
   */
  sweep(): Promise<boolean>;
}

export interface CouriersOptions {
  readonly buildId: string;
  readonly workspace: Workspace;
  readonly pipeline: Pipeline;
  /** Pause before a sweep is asked for again after a cut. */
  readonly reconnectMs: number;
  readonly lines?: LinePool;
  /** What is not noted yet in a container of the build's state, as commands for its courier. */
  takeNotes(container: string): string;
}

/** The courier says something every ten seconds. */
export const SILENCE_MS = 45_000;

/** How long the clean-up after a build may take before the workspace is given up. */
const SWEEP_MS = 30_000;

/** Into one container at the same moment; a wider parallel stage waits. A container's runtime bears few dozen execs. */
const MAX_COURIERS = 16;

export function createCouriers(options: CouriersOptions): Couriers {
  const { workspace, lines } = options;
  const lineOptions = {
    buildId: options.buildId,
    roots: planRoots(options.pipeline),
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

  function add(name: string): Courier {
    const kept = lines?.of(workspace, name);
    const courier = createCourier(workspace, name, { ...lineOptions, ...(kept ? { kept } : {}) });
    find(name).all.push(courier);
    return courier;
  }

  return {
    async take(name): Promise<Courier> {
      const { all, free, waiting } = find(name);
      const courier = free.shift();
      if (courier) return courier;
      return all.length < MAX_COURIERS ? add(name) : await new Promise((resolve) => waiting.push(resolve));
    },
    warmUp(name, count): void {
      const { all, free } = find(name);
      while (all.length < Math.min(count, MAX_COURIERS)) {
        const courier = add(name);
        courier.warmUp();
        free.push(courier);
      }
    },
    giveBack(name, courier): void {
      const container = find(name);
      const next = container.waiting.shift();
      if (next) next(courier);
      else container.free.unshift(courier);
    },
    openAnother: (name) => createCourier(workspace, name, lineOptions),
    condemn(): void {
      isCondemned = true;
    },
    async sweep(): Promise<boolean> {
      const all = [...containers.values()];
      // One is enough for all that runs in its container.
      const sweepers = [...containers].flatMap(([name, container]) =>
        container.all.slice(0, 1).map((courier) => ({ courier, notes: options.takeNotes(name) })),
      );
      // What is used for one build alone goes with all that runs there.
      const isSwept = options.pipeline.pod.reuse && !isCondemned && (await sweepAll(sweepers, options));
      for (const courier of all.flatMap((container) => container.all)) {
        if (isSwept) courier.leave();
        else courier.close();
      }
      return isSwept;
    },
  };
}

interface Container {
  readonly all: Courier[];
  readonly free: Courier[];
  readonly waiting: ((courier: Courier) => void)[];
}

interface Sweeper {
  readonly courier: Courier;
  /** Commands that go first: with the end of the build. */
  readonly notes: string;
}

async function sweepAll(sweepers: readonly Sweeper[], options: CouriersOptions): Promise<boolean> {
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
async function sweepOne({ courier, notes }: Sweeper, options: CouriersOptions, over: AbortSignal): Promise<boolean> {
  while (!over.aborted) {
    const answer = await courier.perform(`${notes}sweep ${options.buildId}\n`, (frame) =>
      frame.kind === 'swept' ? frame.isClean : undefined,
    );
    if (answer.kind === 'answered') return answer.value;
    if (answer.isFinal) return false;
    await sleep(options.reconnectMs, undefined, { ref: false });
  }
  return false;
}

const DEFAULT_PATH = '/c3/project';

export interface Workdir {
  readonly path: string;
  /** Not where the revision is checked out: elsewhere a step would run what is in its image. */
  readonly mayStartElsewhere: boolean;
}

export function planWorkdir({ checkout }: Pipeline): Workdir {
  if (checkout === false) return { path: DEFAULT_PATH, mayStartElsewhere: true };
  return { path: checkout.path, mayStartElsewhere: false };
}

/** Beside the work tree, where a volume is; else in the container's own temporary directory. */
export function planRoots(pipeline: Pipeline): readonly [string, string] {
  const { path } = planWorkdir(pipeline);
  return [`${path.slice(0, path.lastIndexOf('/'))}/.c3`, '/tmp/.c3'];
}
