import type { Build, Ending } from '../build/index.ts';
import { MASK_REACH_BYTES, type Masking } from '../sealing/index.ts';
import type { BuildProgress } from './build-progress.ts';
import { toCancelEnding } from './cancel.ts';
import type { Workspace } from './cluster.ts';
import {
  type StepAgent,
  type BuildAgents,
  runPlainStep,
  formatArgv,
  runStep,
  type StepLimits,
  type StepOptions,
  type StepResult,
} from '../agent/index.ts';
import type { Workdir } from './checkout.ts';
import type { WrittenLog } from './failed-log.ts';
import { createLogTail } from './log-tail.ts';
import { maskShown } from '../show/shown-text.ts';
import { toStepId, type Task } from './tasks.ts';
import { toLimitEnding, toPhase, toVerdict, type Verdict } from './verdict.ts';

/** A part of a build: its steps, or its `finally`. */
export interface Part {
  /** Milliseconds, monotonic. */
  readonly deadline: number;
  /** What is reached then: "the time limit of the build". */
  readonly limit: string;
  /** Aborted: what runs of it is cancelled. */
  readonly signal: AbortSignal;
}

/** What the tasks of a build have in common. */
export interface TaskContext {
  readonly build: Pick<Build, 'id'>;
  readonly workspace: Workspace;
  readonly workdir: Workdir;
  /** What of it ran already is to be found in the workspace. */
  readonly isResumed: boolean;
  readonly agents: BuildAgents;
  readonly progress: BuildProgress;
  readonly masking: Masking;
  readonly limits: StepLimits;
  /** What is not noted yet in a container of the build's state, as commands for its agent. */
  takeNotes(container: string): string;
  /** With what a step's supervisor proves that it passed, by the step's id. */
  toProof(stepId: string): string;
  /** What the tasks have left in the workspace, by their index. */
  readonly logs: Map<number, WrittenLog>;
  /** Told of what a task writes, masked, at once and in order. */
  readonly onOutput?: ((index: number, bytes: Uint8Array) => void) | undefined;
}

/** Runs a task to its end, again as often as `retry` allows while it fails. */
export async function runTask(task: Task, part: Part, context: TaskContext): Promise<Verdict> {
  const agent = await context.agents.take(task.container);
  try {
    let failure: Verdict | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const hindrance = findHindrance(task, part, context);
      // What failed and has no time to be tried again has failed.
      if (hindrance) return (hindrance.kind === 'timed-out' && failure) || { kind: 'stopped', ending: hindrance };
      const verdict = await runAttempt({ task, attempt, agent }, part, context);
      if (verdict.kind !== 'failed' || attempt > task.retry) return verdict;
      failure = verdict;
    }
  } finally {
    context.agents.giveBack(task.container, agent);
  }
}

/** Why an attempt is not begun. Of a build that is taken up again, only the workspace knows whether it was. */
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
}

async function runAttempt(work: Attempt, part: Part, context: TaskContext): Promise<Verdict> {
  const { task, attempt } = work;
  const { progress } = context;
  const tail = createLogTail();
  let masker = context.masking.createMasker();
  function onMasked(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    tail.push(bytes);
    context.onOutput?.(task.index, bytes);
  }
  let bytesWritten = 0;
  const cancelling: StepAgent[] = [];
  const isLate = performance.now() >= part.deadline;
  // Of a build that is taken up again too late it is only asked how it ended: what was never begun takes this for its end.
  if (isLate) await forestall(work, context);
  progress.startStep(task.index, attempt);
  const result = await runAnywhere(work, part, context, {
    signal: isLate ? AbortSignal.abort() : part.signal,
    lost: context.workspace.lost,
    limits: context.limits,
    onOutput: (bytes) => {
      bytesWritten += bytes.length;
      onMasked(masker.push(bytes));
    },
    onCut: (bytes) => {
      bytesWritten += bytes;
      // What it holds may be the beginning of a secret that goes on in what is left out.
      masker = context.masking.createMasker(MASK_REACH_BYTES);
      tail.cut(bytes);
      // Who reads along must not take what comes now for what came next.
      context.onOutput?.(task.index, Buffer.from(`\n… ${bytes} bytes left out …\n`));
    },
    openAgent: () => {
      const agent = context.agents.openAnother(task.container);
      cancelling.push(agent);
      return agent;
    },
  });
  for (const agent of cancelling) agent.close();
  context.logs.set(task.index, {
    container: task.container,
    stepId: toStepId(task.index, attempt),
    bytes: bytesWritten,
  });
  onMasked(masker.flush());
  const shown = maskShown(tail.text(), context.masking);
  const isForestalled = isLate && result.kind === 'cancelled';
  progress.endStep(task.index, isForestalled ? { kind: 'skipped', reason: undefined } : toPhase(result), shown);
  if (result.kind === 'lost') context.agents.condemn();
  const isPastLimit = performance.now() >= part.deadline;
  return toVerdict(task, result, { tail: shown, isPastLimit, limit: part.limit, signal: part.signal });
}

/** Sees to it that a step is not begun, if it was not yet. */
async function forestall({ task, attempt, agent }: Attempt, { build, limits }: TaskContext): Promise<void> {
  const command = `cancel ${build.id} ${toStepId(task.index, attempt)}\n`;
  // One that speaks of its life, and of nothing else, is not waited for longer than any that is told to end a step.
  const timer = setTimeout(agent.reset, limits.answerMs);
  await agent.perform(command, (frame) => (frame.kind === 'cancel-noted' ? true : undefined));
  clearTimeout(timer);
}

/** The shortest limit that a supervisor keeps. */
const MIN_TIMEOUT_MS = 1000;

/** Under a supervisor; where a container has no shell to run that, a command that needs none by a plain exec. */
async function runAnywhere(work: Attempt, part: Part, context: TaskContext, options: StepOptions): Promise<StepResult> {
  const { task, agent } = work;
  const leftMs = Math.max(MIN_TIMEOUT_MS, part.deadline - performance.now());
  const timeoutMs = Math.min(leftMs, task.timeoutMs ?? leftMs);
  const stepId = toStepId(task.index, work.attempt);
  const result = await runStep(
    agent,
    {
      buildId: context.build.id,
      stepId,
      proof: context.toProof(stepId),
      workdir: context.workdir.path,
      mayStartElsewhere: context.workdir.mayStartElsewhere,
      env: task.env,
      script: task.run.kind === 'argv' ? formatArgv(task.run.argv) : task.run.text,
      timeoutMs,
      notes: context.takeNotes(task.container),
    },
    options,
  );
  if (result.kind !== 'no-shell' || task.run.kind !== 'argv') return result;
  const { name, container, run } = task;
  context.progress.warn([
    `Step "${name}" runs in container "${container}", which has no shell: without variables and working directory, and what is known of its end is what the cluster says`,
  ]);
  // Nothing can look for what it leaves behind.
  context.agents.condemn();
  if (context.isResumed)
    return { kind: 'lost', message: 'in a container without a shell no trace tells whether it ran' };
  return await runPlainStep(context.workspace, { container, argv: run.argv, timeoutMs }, options);
}
