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

export interface StepsOrder extends TaskSource {
  /** As {@link createStepProofs} takes it. */
  readonly proofKey: string;
  readonly workspace: Workspace;
  /** The build was begun in this workspace by a c3 that died: what ran is not run again, and its time limit goes on. */
  readonly isResumed: boolean;
  readonly progress: BuildProgress;
  readonly masking: Masking;
  /** Aborted: the build is cancelled; `finally` still runs. */
  readonly signal: AbortSignal;
  /** Aborted: `finally` is not waited for either. */
  readonly haltSignal?: AbortSignal | undefined;
  readonly limits: StepLimits;
  /** Without one, every build opens its own connections. */
  readonly lines?: ConnectionPool;
  /** Told of what a step writes, masked, at once and in order. `index` is that of `BuildState.steps`. */
  readonly onOutput?: ((index: number, bytes: Uint8Array) => void) | undefined;
}

export interface StepsOutcome {
  readonly ending: Ending;
  /** Kills what the build left running; tells whether nothing is left, so that the workspace may serve another. */
  sweep(): Promise<boolean>;
  /** The log of the step that failed the build, as long as nothing was swept. */
  openLog(state: BuildState, signal: AbortSignal): FailedLog | undefined;
}

/** All steps of `finally` together: they clean up and tell, and whoever waits for the Pod waits for them. */
const FINALLY_MS = 10 * 60_000;

/**
 * The walk through a pipeline. Stages in order, the steps of one at once; after a failure only steps that ask for it; then, however
 * that ended, `finally`. The first cause is the build's ending.
 */
export async function runSteps(order: StepsOrder): Promise<StepsOutcome> {
  const { pipeline, progress, workspace } = order;
  const tasks = planTasks(order);
  const oversized = findOversizedVariable(tasks.all);
  if (oversized !== undefined) {
    return {
      ending: { kind: 'config-error', message: oversized },
      sweep: () => Promise.resolve(true),
      openLog: () => undefined,
    };
  }
  const journal = createJournal({ buildId: order.build.id, epoch: workspace.epoch });
  const roots = planRoots(pipeline);
  const takeNotes = (container: string): string => journal.take(container, progress.state);
  const buildId = order.build.id;
  const agents = createBuildAgents({
    ...order,
    buildId,
    roots,
    isReused: pipeline.pod.reuse,
    takeNotes,
    reconnectMs: order.limits.reconnectMs,
  });
  for (const [container, count] of countAtOnce(tasks)) agents.warmUp(container, count);
  progress.plan(tasks.all, workspace.isWarm);

  const logs = new Map<number, WrittenLog>();
  const reader = createPartReader({ workspace, buildId, roots });
  const toProof = createStepProofs({ key: order.proofKey, buildId, workspaceId: workspace.id });
  const course = createCourse({ ...order, agents, takeNotes, toProof, workdir: planWorkdir(pipeline), logs, reader });
  const spentMs = await findSpent(order, agents, tasks);
  await course.walk(tasks.steps, {
    deadline: performance.now() + pipeline.timeoutMs - spentMs,
    limit: 'the time limit of the build',
    signal: order.signal,
  });
  await course.walk(tasks.finally, {
    deadline: performance.now() + FINALLY_MS,
    limit: 'the ten minutes that "finally" has',
    signal: order.haltSignal ?? new AbortController().signal,
  });
  return {
    ending: course.toEnding(),
    sweep: agents.sweep,
    openLog: (state, signal) => openFailedLog({ ...order, state, signal, logs, reader }),
  };
}

/** How a build goes so far. */
interface Course {
  /** Runs the stages of a part, up to one that stops it. */
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

  /** What of a stage runs as the build goes so far. */
  function choose(stage: readonly Task[]): Task[] {
    const status = cause === undefined ? 'success' : 'failure';
    return stage.filter(({ skipped, runsAfter }) => skipped === undefined && runsAfter.includes(status));
  }

  async function runStage(tasks: readonly Task[], part: Part): Promise<'go on' | 'stop'> {
    const verdicts = await Promise.all(
      tasks.map(async (task) => ({ task, verdict: await runTask(task, part, context) })),
    );
    // In their order in c3.yaml, not of their ends: a build that is taken up again comes to the same.
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
        // A step that should run and does not is a cause: without one the build counts as passed.
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

/** How long the build has run, in milliseconds: not yet, unless it is taken up again. By the clocks of both c3s. */
async function findSpent(order: StepsOrder, agents: BuildAgents, { all }: TaskPlan): Promise<number> {
  const now = Date.now();
  const [first] = all;
  if (!order.isResumed || !first) return 0;
  const answer = await agents.use(first.container, async (agent) => await agent.ready());
  return answer.kind === 'answered' ? Math.max(0, now - answer.value.begunAtMs) : 0;
}

/** How many tasks run in each container at the same moment, at most. */
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
  /** The kubeconfig: every c3 that leads the build has it, and nothing in the Pod has it. Its owner may run anything there. */
  readonly key: string;
  readonly buildId: string;
  /** The Pod's UID: a proof of one Pod proves nothing in another. */
  readonly workspaceId: string;
}

/**
 * Creates the function that makes the proof of a step, by the step's id. The step's supervisor gets it over standard input, and writes
 * it into the exit file when the step has passed. So c3 knows who wrote the file: a program that reads the proof there comes too late.
 */
export function createStepProofs({ key, buildId, workspaceId }: StepProofOptions): (stepId: string) => string {
  return (stepId) =>
    createHmac('sha256', key)
      .update(['c3-step-v1', workspaceId, buildId, stepId].join('\n'))
      .digest('hex')
      .slice(0, 32);
}
