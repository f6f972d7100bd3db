import type { GitAccess, Push } from '../forges/forge.ts';
import type { Pipeline, Step } from '../pipeline/pipeline.ts';
import type { Ending, StepPhase } from './build-state.ts';
import { formatCheckoutScript, toGitEnvironment } from './checkout.ts';
import { formatArgv } from './shell.ts';
import type { StepResult } from './step.ts';

/** One thing to run in a container, and what its result means for the build. */
export interface Task {
  readonly step: Pick<Step, 'name' | 'container'>;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number | undefined;
  /** `leftMs`: what the build's time limit left to it. */
  toEnding(result: StepResult, tail: string, leftMs: number): Ending | undefined;
}

export interface TaskSource {
  readonly pipeline: Pipeline;
  readonly push: Push;
  readonly gitAccess: GitAccess;
  /** Of the build, for every step. */
  readonly environment: Readonly<Record<string, string>>;
  /** The opened `secrets:`, by name. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** The checkout, if there is one, and the steps, in order. Pure. */
export function planTasks(source: TaskSource): Task[] {
  const { pipeline, push } = source;
  const { checkout } = pipeline;
  const gitEnvironment = checkout === false ? {} : toGitEnvironment(source.gitAccess, checkout);
  const steps = pipeline.steps.flatMap((stage) => (stage.kind === 'step' ? [stage.step] : stage.steps));
  const tasks = steps.map((step): Task => {
    // Only the container that checks out gets the token: for submodules, fetches and pushes of its own steps.
    const isGit = checkout !== false && step.container === checkout.container;
    return {
      step,
      script: step.run.kind === 'argv' ? formatArgv(step.run.argv) : step.run.text,
      env: { ...pipeline.env, ...step.env, ...source.secrets, ...source.environment, ...(isGit ? gitEnvironment : {}) },
      timeoutMs: step.timeoutMs,
      toEnding: (result, _tail, leftMs) => {
        const isOwnLimit = step.timeoutMs !== undefined && step.timeoutMs < leftMs;
        return toStepEnding(step.name, result, isOwnLimit ? 'its time limit' : 'the time limit of the build');
      },
    };
  });
  if (checkout === false) return tasks;
  const first: Task = {
    step: { name: 'checkout', container: checkout.container },
    script: formatCheckoutScript(checkout, push),
    env: { ...source.environment, ...gitEnvironment },
    timeoutMs: undefined,
    toEnding(result, tail): Ending | undefined {
      if (result.kind !== 'exited') return toStepEnding('checkout', result, 'the time limit of the build');
      if (result.exitCode === 0) return undefined;
      const words = tail.trim().split('\n').at(-1) ?? '';
      const message = `Checking out ${push.sha.slice(0, 7)} in container "${checkout.container}" failed: ${words || `exit code ${result.exitCode}`}`;
      return { kind: 'infrastructure-error', message };
    },
  };
  return [first, ...tasks];
}

function toStepEnding(name: string, result: StepResult, limit: string): Ending | undefined {
  switch (result.kind) {
    case 'exited':
      if (result.exitCode === 0) return undefined;
      return { kind: 'failed', step: name, message: formatExit(result.exitCode) };
    case 'timed-out':
      return { kind: 'timed-out', message: `Step "${name}" was ended at ${limit}` };
    case 'cancelled':
      return { kind: 'cancelled', message: `The build was cancelled during step "${name}"` };
    case 'log-limit':
      return {
        kind: 'failed',
        step: name,
        message: 'ended because it wrote more than 2 GiB of output',
      };
    case 'lost':
      return {
        kind: 'infrastructure-error',
        message: `Step "${name}" could not be followed to its end: ${result.message}`,
      };
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

/** What people see of a result. */
export function toPhase(result: StepResult): StepPhase {
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
