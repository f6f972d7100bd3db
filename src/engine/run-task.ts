import {
  copyLog,
  formatArgv,
  runPlainStep,
  runStep,
  type BuildAgents,
  type LogEnd,
  type PartReader,
  type StepAgent,
  type StepLimits,
  type StepOptions,
  type StepResult,
} from '../agent/index.ts';
import type { Build, Ending } from '../build/index.ts';
import { MASK_REACH_BYTES, type Masking } from '../sealing/index.ts';
import type { BuildProgress } from './build-progress.ts';
import { toCancelEnding } from './verdict.ts';
import type { Workdir } from './checkout.ts';
import type { Workspace } from './cluster.ts';
import type { WrittenLog } from './failed-log.ts';
import { toShownTail } from './shown-tail.ts';
import { toStepId, type Task } from './tasks.ts';
import { toLimitEnding, toPhase, toVerdict, type Verdict } from './verdict.ts';

/** A part of a build: its steps, or its `finally`. */
export interface Part {
  /** Milliseconds, monotonic. */
  readonly deadline: number;
  /** The name of the limit that is reached then: "the time limit of the build". */
  readonly limit: string;
  /** Aborting cancels the tasks of this part that run. */
  readonly signal: AbortSignal;
}

/** What the tasks of a build have in common. */
export interface TaskContext {
  readonly build: Pick<Build, 'id'>;
  readonly workspace: Workspace;
  readonly workdir: Workdir;
  /** The workspace knows what of the build ran already. */
  readonly isResumed: boolean;
  readonly agents: BuildAgents;
  readonly reader: PartReader;
  readonly progress: BuildProgress;
  readonly masking: Masking;
  readonly limits: StepLimits;
  /** Returns the commands that record the newest changes of the build's state in a container. */
  takeNotes(container: string): string;
  /** Creates the proof that a step's supervisor writes when the step has passed, from the step's id. */
  toProof(stepId: string): string;
  /** What the tasks have left in the workspace, by their index. */
  readonly logs: Map<number, WrittenLog>;
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
      const verdict = await runAttempt({ task, attempt, agent }, part, context);
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
}

async function runAttempt(work: Attempt, part: Part, context: TaskContext): Promise<Verdict> {
  const { task, attempt } = work;
  const { progress, masking } = context;
  let end: LogEnd = { size: 0, bytes: new Uint8Array(0) };
  const cancelling: StepAgent[] = [];
  const isLate = performance.now() >= part.deadline;
  // A build that is resumed too late only reads how the step ended. A step that never started ends with this.
  if (isLate) await forestall(work, context);
  progress.startStep(task.index, attempt);
  const output = openOutput(work, context);
  const result = await runAnywhere(work, part, context, {
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
    openAgent() {
      const agent = context.agents.openAnother(task.container);
      cancelling.push(agent);
      return agent;
    },
  });
  for (const agent of cancelling) agent.close();
  await output?.finish(result);
  const { container } = task;
  context.logs.set(task.index, { container, stepId: toStepId(task.index, attempt), bytes: end.size });
  const tail = toShownTail(end, masking);
  const isForestalled = isLate && result.kind === 'cancelled';
  progress.endStep(task.index, isForestalled ? { kind: 'skipped', reason: undefined } : toPhase(result), tail);
  if (result.kind === 'lost') context.agents.condemn();
  const isPastLimit = performance.now() >= part.deadline;
  return toVerdict(task, result, { tail, isPastLimit, limit: part.limit, signal: part.signal });
}

/** The limit of kept output of a step that has no log in the workspace. */
const MAX_KEPT_BYTES = 16 * 1024;

/** Prevents the start of a step that has not started yet. */
async function forestall({ task, attempt, agent }: Attempt, { build, limits }: TaskContext): Promise<void> {
  const command = `cancel ${build.id} ${toStepId(task.index, attempt)}\n`;
  // An agent that only sends heartbeats gets as long as a step that must end (A12).
  const timer = setTimeout(agent.reset, limits.answerMs);
  await agent.perform(command, (frame) => (frame.kind === 'cancel-noted' ? true : undefined));
  clearTimeout(timer);
}

/** The output of an attempt, for a reader while the attempt runs. */
interface Output {
  /** Adds output that is not in a log in the workspace. */
  push(bytes: Uint8Array): void;
  /** Resolves when all of it has been passed on. */
  finish(result: StepResult): Promise<void>;
}

/** The time limit for reading the log of a lost step. */
const LOST_LOG_MS = 5_000;

function openOutput({ task, attempt }: Attempt, { reader, masking, onOutput }: TaskContext): Output | undefined {
  if (onOutput === undefined) return undefined;
  let masker = masking.createMasker();
  function pass(bytes: Uint8Array): void {
    if (bytes.length > 0) onOutput?.(task.index, bytes);
  }
  const [ended, enough] = [new AbortController(), new AbortController()];
  const copied = copyLog(reader, {
    container: task.container,
    stepId: toStepId(task.index, attempt),
    offset: 0,
    signal: enough.signal,
    wake: ended.signal,
    isAwaited: () => !ended.signal.aborted,
    isOver: () => ended.signal.aborted,
    onBytes: (bytes) => pass(masker.push(bytes)),
    onSkip(bytes) {
      // What the masker holds may be the start of a secret that continues in the gap.
      masker = masking.createMasker(MASK_REACH_BYTES);
      pass(Buffer.from(`\n… ${bytes} bytes left out …\n`));
    },
  });
  return {
    push: (bytes) => pass(masker.push(bytes)),
    async finish({ kind }): Promise<void> {
      ended.abort();
      const timer = kind === 'lost' ? setTimeout(() => enough.abort(), LOST_LOG_MS) : undefined;
      await copied;
      clearTimeout(timer);
      pass(masker.flush());
    },
  };
}

/** The shortest time limit that a supervisor keeps. */
const MIN_TIMEOUT_MS = 1000;

type RunOptions = StepOptions & Parameters<typeof runPlainStep>[2];

/** Runs an attempt under a supervisor. In a container without a shell, runs a list command by a plain exec. */
async function runAnywhere(work: Attempt, part: Part, context: TaskContext, options: RunOptions): Promise<StepResult> {
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
    `Step "${name}" runs in container "${container}", which has no shell: it gets no variables and no working directory, and only the cluster reports its end`,
  ]);
  // The sweep cannot find processes that this step leaves running.
  context.agents.condemn();
  if (context.isResumed)
    return { kind: 'lost', message: 'a container without a shell keeps no trace of whether it ran' };
  return await runPlainStep(context.workspace, { container, argv: run.argv, timeoutMs }, options);
}
