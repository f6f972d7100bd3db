import {
  type BuildState,
  type ConfigProblem,
  confirmState,
  type Ending,
  findBuildStatus,
  type ForgeReport,
} from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { Repository } from '../forges/forge.ts';
import type { PlannedStage } from '../pipeline/index.ts';
import type { Pipeline, Stage } from '../pipeline/pipeline.ts';
import { createBuildView, type BuildLook, type BuildOutcome, type LogSource, type RunningBuild } from './build-view.ts';
import {
  type BuildDependencies,
  checkJob,
  createBuildProgress,
  createMacs,
  type Macs,
  openSecrets,
  PIPELINE_FILE,
  planRoots,
  planTasks,
  type ProvenBuild,
  readNotedState,
  readPipeline,
  toFaultEnding,
  toFirstState,
  toWorkspaceQuery,
} from '../engine/index.ts';
import { createPartReader } from '../agent/index.ts';
import type { Cluster } from '../engine/cluster.ts';

/** The build that a link names, and the sources of its state. */
export interface ViewRequest {
  readonly build: ProvenBuild;
  /** Uses the link's token, as long as the view is open. */
  readonly repository: Repository;
  /** The build, if this process runs it. */
  readonly running: RunningBuild | undefined;
  /** Aborted when the view is no longer needed. */
  readonly signal: AbortSignal;
}

/** The same as those of a build: one object may serve both. */
export interface ViewDependencies extends Pick<
  BuildDependencies,
  'open' | 'checkJob' | 'listSecrets' | 'parse' | 'now' | 'onFault'
> {
  /** @throws {C3Error} KUBECONFIG_INVALID */
  openCluster(kubeconfig: string): Pick<Cluster, 'findWorkspace'>;
}

/**
 * Opens the view of a build. While this process runs the build, the view has its current state. Otherwise it has the
 * state that c3 recorded in the Pod, as far as the forge confirms it, or the forge's status. A valid link proves that
 * the forge has confirmed the push, so c3.yaml is opened as in the build. Never rejects.
 */
export async function openView(order: ViewRequest, dependencies: ViewDependencies): Promise<BuildLook> {
  try {
    return order.running ? openLed(order, order.running, dependencies) : await openRecorded(order, dependencies);
  } catch (error) {
    return toFailed(error, order, dependencies);
  }
}

function toFailed(error: unknown, { signal }: ViewRequest, { onFault }: ViewDependencies): Failed {
  if (error instanceof C3Error) return { kind: 'failed', message: toFaultEnding(error).message };
  if (!signal.aborted) onFault(error);
  return { kind: 'failed', message: signal.aborted ? 'aborted' : 'c3 itself failed' };
}

/**
 * Opens the view of a build that this process runs. Finds its Pod only for the first log, because before that there
 * may be none.
 */
function openLed(order: ViewRequest, running: RunningBuild, dependencies: ViewDependencies): BuildLook {
  let pod: Promise<OpenedPod | Failed> | undefined;
  async function open(): Promise<OpenedPod | Failed> {
    try {
      const opened = await openPod(order, dependencies);
      return opened.kind === 'nothing' ? { kind: 'failed', message: opened.message } : opened;
    } catch (error) {
      return toFailed(error, order, dependencies);
    }
  }
  const view = createBuildView({
    get state() {
      return running.state;
    },
    isLed: true,
    changes: (signal) => running.changes(signal),
    async openLogs() {
      pod ??= open();
      const opened = await pod;
      if (opened.kind === 'failed') pod = undefined;
      return opened;
    },
    now: dependencies.now,
    close: () => void pod?.then((opened) => (opened.kind === 'open' ? opened.reader.close() : undefined)),
  });
  return { kind: 'seen', view };
}

async function openRecorded(order: ViewRequest, dependencies: ViewDependencies): Promise<BuildLook> {
  const { build, repository, signal } = order;
  const asked = findBuildStatus(repository.listStatuses(build.sha, signal), build.id);
  const told = asked.then(
    (status): ForgeReport => ({ kind: 'answered', status }),
    (): ForgeReport => ({ kind: 'unreachable' }),
  );
  const opened = await openPod(order, dependencies);
  if (opened.kind === 'failed') return opened;
  if (opened.kind === 'nothing') return await toOutcome(order, await asked, opened);
  const { reader, name, macs } = opened;
  const found = await readNotedState(reader, toKnownState(order, opened), { macs });
  if (found.kind !== 'found') {
    reader.close();
    if (found.kind === 'failed') return found;
    const message = `its Pod ${name} has nothing of it any more: later builds ran there`;
    return await toOutcome(order, await asked, { kind: 'nothing', message });
  }
  const state = confirmState(found.state, await told);
  const view = createBuildView({
    state,
    isLed: false,
    async *changes() {
      yield await Promise.resolve(state);
    },
    openLogs: () => Promise.resolve(opened),
    now: dependencies.now,
    close: () => reader.close(),
  });
  return { kind: 'seen', view };
}

