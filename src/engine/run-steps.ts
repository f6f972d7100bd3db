import { createHmac } from 'node:crypto';
import type { BuildState, Ending, FailedLog } from '../build/index.ts';
import type { Masking } from '../sealing/index.ts';
import type { BuildProgress } from './build-progress.ts';
import type { Workspace } from './cluster.ts';
import {
  createBuildAgents,
  createPartReader,
  type BuildAgents,
  type ConnectionPool,
  type StepLimits,
} from '../agent/index.ts';
import { openFailedLog, type WrittenLog } from './failed-log.ts';
import { planRoots, planWorkdir } from './checkout.ts';
import { createJournal } from './journal.ts';
import { runTask, type Part, type TaskContext } from './run-task.ts';
import { findOversizedVariable, planTasks, type Task, type TaskPlan, type TaskSource } from './tasks.ts';

export interface StepsOptions extends TaskSource {
  /** The key for {@link createStepProofs}. */
  readonly proofKey: string;
  readonly workspace: Workspace;
  /**
   * Another c3 process started the build in this workspace. Steps that ran do not run again, and the time limit
   * continues.
   */
  readonly isResumed: boolean;
  readonly progress: BuildProgress;
  readonly masking: Masking;
  /** Aborted: the build is cancelled. `finally` still runs. */
  readonly signal: AbortSignal;
  /** Aborted: `finally` is cancelled too. */
  readonly haltSignal?: AbortSignal | undefined;
  readonly limits: StepLimits;
  /** Default: every build opens its own connections. */
  readonly connections?: ConnectionPool;
  /** Gets what a step writes, masked, while it runs, in order. `index` is that of `BuildState.steps`. */
  readonly onOutput?: ((index: number, bytes: Uint8Array) => void) | undefined;
}

export interface StepsOutcome {
  readonly ending: Ending;
  /**
   * Kills what the build left running. Resolves with whether nothing is left, so that the workspace may serve another
   * build.
   */
  sweep(): Promise<boolean>;
  /** Opens the log of the step that failed the build. Only before `sweep`. */
  openLog(state: BuildState, signal: AbortSignal): FailedLog | undefined;
}

/** The time limit for all steps of `finally` together. Other builds may wait for the Pod. */
const FINALLY_MS = 10 * 60_000;

/**
 * Runs the stages of a pipeline in order, and the steps of one stage at the same time. After a failure it runs only
 * steps whose condition allows that. It always runs `finally` last. The first cause becomes the build's ending.
 */
export async function runSteps(options: StepsOptions): Promise<StepsOutcome> {
  const { pipeline, progress, workspace } = options;
  const tasks = planTasks(options);
  const oversized = findOversizedVariable(tasks.all);
  if (oversized !== undefined) {
    return {
      ending: { kind: 'config-error', message: oversized },
      sweep: () => Promise.resolve(true),
      openLog: () => undefined,
    };
  }
  const journal = createJournal({ buildId: options.build.id, epoch: workspace.epoch });
  const roots = planRoots(pipeline);
  const takeNotes = (container: string): string => journal.toCommands(container, progress.state);
  const buildId = options.build.id;
  const agents = createBuildAgents({
    ...options,
    buildId,
    roots,
    isReused: pipeline.pod.reuse,
    takeNotes,
    reconnectMs: options.limits.reconnectMs,
  });
  for (const [container, count] of countAtOnce(tasks)) agents.warmUp(container, count);
  progress.plan(tasks.all, workspace.isWarm);

  const logs = new Map<number, WrittenLog>();
  const reader = createPartReader({ workspace, buildId, roots });
  const toProof = createStepProofs({ key: options.proofKey, buildId, workspaceId: workspace.id });
  const course = createCourse({ ...options, agents, takeNotes, toProof, workdir: planWorkdir(pipeline), logs, reader });
  const spentMs = await findSpent(options, agents, tasks);
  await course.walk(tasks.steps, {
    deadline: performance.now() + pipeline.timeoutMs - spentMs,
    limit: 'the time limit of the build',
    signal: options.signal,
  });
  await course.walk(tasks.finally, {
    deadline: performance.now() + FINALLY_MS,
    limit: 'the ten minutes that "finally" has',
    signal: options.haltSignal ?? new AbortController().signal,
  });
  return {
    ending: course.toEnding(),
    sweep: agents.sweep,
    openLog: (state, signal) => openFailedLog({ ...options, state, signal, logs, reader }),
  };
}

