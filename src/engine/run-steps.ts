import type { GitAccess, Push } from '../forges/forge.ts';
import type { Pipeline, Step } from '../pipeline/pipeline.ts';
import type { Masker } from '../sealing/index.ts';
import type { BuildProgress } from './build-progress.ts';
import type { Ending, StepPhase } from './build-state.ts';
import { formatCheckoutScript, toGitEnvironment } from './checkout.ts';
import type { Workspace } from './cluster.ts';
import { createCourier, type Courier } from './courier.ts';
import { createLogTail } from './log-tail.ts';
import { formatArgv } from './shell.ts';
import { runStep, type StepLimits, type StepResult } from './step.ts';

export interface StepsOrder {
  readonly buildId: string;
  readonly pipeline: Pipeline;
  readonly push: Push;
  readonly workspace: Workspace;
  readonly gitAccess: GitAccess;
  /** Of the build, for every step. */
  readonly environment: Readonly<Record<string, string>>;
  /** The opened `secrets:`, by name. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly progress: BuildProgress;
  createMasker(): Masker;
  readonly signal: AbortSignal;
  readonly limits: StepLimits;
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

interface Task {
  readonly step: Pick<Step, 'name' | 'container'>;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number | undefined;
  toEnding(result: StepResult, tail: string): Ending | undefined;
}

/** Checkout and steps, in order, up to the first that does not pass. */
export async function runSteps(order: StepsOrder): Promise<StepsOutcome> {
  const { pipeline, progress, workspace } = order;
  const tasks = planTasks(order);
  const couriers = new Map<string, Courier>();
  function openCourier(container: string): Courier {
    return createCourier(workspace, container, {
      buildId: order.buildId,
      roots: planRoots(pipeline),
      silenceMs: SILENCE_MS,
    });
  }
  for (const { step } of tasks) {
    if (couriers.has(step.container)) continue;
    const courier = openCourier(step.container);
    // Opening an exec takes as long as a short step: all containers do it while the first one works.
    courier.warmUp();
    couriers.set(step.container, courier);
  }
  progress.plan(
    tasks.map(({ step }) => step),
    workspace.isWarm,
  );

  const deadline = Date.now() + pipeline.timeoutMs;
  let ending: Ending = { kind: 'passed' };
  let isLost = false;
  for (const [index, task] of tasks.entries()) {
    const courier = couriers.get(task.step.container);
    if (courier === undefined) throw new Error(`no courier for container "${task.step.container}"`);
    progress.startStep(index);
    const { result, tail } = await runTask(task, `s${index}`, courier, order, deadline, openCourier);
    progress.endStep(index, toPhase(result), tail);
    const verdict = task.toEnding(result, tail);
    isLost = result.kind === 'lost';
    if (verdict) {
      ending = verdict;
      break;
    }
  }

  return {
    ending,
    async sweep(): Promise<boolean> {
      const isClean = !isLost && (await sweepAll([...couriers.values()], order.buildId));
      for (const courier of couriers.values()) courier.close();
      return isClean;
    },
  };
}

async function runTask(
  task: Task,
  stepId: string,
  courier: Courier,
  order: StepsOrder,
  deadline: number,
  openCourier: (container: string) => Courier,
): Promise<{ result: StepResult; tail: string }> {
  const tail = createLogTail();
  const masker = order.createMasker();
  const leftMs = Math.max(1000, deadline - Date.now());
  const second: Courier[] = [];
  const result = await runStep(
    courier,
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
        const opened = openCourier(task.step.container);
        second.push(opened);
        return opened;
      },
    },
  );
  for (const opened of second) opened.close();
  tail.push(masker.flush());
  return { result, tail: tail.text() };
}