type OpenedPod = LogSource & { readonly name: string; readonly pipeline: Pipeline; readonly macs: Macs };

/** Only the forge has a state of the build. */
interface Nothing {
  readonly kind: 'nothing';
  readonly message: string;
  readonly problems?: readonly ConfigProblem[];
}

type Failed = Extract<BuildLook, { kind: 'failed' }>;

/** Finds the Pod of a build as the build did: by its c3.yaml. @throws {C3Error} the forge's refusal */
async function openPod(order: ViewRequest, dependencies: ViewDependencies): Promise<OpenedPod | Nothing | Failed> {
  const { build, repository, signal } = order;
  const { configSha: sha = build.sha } = build;
  const answer = await repository.readFile(PIPELINE_FILE, sha, signal);
  const read = readPipeline({ answer, sha, repository }, dependencies, SILENT);
  if (read.kind === 'ended') return toNothing(read.ending);
  const { pipeline } = read;
  const refused = checkJob(pipeline, build, dependencies);
  if (refused) return toNothing(refused.ending);
  try {
    const secrets = await openSecrets({ pipeline, repository, build }, dependencies, SILENT);
    if (secrets.kind === 'ended') return toNothing(secrets.ending);
    const { masking } = secrets;
    const cluster = dependencies.openCluster(secrets.kubeconfig);
    const looked = await cluster.findWorkspace(toWorkspaceQuery(pipeline, build, secrets), { signal });
    if (looked.kind === 'gone') return { kind: 'nothing', message: masking.mask(looked.message) };
    if (looked.kind === 'failed') return { kind: 'failed', message: masking.mask(looked.message) };
    const { workspace } = looked;
    const reader = createPartReader({ workspace, buildId: build.id, roots: planRoots(pipeline) });
    const close = (): void => {
      reader.close();
      workspace.close();
    };
    const macs = createMacs({ key: secrets.kubeconfig, buildId: build.id, workspaceId: workspace.id });
    return { kind: 'open', name: workspace.name, pipeline, macs, reader: { ...reader, close }, masking };
  } catch (error) {
    const ending = toFaultEnding(error);
    if (ending.kind !== 'config-error') throw error;
    return toNothing(ending);
  }
}

/** The build has reported the warnings already. */
const SILENT = { warn: (): void => {} };

function toNothing({ message, problems = [] }: Extract<Ending, { kind: 'config-error' }>): Nothing {
  return { kind: 'nothing', message, problems };
}

/**
 * Creates the state of a started build from the link and c3.yaml. The journal adds the steps that a condition
 * skipped.
 */
function toKnownState(
  { build, repository }: ViewRequest,
  { pipeline, masking }: Pick<OpenedPod, 'pipeline' | 'masking'>,
): BuildState {
  const { all } = planTasks({
    pipeline,
    plan: { kind: 'run', steps: pipeline.steps.map(toPlanned), finally: pipeline.finally.map(toPlanned) },
    build,
    gitAccess: repository.gitAccess(),
    environment: {},
    secrets: {},
  });
  const { state } = createBuildProgress(build, { urls: repository.urls(build.sha), now: () => 0 });
  return { ...state, phase: { kind: 'running' }, steps: all.map((task) => toFirstState(task, masking)) };
}

function toPlanned(stage: Stage): PlannedStage {
  const steps = stage.kind === 'step' ? [stage.step] : stage.steps;
  return { steps: steps.map((step) => ({ step, runsAfter: [] })) };
}

/** @throws {C3Error} the forge's refusal */
async function toOutcome(
  order: ViewRequest,
  status: BuildOutcome['status'],
  { message, problems = [] }: Nothing,
): Promise<BuildLook> {
  const { build, repository, signal } = order;
  const commit = (await repository.readCommit(build.sha, signal)) ?? build.commit;
  const urls = repository.urls(build.sha);
  return { kind: 'outcome', outcome: { build: { ...build, commit }, urls, status, message, problems } };
}
