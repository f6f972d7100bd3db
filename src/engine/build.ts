import { findOutcome, hasPassed, toComparedCommit } from '../build/index.ts';
import type { BuildState, Ending, FailedLog, Reporter } from '../build/index.ts';
import { C3Error, toMessage } from '../errors.ts';
import { findLastingDirectories } from '../pipeline/index.ts';
import { createMasking } from '../sealing/index.ts';
import { planWorkdir } from './checkout.ts';
import type { CloneUpdate } from './delta.ts';
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
  let compared: Promise<Ending | undefined> | undefined;
  const compare = async (): Promise<Ending | undefined> => await (compared ??= compareWithPrevious(request, progress));
  const attached: { reporter?: Reporter } = {};
  function attach(telegram: TelegramOptions | undefined): void {
    attached.reporter ??= dependencies.openReporter(request, telegram);
    progress.attach(attached.reporter);
  }

  let outcome: Outcome | undefined = await carryOut(request, dependencies, { progress, attach, compare });
  if (outcome.isReplayed === true) return outcome.ending;
  let { ending } = outcome;
  const previous = ending.kind === 'refused' ? undefined : await compare();
  if (ending.kind === 'passed' && !isFixed(previous, progress.state)) progress.note({ previous: undefined });
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

interface Course {
  readonly progress: BuildProgress;
  /** Opens the reporter, once. */
  attach(telegram: TelegramOptions | undefined): void;
  /** Begins to compare with the previous build, once. */
  compare(): Promise<unknown>;
}

/**
 * Runs all of the build except its last reports. A separate function lets the garbage collector free its memory
 * before they are sent.
 */
async function carryOut(
  request: BuildRequest,
  dependencies: BuildDependencies,
  { progress, attach, compare }: Course,
): Promise<Outcome> {
  const { build, repository, signal } = request;
  const update = build.pull?.isFork === true ? undefined : dependencies.clones?.begin(build, repository, signal);
  try {
    const prepared = await prepare(request, dependencies, progress);
    if (prepared.kind === 'ended') return prepared;
    const { secrets } = prepared;
    attach(secrets.telegram);
    progress.hide(secrets.masking);
    void compare();
    try {
      return await runInCluster(request, dependencies, progress, { ...prepared, update });
    } finally {
      // The final status must follow it.
      await prepared.announced.catch(() => {});
    }
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

type ReadyBuild = PreparedBuild & { readonly update: CloneUpdate | undefined };

/**
 * Runs the build in its Pod. If it ends before its first step because of what an earlier build left in a warm Pod, or
 * because the Pod was lost, the Pod is deleted and the build runs in another one, once.
 */
async function runInCluster(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
  prepared: ReadyBuild,
): Promise<Outcome> {
  const first = await runInPod(request, dependencies, progress, prepared);
  if (!first.isRepeatable || request.signal.aborted) return first;
  await first.cleanUp?.();
  const reason = 'message' in first.ending ? first.ending.message : '';
  progress.warn([`the build began again in another Pod: ${reason}`]);
  return await runInPod(request, dependencies, progress, { ...prepared, isResumed: false });
}

async function runInPod(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
  prepared: ReadyBuild,
): Promise<Outcome & { readonly isRepeatable: boolean }> {
  const { build, pipeline, secrets, announced, isResumed, update } = prepared;
  const { signal } = request;
  const query = toWorkspaceQuery(pipeline, build, secrets);
  const answer = await dependencies.openCluster(secrets.kubeconfig).openWorkspace(
    {
      ...query,
      directories: findLastingDirectories(pipeline.job.manifest, planWorkdir(pipeline).path),
      isResumed,
      idleMs: pipeline.pod.idleMs,
      neededMs: pipeline.timeoutMs,
    },
    {
      signal,
      startTimeoutMs: pipeline.pod.startTimeoutMs,
      onWaiting: (reason) => progress.prepare(reason),
    },
  );
  if (answer.kind === 'failed') {
    const isRepeatable = answer.isLost === true && !isResumed;
    return { ending: { kind: 'infrastructure-error', message: answer.message }, isRepeatable };
  }
  if (answer.kind === 'aborted') return { ending: toCancelEnding(signal, BEFORE_STEPS), isRepeatable: false };
  const { workspace } = answer;
  progress.warn(workspace.warnings);
  try {
    await announced;
  } catch (error) {
    await workspace.release({ isClean: !isResumed });
    throw error;
  }
  const { checkout } = pipeline;
  // Submodules need the forge in any case.
  const place = checkout && !checkout.submodules && { ...checkout, workspace, owner: query.owner };
  try {
    const { ending, isRepeatable, sweep, openLog } = await runSteps({
      ...request,
      ...dependencies,
      ...prepared,
      proofKey: secrets.kubeconfig,
      workspace,
      gitAccess: request.repository.gitAccess(build.trust === 'fork' ? 'anonymous' : undefined),
      delta: place && !isResumed ? await update?.take(place) : undefined,
      environment: toBuildEnvironment(build),
      secrets: secrets.environment,
      masking: secrets.masking,
      progress,
    });
    if (place && progress.state.steps[0]?.phase.kind === 'passed') update?.note(place);
    const trouble = ending.kind === 'failed' ? workspace.findTrouble() : undefined;
    if (trouble !== undefined) progress.warn([trouble]);
    const cleanUp = async (): Promise<void> => workspace.release({ isClean: (await sweep()) && !isRepeatable });
    return { ending, isRepeatable, openLog, cleanUp };
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
async function compareWithPrevious(
  { build, repository }: BuildRequest,
  progress: BuildProgress,
): Promise<Ending | undefined> {
  const sha = toComparedCommit(build);
  if (sha === undefined) return undefined;
  const tooLate = AbortSignal.timeout(MAX_COMPARE_MS);
  const late = new Promise<undefined>((resolve) => {
    tooLate.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const asked = findOutcome(repository.listStatuses(sha, tooLate), build).catch(() => undefined);
  const previous = await Promise.race([asked, late]);
  if (previous) progress.note({ previous: previous.kind === 'passed' ? 'passed' : 'failed' });
  return previous;
}

/**
 * Returns false if the previous build failed and this one has not run what failed then: the step, or for a build whose
 * step is unknown, every step.
 */
function isFixed(previous: Ending | undefined, { steps }: BuildState): boolean {
  if (previous === undefined || previous.kind === 'passed') return true;
  if (previous.kind === 'failed') return hasPassed(previous, steps);
  return steps.every(({ phase }) => phase.kind === 'passed');
}
