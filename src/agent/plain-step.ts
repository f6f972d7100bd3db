import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecAnswer, Workspace } from '../engine/cluster.ts';
import { awaitLoss } from './step-agent.ts';
import { delay, lost, whenAborted, type StepResult } from './step.ts';

export interface PlainStep {
  readonly container: string;
  /** Visible to auditors of the cluster, as every argv is: it must contain no secret. */
  readonly argv: readonly string[];
  readonly timeoutMs: number;
}

export interface PlainStepOptions {
  /** Aborted: the step is cancelled. */
  readonly signal: AbortSignal;
  /** Both streams. The promise slows the step. */
  onOutput(bytes: Uint8Array): Promise<void> | void;
}

/** How often an exec that never began is tried, and the pause between two tries. */
const MAX_OPENINGS = 5;
const REOPEN_MS = 500;

/**
 * How long the cluster gets to report that the container died with its step, before a Success or a kill is believed.
 */
const SETTLE_MS = 2000;

/** Exit codes above this one are deaths by a signal. */
const SIGNALLED = 128;

/**
 * Runs a list command in a container without a shell, where no agent can run. The program gets the variables and the
 * working directory of its image, and standard input that stays open and empty. This is weaker than `runStep` in two
 * ways. The exec's status decides whether the step passed, if the connection was undisturbed and the container lives
 * on. And a step that is cancelled, timed out or lost may still run, so the workspace is not clean after it.
 */
export async function runPlainStep(
  workspace: Workspace,
  step: PlainStep,
  options: PlainStepOptions,
): Promise<StepResult> {
  const over = new AbortController();
  try {
    return await Promise.race([
      run(workspace, step, { ...options, over: over.signal }),
      workspace.lost.then(lost),
      delay(step.timeoutMs, over.signal).then((): StepResult => ({ kind: 'timed-out' })),
      whenAborted(options.signal, over.signal).then((): StepResult => ({ kind: 'cancelled' })),
    ]);
  } finally {
    over.abort();
  }
}

async function run(
  workspace: Workspace,
  { container, argv }: PlainStep,
  { onOutput, over }: PlainStepOptions & { over: AbortSignal },
): Promise<StepResult> {
  let answer: ExecAnswer;
  for (let opening = 1; ; opening += 1) {
    answer = await workspace.exec(container, argv, { signal: over, onStdout: onOutput, onStderr: onOutput });
    // Nothing ran, so nothing can run twice.
    if (answer.kind === 'open' || !answer.isTransient || opening === MAX_OPENINGS) break;
    await sleep(REOPEN_MS, undefined, { ref: false });
  }
  if (answer.kind === 'refused') return lost((await awaitLoss(workspace)) ?? answer.message);
  const end = await answer.session.done;
  const exitCode = end.kind === 'status' ? end.exitCode : undefined;
  if (exitCode === undefined) return lost((await awaitLoss(workspace)) ?? `how it ended is unknown: ${end.message}`);
  if (exitCode === 0 || exitCode > SIGNALLED) await sleep(SETTLE_MS, undefined, { ref: false });
  return { kind: 'exited', exitCode };
}
