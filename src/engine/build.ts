import { C3Error, toMessage } from '../errors.ts';
import type { Push, Repository } from '../forges/forge.ts';
import { formatProblem, parsePipeline, summarizeProblem, type Pipeline } from '../pipeline/index.ts';
import { createMasker, type Purpose } from '../sealing/index.ts';
import { toBuildEnvironment } from './build-environment.ts';
import { createBuildProgress, type BuildProgress } from './build-progress.ts';
import type { BuildSource, Ending, Reporter } from './build-state.ts';
import type { Cluster, Workspace } from './cluster.ts';
import type { LinePool } from './line-pool.ts';
import { runSteps } from './run-steps.ts';
import type { StepLimits } from './step.ts';

/** A push whose webhook was verified: a hint, until the forge has confirmed it. */
export interface BuildRequest {
  readonly id: string;
  readonly source: BuildSource;
  readonly push: Push;
  readonly repository: Repository;
  /** Aborted: the build is cancelled. */
  readonly signal: AbortSignal;
}

export interface BuildDependencies {
  /** Opens a sealed value of this repository. @throws {C3Error} SEALED_INVALID */
  open(token: string, purpose: Purpose): Promise<{ plaintext: string; isOldKey: boolean }>;
  /** @throws {C3Error} KUBECONFIG_INVALID */
  openCluster(kubeconfig: string): Cluster;
  /** Reporters of this build; `telegram`: the project's own destination, opened, else the operator's. @throws {C3Error} TELEGRAM_INVALID */
  openReporter(request: BuildRequest, telegram: string | undefined): Reporter;
  /** One for the process. */
  readonly lines: LinePool;
  now(): number;
  /** Told of what no report could carry. */
  onFault(error: unknown): void;
  readonly limits: BuildLimits;
}

export interface BuildLimits extends StepLimits {
  /** How long a new Pod may take to start. */
  readonly startTimeoutMs: number;
}

const PIPELINE_FILE = 'c3.yaml';

/**
 * The story of a build: prove → read c3.yaml → open its secrets → Pod → checkout and steps → report. Nothing of c3.yaml is opened
 * before the forge has confirmed the push. Every way it can go ends in one Ending, and that is always reported; it never rejects.
 */
export async function runBuild(request: BuildRequest, dependencies: BuildDependencies): Promise<Ending> {
  const progress = createBuildProgress(request.id, request.source, dependencies.now);
  const attached: { reporter?: Reporter } = {};
  function attach(telegram: string | undefined): void {
    attached.reporter ??= dependencies.openReporter(request, telegram);
    progress.attach(attached.reporter);
  }

  let cleanUp: (() => Promise<void>) | undefined;
  let ending: Ending;
  try {
    const prepared = await prepare(request, dependencies, progress);
    if (prepared.kind === 'ended') {
      ending = prepared.ending;
    } else {
      attach(prepared.secrets.telegram);
      const outcome = await runInCluster(request, dependencies, progress, prepared);
      ({ ending, cleanUp } = outcome);
    }
  } catch (error) {
    ending = toEnding(error);
    if (!(error instanceof C3Error)) dependencies.onFault(error);
  }
  try {
    if (!attached.reporter) attach(undefined);
  } catch (error) {
    dependencies.onFault(error);
  }
  progress.end(ending);
  await Promise.all([cleanUp?.().catch(dependencies.onFault), attached.reporter?.finish().catch(dependencies.onFault)]);
  return ending;
}

type Prepared =
  | { readonly kind: 'ended'; readonly ending: Ending }
  | {
      readonly kind: 'ready';
      readonly pipeline: Pipeline;
      readonly secrets: OpenedSecrets;
      readonly isProtected: boolean;
    };

