import { join } from 'node:path';
import type { BuildState, Ending } from '../../src/build/index.ts';
import { createBuild } from './sample-build.ts';
import { createBuildProgress } from '../../src/engine/build-progress.ts';
import type { ExecAnswer, ExecOptions } from '../../src/engine/cluster.ts';
import { createConnectionPool } from '../../src/agent/step-agent.ts';
import { runSteps } from '../../src/engine/run-steps.ts';
import { planPipeline } from '../../src/pipeline/index.ts';
import type { Pipeline, Stage, Step } from '../../src/pipeline/pipeline.ts';
import { createMasking } from '../../src/sealing/index.ts';
import { createLocalWorkspace, toLocalBuildId, type LocalWorkspace } from './local-workspace.ts';
import { getSourceRepository } from './source-repository.ts';

const LIMITS = { outOfReachMs: 5000, reconnectMs: 10, graceSeconds: 1, answerMs: 20_000 };

/** Runs a program in the container `bare`, which has no shell and one program: `exit CODE`. */
async function execBare(argv: readonly string[], { onStdout }: ExecOptions): Promise<ExecAnswer> {
  const [program = '', code = '0'] = argv;
  const isThere = program === 'exit';
  const message = isThere ? `exit code ${code}` : `exec: "${program}": executable file not found in $PATH`;
  if (isThere) await onStdout(Buffer.from('from a bare container\n'));
  const end = { kind: 'status', exitCode: isThere ? Number(code) : 127, message } as const;
  return { kind: 'open', session: { done: Promise.resolve(end), write: () => Promise.resolve(), close: () => {} } };
}

/** `sh`: the script. */
type StepPart = Partial<Step> & { readonly sh: string };

export function step(name: string, { sh, ...part }: StepPart): Step {
  const run = { kind: 'script', text: sh } as const;
  return { name, container: 'main', run, env: {}, retry: 0, allowFailure: false, line: 1, ...part };
}

export const one = (name: string, part: StepPart): Stage => ({ kind: 'step', step: step(name, part) });
export const parallel = (first: Step, ...rest: Step[]): Stage => ({ kind: 'parallel', steps: [first, ...rest] });

/** Runs a pipeline with `runSteps` in a workspace of this machine. */
export interface Walk {
  readonly workspace: LocalWorkspace;
  readonly cancel: AbortController;
  readonly halt: AbortController;
  /** Every state so far. */
  readonly states: BuildState[];
  run(steps: readonly [Stage, ...Stage[]], part?: WalkPart): Promise<{ ending: Ending; isClean: boolean }>;
  /** Returns `name: phase` of each step at the end, without the checkout. */
  phases(): string[];
  close(): void;
}

export interface WalkPart extends Partial<Pipeline> {
  /** Secrets to mask. */
  readonly masked?: readonly string[];
  readonly id?: string;
  readonly isResumed?: boolean;
  readonly onOutput?: (text: string) => void;
  readonly onState?: (state: BuildState) => void;
}

export function createWalk(): Walk {
  const workspace = createLocalWorkspace('dash');
  const connections = createConnectionPool();
  const source = getSourceRepository();
  const states: BuildState[] = [];
  const walk: Walk = {
    workspace,
    states,
    cancel: new AbortController(),
    halt: new AbortController(),
    async run(steps, { id = toLocalBuildId(), isResumed = false, masked = [], onOutput, onState, ...part } = {}) {
      const pipeline: Pipeline = {
        k8s: { value: '' },
        job: { manifest: {}, name: 'walk', containers: ['main', 'bare'] },
        steps,
        finally: [],
        env: {},
        secrets: {},
        timeoutMs: 60_000,
        concurrency: { cancelPrevious: false },
        checkout: {
          container: 'main',
          path: join(workspace.directory, 'project'),
          depth: 1,
          submodules: false,
          clean: true,
          credential: true,
        },
        pod: { reuse: true, share: true, idleMs: 1, maxAgeMs: 1, startTimeoutMs: 600_000 },
        ...part,
      };
      const build = createBuild({ id, sha: source.sha });
      const plan = planPipeline(pipeline, { event: 'push', ref: { kind: 'branch', name: 'main' } });
      if (plan.kind === 'skipped') throw new Error(plan.reason);
      const progress = createBuildProgress(build, { urls: { repository: '', commit: '' }, now: Date.now });
      progress.attach({ report: (state) => (states.push(state), onState?.(state)) });
      const { ending, sweep } = await runSteps({
        proofKey: 'kubeconfig',
        pipeline,
        plan,
        build,
        gitAccess: { url: `file://${source.path}`, urlPrefix: 'https://f.example/', header: 'X: y', secrets: [] },
        environment: { C3_BUILD_ID: id, C3_SHA: build.sha, C3_REF: 'refs/heads/main', DIR: workspace.directory },
        secrets: {},
        workspace: {
          ...workspace,
          exec: (container, argv, options) =>
            container === 'bare' ? execBare(argv, options) : workspace.exec(container, argv, options),
        },
        isResumed,
        progress,
        masking: createMasking(masked),
        signal: walk.cancel.signal,
        haltSignal: walk.halt.signal,
        limits: LIMITS,
        connections,
        onOutput: onOutput && ((_index, bytes) => onOutput(Buffer.from(bytes).toString())),
      });
      progress.end(ending);
      return { ending, isClean: await sweep() };
    },
    phases: () =>
      (states.at(-1)?.steps.slice(1) ?? []).map(({ name, phase }) =>
        phase.kind === 'failed' ? `${name}: failed ${phase.exitCode}` : `${name}: ${phase.kind}`,
      ),
    close(): void {
      connections.close();
      workspace.close();
    },
  };
  return walk;
}
