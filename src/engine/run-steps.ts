import type { BuildState, Ending, FailedLog } from '../build/index.ts';
import { createBuildAgents, createPartReader, type BuildAgents, type ConnectionPool } from '../agent/index.ts';
import { planRoots, planWorkdir } from './checkout.ts';
import { createJournal } from './journal.ts';
import { createMacs } from './macs.ts';
import { runTask, type TaskContext } from './run-task.ts';
import { openFailedLog } from './step-log.ts';
import { findOversizedVariable, planTasks, type TaskPlan, type TaskSource } from './tasks.ts';
import type { Part } from './verdict.ts';

export interface StepsOptions
  extends TaskSource, Pick<TaskContext, 'workspace' | 'progress' | 'masking' | 'limits' | 'onOutput'> {
  /** The key for {@link createMacs}. */
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
  /** No step has begun, and the build may pass in a new workspace. */
  readonly isRepeatable: boolean;
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
      isRepeatable: false,
      sweep: () => Promise.resolve(true),
      openLog: () => undefined,
    };
  }
  const macs = createMacs({ key: options.proofKey, buildId, workspaceId: workspace.id });
  const journal = createJournal({ buildId, epoch: workspace.epoch, toMac: macs.ofEntry });
  const roots = planRoots(pipeline);
  const takeNotes = (container: string): string => journal.toCommands(container, progress.state);
  const agents = createBuildAgents({
    ...options,
    buildId,
    roots,
    isReused: pipeline.pod.reuse,
    isNew: !workspace.isWarm && !options.isResumed,
    takeNotes,
    toFirstMac: macs.ofFirst,
    reconnectMs: options.limits.reconnectMs,
  });
  const counts = countAtOnce(tasks);
  // One agent clears a container, before anything of this build runs there.
  if (workspace.isAbandoned)
    await Promise.all([...counts.keys()].map(async (container) => await agents.enter(container)));
  for (const [container, count] of counts) agents.warmUp(container, count);
  progress.plan(tasks.all, workspace.isWarm);

  const context: TaskContext = {
    ...options,
    agents,
    takeNotes,
    toProof: macs.ofStep,
    workdir: planWorkdir(pipeline),
    logs: new Map(),
    reader: createPartReader({ workspace, buildId, roots }),
  };
  const course: Course = { cause: undefined, allowed: [], loss: undefined };
  void workspace.lost.then((message) => {
    course.loss = message;
  });
  const spentMs = await enterFirst(options, agents, [...counts.keys()]);
  const steps = {
    deadline: performance.now() + pipeline.timeoutMs - spentMs,
    limit: 'the time limit of the build',
    signal: options.signal,
  };
  await runStages(tasks.steps, steps, { context, course });
  const { sweep } = agents;
  const openLog: StepsOutcome['openLog'] = (state, signal) => openFailedLog(context, state, signal);
  if (course.cause && isRepeatable(options, tasks, course))
    return { ending: course.cause, isRepeatable: true, sweep, openLog };
  const last = {
    deadline: performance.now() + FINALLY_MS,
    limit: 'the ten minutes that "finally" has',
    signal: options.haltSignal ?? new AbortController().signal,
  };
  await runStages(tasks.finally, last, { context, course });
  return {
    ending: course.cause ?? { kind: 'passed', allowed: course.allowed },
    isRepeatable: false,
    sweep,
    openLog,
  };
}

/**
 * Returns whether a build ended before its first step because of what an earlier build left in the workspace, or
 * because the workspace was lost.
 */
function isRepeatable(
  { isResumed, workspace, signal, progress }: StepsOptions,
  { all }: TaskPlan,
  { cause, loss }: Course,
): boolean {
  const hasBegun = all.some(({ kind, index }) => {
    const phase = progress.state.steps[index]?.phase.kind;
    return kind === 'step' && phase !== 'pending' && phase !== 'skipped';
  });
  const mayPass = cause?.kind === 'infrastructure-error' && (workspace.isWarm || loss !== undefined);
  return mayPass && !hasBegun && !isResumed && !signal.aborted;
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

/**
 * Comes into the first container, where c3 must wait for the agent: in a new workspace before anything of a build runs,
 * and in one where the build is resumed. Resolves with for how many milliseconds the build has run, by the clocks of
 * both c3s: 0, unless it is resumed.
 */
async function enterFirst(
  { isResumed, workspace }: StepsOptions,
  agents: BuildAgents,
  [container]: readonly string[],
): Promise<number> {
  if (container === undefined || (workspace.isWarm && !isResumed)) return 0;
  const now = Date.now();
  const arrival = await agents.enter(container);
  return isResumed && arrival.kind === 'answered' ? Math.max(0, now - arrival.value.begunAtMs) : 0;
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
