import {
  CHECKOUT,
  formatArgv,
  runPlainStep,
  runStep,
  type BuildAgents,
  type LogEnd,
  type StepAgent,
  type StepLaunch,
  type StepLimits,
  type StepOptions,
  type StepResult,
} from '../agent/index.ts';
import type { Build, Ending } from '../build/index.ts';
import type { BuildProgress } from './build-progress.ts';
import type { Workdir } from './checkout.ts';
import type { Workspace } from './cluster.ts';
import { openOutput, toShownTail, type LogContext } from './step-log.ts';
import { toStepId, type Task } from './tasks.ts';
import {
  toAttemptLimit,
  toCancelEnding,
  toLimitEnding,
  toPhase,
  toVerdict,
  type Part,
  type Verdict,
} from './verdict.ts';

/** What the tasks of a build have in common. */
export interface TaskContext extends LogContext {
  readonly build: Pick<Build, 'id'>;
  readonly workspace: Workspace;
  readonly workdir: Workdir;
  /** The workspace knows what of the build ran already. */
  readonly isResumed: boolean;
  readonly agents: BuildAgents;
  readonly progress: BuildProgress;
  readonly limits: StepLimits;
  /** Returns the commands that record the newest changes of the build's state in a container. */
  takeNotes(container: string): string;
  /** Creates the proof that a step's supervisor writes when the step has passed, from the step's id. */
  toProof(stepId: string): string;
  /** Receives the masked output of a task while it runs. Without it, c3 does not read the log of a running task. */
  readonly onOutput?: ((index: number, bytes: Uint8Array) => void) | undefined;
}

/** Runs a task to its end, and again as often as `retry` allows while it fails. */
export async function runTask(task: Task, part: Part, context: TaskContext): Promise<Verdict> {
  return await context.agents.use(task.container, async (agent) => {
    let failure: Verdict | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const hindrance = findHindrance(task, part, context);
      // A task that has failed and has no time for another attempt has failed.
      if (hindrance) return (hindrance.kind === 'timed-out' && failure) || { kind: 'stopped', ending: hindrance };
      const verdict = await runAttempt({ task, attempt, agent, stepId: toStepId(task.index, attempt) }, part, context);
      if (verdict.kind !== 'failed' || attempt > task.retry) return verdict;
      failure = verdict;
    }
  });
}

/** Returns why an attempt must not start. For a resumed build, only the workspace knows whether it has started. */
function findHindrance({ name }: Task, part: Part, { isResumed }: TaskContext): Ending | undefined {
  if (isResumed) return undefined;
  if (part.signal.aborted) return toCancelEnding(part.signal, `before step "${name}"`);
  return performance.now() < part.deadline ? undefined : toLimitEnding(name, part.limit);
}

interface Attempt {
  readonly task: Task;
  /** From 1. */
  readonly attempt: number;
  readonly agent: StepAgent;
  readonly stepId: string;
  readonly timeoutMs: number;
}

async function runAttempt(attempted: Omit<Attempt, 'timeoutMs'>, part: Part, context: TaskContext): Promise<Verdict> {
  const { task, attempt, stepId } = attempted;
  const { container, index } = task;
  const { progress, masking, onOutput } = context;
  let end: LogEnd = { size: 0, bytes: new Uint8Array(0) };
  const isLate = performance.now() >= part.deadline;
  progress.startStep(index, attempt);
  const output = onOutput && openOutput({ container, stepId }, context, (bytes) => onOutput(index, bytes));
  const { timeoutMs, isOfPart } = toAttemptLimit(task, part.deadline - performance.now(), context.isResumed);
  const result = await runAnywhere({ ...attempted, timeoutMs }, context, {
    // A build that is resumed too late only reads how the step ended. A step that has not started never starts.
    signal: isLate ? AbortSignal.abort() : part.signal,
    lost: context.workspace.lost,
    limits: context.limits,
    onLog(newer) {
      end = newer;
    },
    onOutput(bytes) {
      const all = Buffer.concat([end.bytes, bytes]);
      end = { size: end.size + bytes.length, bytes: all.subarray(-MAX_KEPT_BYTES) };
      output?.push(bytes);
    },
    openAgent: () => context.agents.openAnother(container),
  });
  await output?.finish(result);
  context.logs.set(index, { container, stepId, bytes: end.size });
  const tail = toShownTail(end, masking);
  const isForestalled = isLate && result.kind === 'cancelled';
  progress.endStep(index, isForestalled ? { kind: 'skipped', reason: undefined } : toPhase(result), tail);
  // Whatever broke the last attempt of the checkout would break that of the next build too.
  const isBroken =
    task.kind === 'checkout' && attempt > task.retry && result.kind === 'exited' && result.exitCode !== 0;
  if (result.kind === 'lost' || isBroken) context.agents.condemn();
  return toVerdict(task, result, { ...part, tail, isOfPart, isPastLimit: performance.now() >= part.deadline });
}

/** The limit of kept output of a step that has no log in the workspace. */
const MAX_KEPT_BYTES = 16 * 1024;

type RunOptions = StepOptions & Parameters<typeof runPlainStep>[2];

/** Runs an attempt under a supervisor. In a container without a shell, runs a list command by a plain exec. */
async function runAnywhere(work: Attempt, context: TaskContext, options: RunOptions): Promise<StepResult> {
  const { task, attempt, agent, stepId, timeoutMs } = work;
  const { name, container, run } = task;
  const result = await runStep(
    agent,
    {
      buildId: context.build.id,
      stepId,
      proof: context.toProof(stepId),
      workdir: context.workdir.path,
      mayStartElsewhere: context.workdir.mayStartElsewhere,
      env: (attempt > 1 && task.retryEnv) || task.env,
      script: toScript(run),
      timeoutMs,
      notes: context.takeNotes(container),
    },
    options,
  );
  if (result.kind !== 'no-shell' || run.kind !== 'argv') return result;
  context.progress.warn([
    `Step "${name}" runs in container "${container}", which has no shell: it gets no variables and no working directory, and only the cluster reports its end`,
  ]);
  // The sweep cannot find processes that this step leaves running.
  context.agents.condemn();
  if (context.isResumed)
    return { kind: 'lost', message: 'a container without a shell keeps no trace of whether it ran' };
  return await runPlainStep(context.workspace, { container, argv: run.argv, timeoutMs }, options);
}

function toScript(run: Task['run']): StepLaunch['script'] {
  if (run.kind === 'checkout') return CHECKOUT;
  return run.kind === 'argv' ? formatArgv(run.argv) : run.text;
}