interface OpenedSecrets {
  readonly kubeconfig: string;
  readonly telegram: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

async function prepare(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
): Promise<Prepared> {
  const { push, repository, signal } = request;
  // Reading is not opening: the file is fetched while the forge is asked, and not looked at before it has answered.
  const file = repository.readFile(PIPELINE_FILE, push.sha, signal);
  file.catch(() => {}); // nobody's failure, unless the file is asked for below
  const proof = await repository.prove(push, signal);
  if (proof.kind === 'refused') return { kind: 'ended', ending: { kind: 'refused', message: proof.message } };
  await repository.setStatus(push.sha, { state: 'pending', description: 'building' }, signal);

  const answer = await file;
  if (answer.kind === 'missing') return toConfigError(`There is no ${PIPELINE_FILE} at ${push.sha.slice(0, 7)}`);
  if (answer.kind === 'too-large')
    return toConfigError(`${PIPELINE_FILE} is larger than ${answer.maxBytes / 1024} KiB`);
  const { pipeline, problems } = parsePipeline(answer.text);
  const options = { file: PIPELINE_FILE };
  progress.warn(
    problems.filter(({ severity }) => severity === 'warning').map((problem) => summarizeProblem(problem, options)),
  );
  if (!pipeline) {
    const errors = problems.filter(({ severity }) => severity === 'error');
    const [first] = errors;
    const detail = errors.map((problem) => formatProblem(problem, answer.text, options)).join('\n\n');
    return toConfigError(first ? summarizeProblem(first, options) : `${PIPELINE_FILE} cannot be read`, detail);
  }
  const secrets = await openSecrets(pipeline, dependencies, progress);
  return { kind: 'ready', pipeline, secrets, isProtected: proof.isProtected };
}

function toConfigError(message: string, detail?: string): Prepared {
  return { kind: 'ended', ending: { kind: 'config-error', message, ...(detail === undefined ? {} : { detail }) } };
}

async function openSecrets(
  pipeline: Pipeline,
  dependencies: BuildDependencies,
  progress: BuildProgress,
): Promise<OpenedSecrets> {
  async function open(token: string, purpose: Purpose, where: string): Promise<string> {
    try {
      const { plaintext, isOldKey } = await dependencies.open(token, purpose);
      if (isOldKey)
        progress.warn([`${PIPELINE_FILE} warning: ${where} is sealed with an old key of this c3; seal it anew`]);
      return plaintext;
    } catch (error) {
      if (!(error instanceof C3Error)) throw error;
      throw new C3Error(error.code, `${PIPELINE_FILE}: ${where}: ${error.message}`, { cause: error });
    }
  }
  const names = Object.keys(pipeline.secrets);
  const [kubeconfig, telegram, ...values] = await Promise.all([
    open(pipeline.k8s, { kind: 'k8s' }, 'k8s'),
    pipeline.telegram === undefined ? undefined : open(pipeline.telegram, { kind: 'telegram' }, 'telegram'),
    ...names.map((name) => open(pipeline.secrets[name] ?? '', { kind: 'secret', name }, `secrets.${name}`)),
  ]);
  return {
    kubeconfig,
    telegram,
    environment: Object.fromEntries(names.map((name, index) => [name, values[index] ?? ''])),
  };
}

interface Outcome {
  readonly ending: Ending;
  readonly cleanUp?: () => Promise<void>;
}

async function runInCluster(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
  { pipeline, secrets, isProtected }: Extract<Prepared, { kind: 'ready' }>,
): Promise<Outcome> {
  const { limits } = dependencies;
  const cluster = dependencies.openCluster(secrets.kubeconfig);
  const answer = await cluster.openWorkspace(
    {
      manifest: pipeline.job.manifest,
      scope: request.source.scope,
      trustClass: isProtected ? 'protected' : 'other',
      buildId: request.id,
      isResumed: false,
      reuse: pipeline.pod.reuse,
      idleMs: pipeline.pod.idleMs,
      maxAgeMs: pipeline.pod.maxAgeMs,
      neededMs: pipeline.timeoutMs,
    },
    { signal: request.signal, startTimeoutMs: limits.startTimeoutMs, onWaiting: (reason) => progress.prepare(reason) },
  );
  if (answer.kind === 'failed') return { ending: { kind: 'infrastructure-error', message: answer.message } };
  if (answer.kind === 'aborted') {
    return { ending: { kind: 'cancelled', message: 'The build was cancelled before its first step' } };
  }
  return runInWorkspace(request, dependencies, progress, { pipeline, secrets, workspace: answer.workspace });
}

async function runInWorkspace(
  request: BuildRequest,
  { limits, lines }: BuildDependencies,
  progress: BuildProgress,
  { pipeline, secrets, workspace }: { pipeline: Pipeline; secrets: OpenedSecrets; workspace: Workspace },
): Promise<Outcome> {
  const { id, push, repository, source, signal } = request;
  const gitAccess = repository.gitAccess();
  const masked = [...gitAccess.secrets, ...Object.values(secrets.environment)];
  try {
    const { ending, sweep } = await runSteps({
      buildId: id,
      pipeline,
      push,
      workspace,
      gitAccess,
      environment: toBuildEnvironment({ id, scope: source.scope, push }),
      secrets: secrets.environment,
      progress,
      createMasker: () => createMasker(masked),
      signal,
      limits,
      lines,
    });
    return { ending, cleanUp: async () => workspace.release({ isClean: await sweep() }) };
  } catch (error) {
    await workspace.release({ isClean: false });
    throw error;
  }
}

function toEnding(error: unknown): Ending {
  if (!(error instanceof C3Error))
    return { kind: 'infrastructure-error', message: `c3 itself failed: ${toMessage(error)}` };
  const message = error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
  switch (error.code) {
    case 'SEALED_INVALID':
    case 'KUBECONFIG_INVALID':
    case 'TELEGRAM_INVALID':
      return { kind: 'config-error', message };
    case 'FORGE_UNAUTHORIZED':
    case 'FORGE_REFUSED':
      return { kind: 'refused', message };
    default:
      return { kind: 'infrastructure-error', message };
  }
}
