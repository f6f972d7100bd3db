import { createBuild } from '../fakes/sample-build.ts';
import { toBuildEnvironment } from '../../src/engine/tasks.ts';
import { createBuildProgress } from '../../src/engine/build-progress.ts';
import type { Workspace } from '../../src/engine/cluster.ts';
import type { ConnectionPool } from '../../src/agent/step-agent.ts';
import { runSteps, type StepsOutcome } from '../../src/engine/run-steps.ts';
import type { StepLimits } from '../../src/agent/step.ts';
import { planPipeline } from '../../src/pipeline/index.ts';
import type { Pipeline, Stage } from '../../src/pipeline/pipeline.ts';
import { createMasking } from '../../src/sealing/index.ts';
import { STEP_LIMITS, toBuildId } from './fault-cluster.ts';

/** The steps of a build without a forge and a checkout. */
export interface BuildRun {
  readonly buildId: string;
  readonly outcome: Promise<StepsOutcome>;
  cancel(): void;
}

export interface BuildOptions {
  readonly timeoutMs?: number;
  /** As in production, where all builds of a process share one; default: none. */
  readonly connections?: ConnectionPool;
  /** Changes of the short limits of tests. */
  readonly limits?: Partial<StepLimits>;
}

/** Every step in the container `main`, as the engine runs a build's steps, which are named 1, 2, …. */
export function startBuild(
  workspace: Workspace,
  scripts: readonly [string, ...string[]],
  { timeoutMs = 60_000, connections, limits = {} }: BuildOptions = {},
): BuildRun {
  const buildId = toBuildId();
  const controller = new AbortController();
  const build = createBuild({ id: buildId, sha: '0'.repeat(40) });
  const [first, ...rest] = scripts;
  const pipeline: Pipeline = {
    k8s: { value: '' },
    job: { manifest: {}, name: 'faults', containers: ['main'] },
    steps: [toStage(first, 0), ...rest.map((script, index) => toStage(script, index + 1))],
    finally: [],
    env: {},
    secrets: {},
    timeoutMs,
    concurrency: { cancelPrevious: false },
    checkout: false,
    pod: { reuse: true, share: true, idleMs: 600_000, maxAgeMs: 3_600_000, startTimeoutMs: 600_000 },
  };
  const plan = planPipeline(pipeline, { event: 'push', ref: { kind: 'branch', name: 'main' } });
  if (plan.kind === 'skipped') throw new Error(plan.reason);
  const outcome = runSteps({
    build,
    proofKey: 'kubeconfig',
    pipeline,
    plan,
    workspace,
    isResumed: false,
    gitAccess: { url: '', urlPrefix: '', header: '', secrets: [] },
    environment: toBuildEnvironment(build),
    secrets: {},
    progress: createBuildProgress(build, { urls: { repository: '', commit: '' }, now: Date.now }),
    masking: createMasking([]),
    signal: controller.signal,
    limits: { ...STEP_LIMITS, ...limits },
    ...(connections ? { connections } : {}),
  });
  return { buildId, outcome, cancel: () => controller.abort() };
}

function toStage(script: string, index: number): Stage {
  const name = String(index + 1);
  const run = { kind: 'script', text: script } as const;
  return { kind: 'step', step: { name, container: 'main', run, env: {}, retry: 0, allowFailure: false, line: 1 } };
}