function planTasks(order: StepsOrder): Task[] {
  const { pipeline, push } = order;
  const { checkout } = pipeline;
  const gitEnvironment = checkout === false ? {} : toGitEnvironment(order.gitAccess, checkout);
  const tasks = pipeline.steps.map((step): Task => {
    // Only the container that checks out gets the token: for submodules, fetches and pushes of its own steps.
    const isGit = checkout !== false && step.container === checkout.container;
    return {
      step,
      script: step.run.kind === 'argv' ? formatArgv(step.run.argv) : step.run.text,
      env: { ...pipeline.env, ...step.env, ...order.secrets, ...order.environment, ...(isGit ? gitEnvironment : {}) },
      timeoutMs: step.timeoutMs,
      toEnding: (result) => toStepEnding(step.name, result, step.timeoutMs),
    };
  });
  if (checkout === false) return tasks;
  const first: Task = {
    step: { name: 'checkout', container: checkout.container },
    script: formatCheckoutScript(checkout, push),
    env: { ...order.environment, ...gitEnvironment },
    timeoutMs: undefined,
    toEnding(result, tail): Ending | undefined {
      if (result.kind !== 'exited') return toStepEnding('checkout', result, undefined);
      if (result.exitCode === 0) return undefined;
      const words = tail.trim().split('\n').at(-1) ?? '';
      const message = `Checking out ${push.sha.slice(0, 7)} in container "${checkout.container}" failed: ${words || `exit code ${result.exitCode}`}`;
      return { kind: 'infrastructure-error', message };
    },
  };
  return [first, ...tasks];
}

function toStepEnding(name: string, result: StepResult, stepTimeoutMs: number | undefined): Ending | undefined {
  switch (result.kind) {
    case 'exited':
      if (result.exitCode === 0) return undefined;
      return { kind: 'failed', step: name, message: formatExit(result.exitCode) };
    case 'timed-out': {
      const whose = stepTimeoutMs === undefined ? 'the time limit of the build' : 'its time limit';
      return { kind: 'timed-out', message: `Step "${name}" was ended at ${whose}` };
    }
    case 'cancelled':
      return { kind: 'cancelled', message: `The build was cancelled during step "${name}"` };
    case 'log-limit':
      return {
        kind: 'failed',
        step: name,
        message: 'ended because it wrote more than 2 GiB of output',
      };
    case 'lost':
      return { kind: 'infrastructure-error', message: `How step "${name}" ended is unknown: ${result.message}` };
  }
}

function formatExit(exitCode: number): string {
  if (exitCode === 127) return 'exit code 127 (a command was not found)';
  if (exitCode === 126) return 'exit code 126 (a command cannot be run)';
  if (exitCode === 137) return 'exit code 137 (killed, often for memory)';
  return exitCode > 128 && exitCode < 160
    ? `exit code ${exitCode} (signal ${exitCode - 128})`
    : `exit code ${exitCode}`;
}

function toPhase(result: StepResult): StepPhase {
  switch (result.kind) {
    case 'exited':
      return result.exitCode === 0 ? { kind: 'passed' } : { kind: 'failed', exitCode: result.exitCode };
    case 'log-limit':
      return { kind: 'failed', exitCode: 137 };
    case 'timed-out':
    case 'cancelled':
    case 'lost':
      return result;
  }
}

async function sweepAll(couriers: readonly Courier[], buildId: string): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), SWEEP_MS);
  const swept = Promise.all(
    couriers.map(async (courier) => {
      const answer = await courier.perform(`sweep ${buildId}\n`, (frame) =>
        frame.kind === 'swept' ? frame.isClean : undefined,
      );
      return answer.kind === 'answered' && answer.value;
    }),
  );
  const isClean = await Promise.race([swept.then((all) => all.every(Boolean)), timeout.promise]);
  clearTimeout(timer);
  return isClean;
}

const DEFAULT_PATH = '/c3/project';

function planWorkdir(pipeline: Pipeline): string {
  return pipeline.checkout === false ? DEFAULT_PATH : pipeline.checkout.path;
}

/** Beside the work tree, where a volume is; else in the container's own temporary directory. */
function planRoots(pipeline: Pipeline): readonly [string, string] {
  return [`${planWorkdir(pipeline).replace(/\/[^/]*\/*$/, '')}/.c3`, '/tmp/.c3'];
}
