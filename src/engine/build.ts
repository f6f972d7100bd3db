import { findOutcome, toComparedCommit } from '../build/index.ts';
import type { BuildState, Ending, FailedLog, Reporter } from '../build/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { createMasking } from '../sealing/index.ts';
import { createBuildProgress, type BuildProgress } from './build-progress.ts';
import type { BuildDependencies, BuildRequest, TelegramOptions } from './build-request.ts';
import { prepare, toWorkspaceQuery, type PreparedBuild } from './prepare.ts';
import { runSteps } from './run-steps.ts';
import { toBuildEnvironment } from './tasks.ts';
import { toCancelEnding } from './verdict.ts';

/**
 * Runs a build: prove → read c3.yaml → open its secrets → Pod → checkout and steps → report. Nothing of c3.yaml is
 * opened before the forge has confirmed the push. Every way ends in one Ending, which is always reported. Never
 * rejects.
 */
export async function runBuild(request: BuildRequest, dependencies: BuildDependencies): Promise<Ending> {
  const progress = createBuildProgress(request.build, {
    urls: request.repository.urls(request.build.sha),
    now: dependencies.now,
  });
  const { onState } = dependencies;
  if (onState) progress.attach({ report: onState });
  progress.hide(createMasking(request.repository.gitAccess().secrets));
  const compared = compareWithPrevious(request, progress);
  const attached: { reporter?: Reporter } = {};
  function attach(telegram: TelegramOptions | undefined): void {
    attached.reporter ??= dependencies.openReporter(request, telegram);
    progress.attach(attached.reporter);
  }

  let outcome: Outcome | undefined = await carryOut(request, dependencies, { progress, attach });
  if (outcome.isReplayed === true) return outcome.ending;
  let { ending } = outcome;
  if (ending.kind !== 'refused') await compared;
  ending = progress.end(ending);
  try {
    if (!attached.reporter) attach(undefined);
  } catch (error) {
    dependencies.onFault(error);
  }
  const { reporter } = attached;
  const reported = reporter?.finish().catch(dependencies.onFault);
  const logSent = sendLog(reporter, { request, outcome, state: progress.state });
  await logSent.then(() => outcome?.cleanUp?.()).catch(dependencies.onFault);
  dependencies.onOver?.(ending);
  // Telegram may accept the last message much later. A build that waits for this must keep little in memory.
  outcome = undefined;
  progress.rest();
  await reported;
  return ending;
}

/**
 * Runs all of the build except its last reports. A separate function lets the garbage collector free its memory
 * before they are sent.
 */
async function carryOut(
  request: BuildRequest,
  dependencies: BuildDependencies,
  { progress, attach }: { progress: BuildProgress; attach: (telegram: TelegramOptions | undefined) => void },
): Promise<Outcome> {
  try {
    const prepared = await prepare(request, dependencies, progress);
    if (prepared.kind === 'ended') return prepared;
    const { secrets, pipeline } = prepared;
    const { telegram } = pipeline;
    attach(telegram && { destination: secrets.telegram, notify: telegram.notify, log: telegram.log });
    progress.hide(secrets.masking);
    return await runInCluster(request, dependencies, progress, prepared);
  } catch (error) {
    if (request.signal.aborted) return { ending: toCancelEnding(request.signal, BEFORE_STEPS) };
    if (!(error instanceof C3Error)) dependencies.onFault(error);
    return { ending: toFaultEnding(error) };
  }
}

/** How long the workspace is kept for readers of the log of the step that failed. */
const LOG_MS = 60_000;

/**
 * Sends the log of the step that failed to the reporters that request it, before the Pod is released and the log may
 * be deleted.
 */
async function sendLog(
  reporter: Reporter | undefined,
  { request, outcome, state }: { request: BuildRequest; outcome: Outcome | undefined; state: BuildState },
): Promise<void> {
  if (reporter?.sendLog === undefined) return;
  const limits = [AbortSignal.timeout(LOG_MS), ...(request.haltSignal === undefined ? [] : [request.haltSignal])];
  const log = outcome?.openLog?.(state, AbortSignal.any(limits));
  if (log) await reporter.sendLog(log);
}

const BEFORE_STEPS = 'before its first step';

interface Outcome {
  readonly ending: Ending;
  /** It was built and reported before, so it is not reported again. */
  readonly isReplayed?: boolean;
  readonly cleanUp?: () => Promise<void>;
  /** Works until `cleanUp`. */
  readonly openLog?: (state: BuildState, signal: AbortSignal) => FailedLog | undefined;
}

async function runInCluster(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
  prepared: PreparedBuild,
): Promise<Outcome> {
  const { build, pipeline, secrets, isResumed } = prepared;
  const { signal } = request;
  const answer = await dependencies.openCluster(secrets.kubeconfig).openWorkspace(
    { ...toWorkspaceQuery(pipeline, build), isResumed, idleMs: pipeline.pod.idleMs, neededMs: pipeline.timeoutMs },
    {
      signal,
      startTimeoutMs: dependencies.limits.startTimeoutMs,
      onWaiting: (reason) => progress.prepare(reason),
    },
  );
  if (answer.kind === 'failed') return { ending: { kind: 'infrastructure-error', message: answer.message } };
  if (answer.kind === 'aborted') return { ending: toCancelEnding(signal, BEFORE_STEPS) };
  const { workspace } = answer;
  progress.warn(workspace.warnings);
  try {
    const { ending, sweep, openLog } = await runSteps({
      ...request,
      ...dependencies,
      ...prepared,
      proofKey: secrets.kubeconfig,
      workspace,
      gitAccess: request.repository.gitAccess(),
      environment: toBuildEnvironment(build),
      secrets: secrets.environment,
      masking: secrets.masking,
      progress,
    });
    return { ending, openLog, cleanUp: async () => workspace.release({ isClean: await sweep() }) };
  } catch (error) {
    await workspace.release({ isClean: false });
    throw error;
  }
}

/** Converts anything that was thrown to the ending of a build. */
export function toFaultEnding(error: unknown): Extract<Ending, { readonly message: string }> {
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

/** A forge that takes longer does not delay the last report of a build. */
const MAX_COMPARE_MS = 5_000;

/**
 * Reads from the forge how the previous build ended, and records it in the progress. Never rejects. Only the end of
 * the build waits for it.
 */
async function compareWithPrevious({ build, repository }: BuildRequest, progress: BuildProgress): Promise<void> {
  const sha = toComparedCommit(build);
  if (sha === undefined) return;
  const tooLate = AbortSignal.timeout(MAX_COMPARE_MS);
  const late = new Promise<undefined>((resolve) => {
    tooLate.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const asked = findOutcome(repository.listStatuses(sha, tooLate)).catch(() => undefined);
  const outcome = await Promise.race([asked, late]);
  if (outcome !== undefined) progress.note({ previous: outcome });
}
