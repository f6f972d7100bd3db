import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecEnd, Workspace } from '../engine/cluster.ts';
import { awaitLoss } from './step-agent.ts';
import { lost, whenAborted, type StepResult } from './step.ts';

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
      run(workspace, step, { ...options, signal: over.signal }),
      workspace.lost.then(lost),
      sleep(step.timeoutMs, { kind: 'timed-out' } as const, { signal: over.signal, ref: false }),
      whenAborted(options.signal, over.signal).then(() => ({ kind: 'cancelled' }) as const),
    ]);
  } finally {
    over.abort();
  }
}

async function run(
  workspace: Workspace,
  { container, argv }: PlainStep,
  { onOutput, signal }: PlainStepOptions,
): Promise<StepResult> {
  for (let opening = 1; ; opening += 1) {
    const answer = await workspace.exec(container, argv, { signal, onStdout: onOutput, onStderr: onOutput });
    if (answer.kind === 'open') return await toResult(workspace, await answer.session.done);
    // Nothing ran, so nothing can run twice.
    if (!answer.isTransient || opening === MAX_OPENINGS) return lost((await awaitLoss(workspace)) ?? answer.message);
    await sleep(REOPEN_MS, undefined, { ref: false });
  }
}

async function toResult(workspace: Workspace, end: ExecEnd): Promise<StepResult> {
  const exitCode = end.kind === 'status' ? end.exitCode : undefined;
  if (exitCode === undefined) return lost((await awaitLoss(workspace)) ?? `how it ended is unknown: ${end.message}`);
  if (exitCode === 0 || exitCode > SIGNALLED) await sleep(SETTLE_MS, undefined, { ref: false });
  return { kind: 'exited', exitCode };
}
