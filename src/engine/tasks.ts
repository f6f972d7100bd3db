import { formatRef, type Build, type Ref } from '../build/index.ts';
import type { GitAccess } from '../forges/forge.ts';
import { findSharedMounts, type Plan, type PlannedStage, type PlannedStep } from '../pipeline/index.ts';
import type { Pipeline, Step } from '../pipeline/pipeline.ts';
import { formatScope } from '../sealing/index.ts';
import { toCheckoutEnvironment, toStepGitEnvironment } from './checkout.ts';
import type { Delta } from './delta.ts';

/** What runs in a container: the checkout or a step. */
export interface Task {
  /** Its index among all tasks of the build, whether they run or not, so that a resumed build counts the same way. */
  readonly index: number;
  readonly kind: 'checkout' | 'step';
  readonly name: string;
  readonly container: string;
  readonly run: Step['run'] | { readonly kind: 'checkout' };
  /** What people see of `run`. Undefined for the checkout, whose script is c3's own. */
  readonly command?: string;
  readonly env: Readonly<Record<string, string>>;
  /** The environment of later attempts. Default: `env`. */
  readonly retryEnv?: Readonly<Record<string, string>>;
  readonly timeoutMs: number | undefined;
  readonly retry: number;
  /** Its failure does not fail the build. */
  readonly isAllowed: boolean;
  /** Equal for tasks that start together. Undefined for a task alone. */
  readonly group: number | undefined;
  /** Why `when` skips it. */
  readonly skipped: string | undefined;
  readonly runsAfter: PlannedStep['runsAfter'];
}

/** Makes the name of a task's files in the workspace. @param attempt from 1 */
export function toStepId(index: number, attempt: number): string {
  return attempt === 1 ? `s${index}` : `s${index}r${attempt - 1}`;
}

/** A stage starts when the one before has ended. */
export interface TaskPlan {
  readonly steps: readonly (readonly Task[])[];
  readonly finally: readonly (readonly Task[])[];
  /** All tasks of both, by index. */
  readonly all: readonly Task[];
}

export interface TaskSource {
  readonly pipeline: Pipeline;
  readonly plan: Extract<Plan, { kind: 'run' }>;
  readonly build: Pick<Build, 'id' | 'sha'>;
  readonly gitAccess: GitAccess;
  /** What the clone in the workspace lacks. With it, the first attempt of the checkout gets no token. */
  readonly delta?: Delta | undefined;
  /** The variables of the build, for every step. */
  readonly environment: Readonly<Record<string, string>>;
  /** The opened `secrets:`, by name. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** Plans the checkout, if there is one, and the steps. Pure. */
export function planTasks(source: TaskSource): TaskPlan {
  const { pipeline, plan, build } = source;
  const { checkout } = pipeline;
  const all: Task[] = [];
  function add(task: Omit<Task, 'index'>): Task {
    const added = { index: all.length, ...task };
    all.push(added);
    return added;
  }
  const steps: Task[][] = [];
  if (checkout !== false) {
    const shared = findSharedMounts(pipeline.job.manifest, checkout.container);
    const order = { sha: build.sha, shared };
    const env = {
      ...source.environment,
      ...toCheckoutEnvironment(source.gitAccess, checkout, { ...order, delta: source.delta }),
    };
    const retryEnv = { ...source.environment, ...toCheckoutEnvironment(source.gitAccess, checkout, order) };
    const task = add({
      kind: 'checkout',
      name: 'checkout',
      container: checkout.container,
      run: { kind: 'checkout' },
      env,
      retryEnv,
      timeoutMs: undefined,
      // If the container must fetch after all.
      retry: 1,
      isAllowed: false,
      group: undefined,
      skipped: undefined,
      runsAfter: ['success'],
    });
    steps.push([task]);
  }
  function toTasks({ steps }: PlannedStage): Task[] {
    const group = steps.length > 1 ? all.length : undefined;
    return steps.map(({ step, skipped, runsAfter }) => {
      const { container } = step;
      const env = { ...pipeline.env, ...step.env, ...source.secrets, ...source.environment };
      return add({
        kind: 'step',
        name: step.name,
        container,
        run: step.run,
        command: toCommand(step.run),
        env: { ...env, ...toStepGitEnvironment(source.gitAccess, checkout, { container, env }) },
        timeoutMs: step.timeoutMs,
        retry: step.retry,
        isAllowed: step.allowFailure,
        group,
        skipped,
        runsAfter,
      });
    });
  }
  steps.push(...plan.steps.map(toTasks));
  return { steps, finally: plan.finally.map(toTasks), all };
}

function toCommand(run: Step['run']): string {
  return run.kind === 'script' ? run.text.trim() : run.argv.map(quoteWord).join(' ');
}

/** Quotes a word as a shell would need it. */
function quoteWord(word: string): string {
  return /^[\w%+,./:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Linux accepts no longer string in an environment, `NAME=value` with its NUL: MAX_ARG_STRLEN, 32 pages. */
const MAX_VARIABLE_BYTES = 128 * 1024;

/**
 * For one step. Linux limits the environment and the arguments of a program to a quarter of the stack's limit: 2 MiB
 * by default.
 */
const MAX_ENVIRONMENT_BYTES = 1024 * 1024;

/** Describes the first variable that is too large for any program. @see execve(2), "Limits on size of arguments" */
export function findOversizedVariable(tasks: readonly Task[]): string | undefined {
  for (const { name, env } of tasks) {
    const sizes = Object.entries(env).map(([variable, value]) => ({
      variable,
      bytes: Buffer.byteLength(variable) + Buffer.byteLength(value) + 2,
    }));
    const [largest] = sizes.toSorted((a, b) => b.bytes - a.bytes);
    if (largest === undefined) continue;
    if (largest.bytes > MAX_VARIABLE_BYTES) {
      return `Variable ${largest.variable} of step "${name}" is ${largest.bytes} bytes long; Linux accepts at most ${MAX_VARIABLE_BYTES} in one variable`;
    }
    const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total > MAX_ENVIRONMENT_BYTES) {
      return `The variables of step "${name}" are ${total} bytes long in total, most of it ${largest.variable}; a step gets at most ${MAX_ENVIRONMENT_BYTES}`;
    }
  }
  return undefined;
}

/**
 * Makes the environment of every step of a build. Event data reaches a step this way only, never as part of a script
 * (A8).
 */
export function toBuildEnvironment({ id, scope, event, ref, sha, commit, pull }: Build): Record<string, string> {
  return {
    CI: 'true',
    C3: 'true',
    /** Also the cookie by which the sweep finds the build's processes. */
    C3_BUILD_ID: id,
    C3_REPO: formatScope(scope),
    C3_EVENT: event,
    C3_REF: formatRef(ref),
    C3_REF_NAME: ref.name,
    ...toRefVariables(ref),
    ...(pull && { C3_PR: String(pull.number), C3_BASE_BRANCH: pull.base, C3_HEAD_BRANCH: pull.head }),
    C3_SHA: sha,
    C3_SUBJECT: commit.subject,
    C3_AUTHOR: commit.author,
  };
}

/** A fork has no branch of this repository, so that a script which deploys `main` does not take the fork's branch for it. */
function toRefVariables({ kind, name }: Ref): Record<string, string> {
  if (kind === 'pull') return {};
  return kind === 'branch' ? { C3_BRANCH: name } : { C3_TAG: name };
}
