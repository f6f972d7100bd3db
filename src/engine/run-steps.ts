import { setTimeout as sleep } from 'node:timers/promises';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Masker } from '../sealing/index.ts';
import type { BuildProgress } from './build-progress.ts';
import type { Ending } from './build-state.ts';
import type { Workspace } from './cluster.ts';
import { createCourier, type Courier } from './courier.ts';
import type { LinePool } from './line-pool.ts';
import { createLogTail } from './log-tail.ts';
import { runStep, type StepLimits, type StepResult } from './step.ts';
import { planTasks, toPhase, type Task, type TaskSource } from './tasks.ts';

export interface StepsOrder extends TaskSource {
  readonly buildId: string;
  readonly workspace: Workspace;
  readonly progress: BuildProgress;
  createMasker(): Masker;
  readonly signal: AbortSignal;
  readonly limits: StepLimits;
  /** Without one, every build opens its own connections. */
  readonly lines?: LinePool;
}

export interface StepsOutcome {
  readonly ending: Ending;
  /** Kills what the build left running; tells whether nothing is left, so that the workspace may serve another. */
  sweep(): Promise<boolean>;
}

/** The courier says something every ten seconds. */
const SILENCE_MS = 45_000;

/** How long the clean-up after a build may take before the workspace is given up. */
const SWEEP_MS = 30_000;

/** Checkout and steps, in order, up to the first that does not pass. */
export async function runSteps(order: StepsOrder): Promise<StepsOutcome> {
  const { pipeline, progress, workspace } = order;
  const tasks = planTasks(order);
  const couriers = openCouriers(order, tasks);
  const steps = tasks.map(({ step }) => step);
  progress.plan(steps, workspace.isWarm);

  const deadline = Date.now() + pipeline.timeoutMs;
  let ending: Ending | undefined;
  let isLost = false;
  for (const [index, task] of tasks.entries()) {
    const leftMs = deadline - Date.now();
    if (leftMs <= 0) {
      ending = { kind: 'timed-out', message: `The build reached its time limit before step "${task.step.name}"` };
      break;
    }
    progress.startStep(index);
    const { result, tail } = await runTask(task, { stepId: `s${index}`, leftMs, couriers, order });
    progress.endStep(index, toPhase(result), tail);
    isLost = result.kind === 'lost';
    ending = task.toEnding(result, tail, leftMs);
    if (ending) break;
  }

  return {
    ending: ending ?? { kind: 'passed' },
    async sweep(): Promise<boolean> {
      const isClean = !isLost && (await sweepAll(couriers.all(), order));
      for (const courier of couriers.all()) {
        if (isClean) courier.leave();
        else courier.close();
      }
      return isClean;
    },
  };
}

interface Couriers {
  of(container: string): Courier;
  /** A second line into the same container; the caller closes it. */
  openAnother(container: string): Courier;
  all(): Courier[];
}

/** One courier for each container, opened at once: opening takes as long as a short step, and the first step works meanwhile. */
function openCouriers(order: StepsOrder, tasks: readonly Task[]): Couriers {
  const couriers = new Map<string, Courier>();
  const options = { buildId: order.buildId, roots: planRoots(order.pipeline), silenceMs: SILENCE_MS };
  function openAnother(container: string): Courier {
    return createCourier(order.workspace, container, options);
  }
  function findOrOpen(container: string): Courier {
    const courier =
      couriers.get(container) ??
      createCourier(order.workspace, container, {
        ...options,
        ...(order.lines ? { pool: order.lines } : {}),
      });
    couriers.set(container, courier);
    return courier;
  }
  for (const { step } of tasks) findOrOpen(step.container).warmUp();
  return { of: findOrOpen, openAnother, all: () => [...couriers.values()] };
}

async function runTask(
  task: Task,
  run: { stepId: string; leftMs: number; couriers: Couriers; order: StepsOrder },
): Promise<{ result: StepResult; tail: string }> {
  const { stepId, leftMs, couriers, order } = run;
  const { container } = task.step;
  const tail = createLogTail();
  const masker = order.createMasker();
  const second: Courier[] = [];
  const result = await runStep(
    couriers.of(container),
    {
      buildId: order.buildId,
      stepId,
      workdir: planWorkdir(order.pipeline),
      env: task.env,
      script: task.script,
      timeoutMs: Math.min(leftMs, task.timeoutMs ?? leftMs),
    },
    {
      signal: order.signal,
      lost: order.workspace.lost,
      limits: order.limits,
      onOutput: (bytes) => tail.push(masker.push(bytes)),
      openCourier: () => {
        const opened = couriers.openAnother(container);
        second.push(opened);
        return opened;
      },
    },
  );
  for (const opened of second) opened.close();
  tail.push(masker.flush());
  return { result, tail: tail.text() };
}

async function sweepAll(couriers: readonly Courier[], order: StepsOrder): Promise<boolean> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), SWEEP_MS);
  const late = new Promise<boolean>((resolve) => {
    timeout.signal.addEventListener('abort', () => resolve(false), { once: true });
  });
  const swept = Promise.all(couriers.map(async (courier) => await sweepOne(courier, order, timeout.signal)));
  const isClean = await Promise.race([swept.then((all) => all.every(Boolean)), late]);
  clearTimeout(timer);
  return isClean;
}

/** Again after a cut: to kill what is dead does no harm, and a connection that broke is no reason to give up a warm workspace. */
async function sweepOne(courier: Courier, order: StepsOrder, over: AbortSignal): Promise<boolean> {
  while (!over.aborted) {
    const answer = await courier.perform(`sweep ${order.buildId}\n`, (frame) =>
      frame.kind === 'swept' ? frame.isClean : undefined,
    );
    if (answer.kind === 'answered') return answer.value;
    if (answer.isFinal) return false;
    await sleep(order.limits.reconnectMs, undefined, { ref: false });
  }
  return false;
}

const DEFAULT_PATH = '/c3/project';

function planWorkdir(pipeline: Pipeline): string {
  return pipeline.checkout === false ? DEFAULT_PATH : pipeline.checkout.path;
}

/** Beside the work tree, where a volume is; else in the container's own temporary directory. */
function planRoots(pipeline: Pipeline): readonly [string, string] {
  return [`${planWorkdir(pipeline).replace(/\/[^/]*\/*$/, '')}/.c3`, '/tmp/.c3'];
}