/** The course of a build so far. */
interface Course {
  /** Runs the stages of a part, until one stops it. */
  walk(stages: TaskPlan['steps'], part: Part): Promise<void>;
  toEnding(): Ending;
}

function createCourse(context: TaskContext): Course {
  let cause: Ending | undefined;
  const allowed: string[] = [];
  let loss: string | undefined;
  void context.workspace.lost.then((message) => {
    loss = message;
  });

  /** Chooses the tasks of a stage that run after what has happened. */
  function choose(stage: readonly Task[]): Task[] {
    const status = cause === undefined ? 'success' : 'failure';
    return stage.filter(({ skipped, runsAfter }) => skipped === undefined && runsAfter.includes(status));
  }

  async function runStage(tasks: readonly Task[], part: Part): Promise<'go on' | 'stop'> {
    const verdicts = await Promise.all(
      tasks.map(async (task) => ({ task, verdict: await runTask(task, part, context) })),
    );
    // In their order in c3.yaml, not in the order of their ends, so that a resumed build has the same result.
    for (const { task, verdict } of verdicts) {
      if (verdict.kind === 'failed' && task.isAllowed) allowed.push(task.name);
      else if (verdict.kind !== 'passed') cause ??= verdict.ending;
    }
    return verdicts.some(({ verdict }) => verdict.kind === 'stopped') ? 'stop' : 'go on';
  }

  return {
    async walk(stages, part): Promise<void> {
      for (const stage of stages) {
        const tasks = choose(stage);
        const [first] = tasks;
        if (first === undefined) continue;
        // A step that should run and does not is a cause. Without one the build would count as passed.
        if (loss !== undefined) {
          cause ??= { kind: 'infrastructure-error', message: `Step "${first.name}" was not begun: ${loss}` };
          return;
        }
        if ((await runStage(tasks, part)) === 'stop') return;
      }
    },
    toEnding: () => cause ?? { kind: 'passed', allowed },
  };
}

/** Computes for how many milliseconds the build has run: 0, unless it is resumed. Compares the clocks of both c3s. */
async function findSpent(options: StepsOptions, agents: BuildAgents, { all }: TaskPlan): Promise<number> {
  const now = Date.now();
  const [first] = all;
  if (!options.isResumed || !first) return 0;
  const answer = await agents.use(first.container, async (agent) => await agent.ready());
  return answer.kind === 'answered' ? Math.max(0, now - answer.value.begunAtMs) : 0;
}

/** Counts how many tasks run in each container at the same time, at most. */
function countAtOnce({ steps, finally: last }: TaskPlan): Map<string, number> {
  const counts = new Map<string, number>();
  for (const stage of [...steps, ...last]) {
    const tasks = stage.filter(({ skipped }) => skipped === undefined);
    for (const { container } of tasks) {
      const count = tasks.filter((task) => task.container === container).length;
      counts.set(container, Math.max(count, counts.get(container) ?? 0));
    }
  }
  return counts;
}

export interface StepProofOptions {
  /**
   * The kubeconfig: every c3 that leads the build has it, and nothing in the Pod has it. Its owner may run anything
   * there.
   */
  readonly key: string;
  readonly buildId: string;
  /** The Pod's UID: a proof of one Pod proves nothing in another. */
  readonly workspaceId: string;
}

/**
 * Creates the function that makes the proof of a step, by the step's id. The step's supervisor gets it over standard
 * input, and writes it into the exit file when the step has passed. So c3 knows who wrote the file: a program that
 * reads the proof there comes too late.
 */
export function createStepProofs({ key, buildId, workspaceId }: StepProofOptions): (stepId: string) => string {
  return (stepId) =>
    createHmac('sha256', key)
      .update(['c3-step-v1', workspaceId, buildId, stepId].join('\n'))
      .digest('hex')
      .slice(0, 32);
}
