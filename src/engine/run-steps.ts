import { createHmac } from 'node:crypto';
import type { BuildState, Ending, FailedLog } from '../build/index.ts';
import { createBuildAgents, createPartReader, type BuildAgents, type ConnectionPool } from '../agent/index.ts';
import { planRoots, planWorkdir } from './checkout.ts';
import { createJournal } from './journal.ts';
import { runTask, type TaskContext } from './run-task.ts';
import { openFailedLog } from './step-log.ts';
import { findOversizedVariable, planTasks, type TaskPlan, type TaskSource } from './tasks.ts';
import type { Part } from './verdict.ts';

export interface StepsOptions
  extends TaskSource, Pick<TaskContext, 'workspace' | 'progress' | 'masking' | 'limits' | 'onOutput'> {
  /** The key for {@link createStepProofs}. */
  readonly proofKey: string;
  /**
   * Another c3 process started the build in this workspace. Steps that ran do not run again, and the time limit
   * continues.
   */
  readonly isResumed: boolean;
  /** Aborted: the build is cancelled. `finally` still runs. */
  readonly signal: AbortSignal;
  /** Aborted: `finally` is cancelled too. */
  readonly haltSignal?: AbortSignal | undefined;
  /** Default: every build opens its own connections. */
  readonly connections?: ConnectionPool;
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
  const buildId = options.build.id;
  const tasks = planTasks(options);
  const oversized = findOversizedVariable(tasks.all);
  if (oversized !== undefined) {
    return {
      ending: { kind: 'config-error', message: oversized },
      sweep: () => Promise.resolve(true),
      openLog: () => undefined,
    };
  }
  const journal = createJournal({ buildId, epoch: workspace.epoch });
  const roots = planRoots(pipeline);
  const takeNotes = (container: string): string => journal.toCommands(container, progress.state);
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

  const context: TaskContext = {
    ...options,
    agents,
    takeNotes,
    toProof: createStepProofs({ key: options.proofKey, buildId, workspaceId: workspace.id }),
    workdir: planWorkdir(pipeline),
    logs: new Map(),
    reader: createPartReader({ workspace, buildId, roots }),
  };
  const course: Course = { cause: undefined, allowed: [], loss: undefined };
  void workspace.lost.then((message) => {
    course.loss = message;
  });
  const spentMs = await findSpent(options, agents, tasks);
  const steps = {
    deadline: performance.now() + pipeline.timeoutMs - spentMs,
    limit: 'the time limit of the build',
    signal: options.signal,
  };
  await runStages(tasks.steps, steps, { context, course });
  const last = {
    deadline: performance.now() + FINALLY_MS,
    limit: 'the ten minutes that "finally" has',
    signal: options.haltSignal ?? new AbortController().signal,
  };
  await runStages(tasks.finally, last, { context, course });
  return {
    ending: course.cause ?? { kind: 'passed', allowed: course.allowed },
    sweep: agents.sweep,
    openLog: (state, signal) => openFailedLog(context, state, signal),
  };
}

/** The course of a build so far. */
interface Course {
  /** The first cause why the build does not pass. */
  cause: Ending | undefined;
  /** The steps whose failure is allowed and that failed. */
  readonly allowed: string[];
  /** Why the workspace is lost. */
  loss: string | undefined;
}

/** Runs the stages of a part, until one stops it. */
async function runStages(
  stages: TaskPlan['steps'],
  part: Part,
  { context, course }: { readonly context: TaskContext; readonly course: Course },
): Promise<void> {
  for (const stage of stages) {
    const status = course.cause === undefined ? 'success' : 'failure';
    const tasks = stage.filter(({ skipped, runsAfter }) => skipped === undefined && runsAfter.includes(status));
    const [first] = tasks;
    if (first === undefined) continue;
    // A step that should run and does not is a cause. Without one the build would count as passed.
    if (course.loss !== undefined) {
      course.cause ??= { kind: 'infrastructure-error', message: `Step "${first.name}" was not begun: ${course.loss}` };
      return;
    }
    const verdicts = await Promise.all(tasks.map(async (task) => await runTask(task, part, context)));
    // In their order in c3.yaml, not in the order of their ends, so that a resumed build has the same result.
    for (const [index, verdict] of verdicts.entries()) {
      const task = tasks[index];
      if (verdict.kind === 'failed' && task?.isAllowed === true) course.allowed.push(task.name);
      else if (verdict.kind !== 'passed') course.cause ??= verdict.ending;
    }
    if (verdicts.some(({ kind }) => kind === 'stopped')) return;
  }
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
    for (const [container, { length }] of Map.groupBy(tasks, (task) => task.container))
      counts.set(container, Math.max(length, counts.get(container) ?? 0));
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
