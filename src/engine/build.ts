import { C3Error, toMessage } from '../errors.ts';
import { createMasker } from '../sealing/index.ts';
import { toBuildEnvironment } from './build-environment.ts';
import { createBuildProgress, type BuildProgress } from './build-progress.ts';
import type { BuildDependencies, BuildRequest } from './build-request.ts';
import type { Ending, Reporter } from './build-state.ts';
import { toCancelEnding } from './cancel.ts';
import type { Workspace } from './cluster.ts';
import { prepare, type PreparedBuild } from './prepare.ts';
import { runSteps } from './run-steps.ts';

/**
 * The story of a build: prove → read c3.yaml → open its secrets → Pod → checkout and steps → report. Nothing of c3.yaml is opened
 * before the forge has confirmed the push. Every way it can go ends in one Ending, and that is always reported; it never rejects.
 */
export async function runBuild(request: BuildRequest, dependencies: BuildDependencies): Promise<Ending> {
  const progress = createBuildProgress(request.id, request.source, dependencies.now);
  progress.hide(request.repository.gitAccess().secrets);
  const attached: { reporter?: Reporter } = {};
  function attach(telegram: string | undefined): void {
    attached.reporter ??= dependencies.openReporter(request, telegram);
    progress.attach(attached.reporter);
  }

  let cleanUp: (() => Promise<void>) | undefined;
  let ending: Ending;
  try {
    const prepared = await prepare(request, dependencies, progress);
    if (prepared.kind === 'replayed') return prepared.ending;
    if (prepared.kind === 'ended') {
      ending = prepared.ending;
    } else {
      attach(prepared.secrets.telegram);
      const masked = listMasked(request, dependencies, prepared);
      progress.hide(masked);
      const outcome = await runInCluster(request, dependencies, progress, { ...prepared, masked });
      ({ ending, cleanUp } = outcome);
    }
  } catch (error) {
    ending = request.signal.aborted ? toCancelEnding(request.signal, BEFORE_STEPS) : toEnding(error);
    if (!(error instanceof C3Error) && !request.signal.aborted) dependencies.onFault(error);
  }
  ending = progress.end(ending);
  try {
    if (!attached.reporter) attach(undefined);
  } catch (error) {
    dependencies.onFault(error);
  }
  await Promise.all([cleanUp?.().catch(dependencies.onFault), attached.reporter?.finish().catch(dependencies.onFault)]);
  return ending;
}

const BEFORE_STEPS = 'before its first step';

/** `masked`: what nothing of the build may show. */
type OpenedBuild = PreparedBuild & { readonly masked: readonly string[] };

interface Outcome {
  readonly ending: Ending;
  readonly cleanUp?: () => Promise<void>;
}

async function runInCluster(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
  prepared: OpenedBuild,
): Promise<Outcome> {
  const { limits } = dependencies;
  const { pipeline } = prepared;
  const cluster = dependencies.openCluster(prepared.secrets.kubeconfig);
  const answer = await cluster.openWorkspace(
    {
      manifest: pipeline.job.manifest,
      scope: request.source.scope,
      trustClass: prepared.isProtected ? 'protected' : 'other',
      buildId: request.id,
      isResumed: prepared.isResumed,
      reuse: pipeline.pod.reuse,
      idleMs: pipeline.pod.idleMs,
      maxAgeMs: pipeline.pod.maxAgeMs,
      neededMs: pipeline.timeoutMs,
    },
    { signal: request.signal, startTimeoutMs: limits.startTimeoutMs, onWaiting: (reason) => progress.prepare(reason) },
  );
  if (answer.kind === 'failed') return { ending: { kind: 'infrastructure-error', message: answer.message } };
  if (answer.kind === 'aborted') {
    return { ending: toCancelEnding(request.signal, BEFORE_STEPS) };
  }
  progress.warn(answer.workspace.warnings);
  return runInWorkspace(request, dependencies, progress, { ...prepared, workspace: answer.workspace });
}

async function runInWorkspace(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
  { workspace, masked, ...prepared }: OpenedBuild & { readonly workspace: Workspace },
): Promise<Outcome> {
  const { limits, lines, onOutput } = dependencies;
  const { id, push, repository, source, signal } = request;
  const gitAccess = repository.gitAccess();
  try {
    const { ending, sweep } = await runSteps({
      ...prepared,
      buildId: id,
      push,
      workspace,
      gitAccess,
      environment: toBuildEnvironment({ id, scope: source.scope, push }),
      secrets: prepared.secrets.environment,
      progress,
      createMasker: () => createMasker(masked),
      signal,
      haltSignal: request.haltSignal,
      limits,
      lines,
      onOutput,
    });
    return { ending, cleanUp: async () => workspace.release({ isClean: await sweep() }) };
  } catch (error) {
    await workspace.release({ isClean: false });
    throw error;
  }
}

function listMasked(
  { repository }: BuildRequest,
  { listSecrets }: BuildDependencies,
  { secrets }: PreparedBuild,
): readonly string[] {
  const others = listSecrets?.(secrets) ?? [];
  return [...repository.gitAccess().secrets, ...Object.values(secrets.environment), ...others];
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
