import {
  type Build,
  type ConfigProblem,
  type CommitStatus,
  formatCommitStatus,
  formatRef,
  hasBegun,
  readCommitStatus,
  replaceStatus,
  toPullRef,
} from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { FileContent, Repository } from '../forges/forge.ts';
import {
  findForkFaults,
  needsPaths,
  parsePipeline,
  planPipeline,
  summarizeProblem,
  toForkJob,
  type Pipeline,
  type PipelineEvent,
  type Plan,
  type Problem,
} from '../pipeline/index.ts';
import { formatScope } from '../sealing/index.ts';
import type { BuildDependencies, BuildRequest, ProvenBuild } from './build-request.ts';
import { type Ended, end, endForConfig, type OpenedSecrets, openSecrets, type Unusable } from './open-secrets.ts';
import { type BuildProof, isOld, PIPELINE_FILE, prove, readLate, wasBuilt, wasTested } from './prove-build.ts';
import type { BuildProgress } from './build-progress.ts';
import { planRoots } from './checkout.ts';
import type { WorkspaceQuery } from './cluster.ts';
import { SHARED_OWNER } from './delta.ts';

export interface PreparedBuild {
  readonly kind: 'ready';
  readonly pipeline: Pipeline;
  readonly plan: Extract<Plan, { kind: 'run' }>;
  readonly secrets: OpenedSecrets;
  readonly build: ProvenBuild;
  /** Settles when the commit has the status of a running build. No step starts before. */
  readonly announced: Promise<void>;
  /** Another c3 process started it before. */
  readonly isResumed: boolean;
}

/**
 * Prepares a build: prove → read c3.yaml → plan → open its secrets. Opens no secret before the forge has confirmed
 * the push (A2).
 */
export async function prepare(
  request: BuildRequest,
  dependencies: BuildDependencies,
  progress: BuildProgress,
): Promise<Ended | PreparedBuild> {
  const { build, repository, signal } = request;
  const { id, sha } = build;
  // Both are requested while the forge checks the push; nothing is read from them before it has answered. A stranger
  // could write the c3.yaml of a fork, so that of its base branch is read later (A3).
  const file = build.pull?.isFork === true ? undefined : repository.readFile(PIPELINE_FILE, sha, signal);
  const statuses = Array.fromAsync(repository.listStatuses(sha, signal));
  // Without a handler, an early failure of a promise that is not awaited would end the process.
  for (const early of [file, statuses]) early?.catch(() => {});
  const { lagPausesMs } = dependencies.limits;
  const proof = await prove(build, { repository, signal, forks: dependencies.forks, lagPausesMs });
  const known = proof.kind === 'refused' ? await statuses.catch(() => []) : await statuses;
  const before = known.find((status) => readCommitStatus(status).buildId === id)?.state;
  const repetition = await findRepetition(request, { proof, known }, dependencies);
  if (repetition) return repetition;
  if (proof.kind === 'refused') return end({ kind: 'refused', message: proof.message });
  const proven = toProven(build, proof);
  progress.note({ build: proven });
  if (request.isOldKey) progress.warn(['the hook URL is sealed with an old key of this c3; make a new one']);
  const links = await dependencies.createLinks?.(proven);
  if (links) progress.note({ links });

  const { configSha = sha } = proven;
  const first = await (file ?? repository.readFile(PIPELINE_FILE, configSha, signal));
  const answer = await readLate({ ...request, build: proven }, first, lagPausesMs);
  // Branches such as gh-pages never have one.
  if (answer.kind === 'missing' && proven.trust === 'other') {
    return end({ kind: 'skipped', message: `there is no ${PIPELINE_FILE} at ${configSha.slice(0, 7)}` });
  }
  const read = readPipeline({ answer, sha: configSha, repository }, dependencies, progress);
  if (read.kind === 'ended') return read;
  const { pipeline } = read;
  const plan = planPipeline(pipeline, await toEvent({ ...request, build: proven }, pipeline));
  if (plan.kind === 'skipped') {
    return end({ kind: 'skipped', message: plan.reason, ...(plan.by === 'paths' ? { by: plan.by } : {}) });
  }
  // A link to control the build, or the comment of a person who may push, is the approval.
  if (proven.trust === 'fork' && build.cause === 'webhook') {
    const short = sha.slice(0, 7);
    return end({ kind: 'needs-approval', message: `${short}: comment "/ok-to-test ${short}" to run it` });
  }
  // The status does not change again before the end, so it says what is true from now on.
  const running = formatCommitStatus({ ...progress.state, phase: { kind: 'running' } });
  const announced = replaceStatus(repository, sha, { status: running, known, signal }).catch((error: unknown) => {
    // A build is worth more than one more status.
    if (!(error instanceof C3Error) || error.code !== 'STATUS_LIMIT') throw error;
    progress.warn([error.message]);
  });
  announced.catch(() => {});
  const refused = checkJob(pipeline, proven, dependencies);
  // A delivery that comes late is not newer than the build of the head.
  if (!refused && pipeline.concurrency.cancelPrevious && proof.isHead) dependencies.cancelPrevious();
  let secrets: Unusable | OpenedSecrets;
  try {
    secrets = refused ?? (await openSecrets({ pipeline, repository, build: proven, plan }, dependencies, progress));
  } catch (error) {
    await announced;
    throw error;
  }
  if (secrets.kind === 'ended') {
    await announced;
    return secrets;
  }
  // A pending status means that the c3 process that set it has ended without a final status.
  const isResumed = request.isResumed || before === 'pending';
  if (isResumed) progress.note({ isResumed });
  return { kind: 'ready', build: proven, pipeline, plan, secrets, announced, isResumed };
}

/** Returns the ending of a build that repeats another one: its delivery, its tag or its commit was built before. */
async function findRepetition(
  request: BuildRequest,
  { proof, known }: { readonly proof: BuildProof; readonly known: readonly CommitStatus[] },
  dependencies: BuildDependencies,
): Promise<Ended | undefined> {
  const { build } = request;
  const own = known.find((status) => readCommitStatus(status).buildId === build.id);
  if (own && own.state !== 'pending' && hasBegun(readCommitStatus(own))) {
    return endReplay(
      `this delivery was built before, as the commit's status "${own.state}" says; to build it again, use Re-run on its page`,
    );
  }
  if (proof.kind === 'refused') return undefined;
  if (await isOld(request, proof, dependencies)) {
    const message = `${formatRef(build.ref)} was built before at this commit; to build it again, use `;
    return build.cause === 'webhook'
      ? endReplay(`${message}Re-run on its page`)
      : end({ kind: 'refused', message: `${message}the control link in Telegram` });
  }
  const isUnapproved = proof.trust === 'fork' && build.cause === 'webhook';
  return isUnapproved && wasBuilt(known, build)
    ? endReplay('the commit was approved and was built before; to build it again, use Re-run on its page')
    : undefined;
}

/** What the forge says about a pull request replaces what the webhook said. */
function toProven(build: Build, { trust, pull, configSha }: Extract<BuildProof, { kind: 'proven' }>): ProvenBuild {
  if (pull === undefined) return { ...build, trust };
  return { ...build, trust, pull, configSha, ref: toPullRef(pull) };
}

function endReplay(message: string): Ended {
  return { ...end({ kind: 'skipped', message }), isReplayed: true };
}

export interface PipelineFile {
  /** The forge's response. */
  readonly answer: FileContent;
  readonly sha: string;
  readonly repository: Pick<Repository, 'lineUrl'>;
}

/** Reads c3.yaml at a commit. The ending and the warnings quote no value of it that can be secret. Pure. */
export function readPipeline(
  { answer, sha, repository }: PipelineFile,
  { parse = parsePipeline }: Pick<BuildDependencies, 'parse'>,
  progress: Pick<BuildProgress, 'warn'>,
): Unusable | { readonly kind: 'read'; readonly pipeline: Pipeline } {
  if (answer.kind === 'missing') return endForConfig(`There is no ${PIPELINE_FILE} at ${sha.slice(0, 7)}`);
  if (answer.kind === 'too-large') return endForConfig(`${PIPELINE_FILE} is larger than ${answer.maxBytes / 1024} KiB`);
  const { pipeline, problems } = parse(answer.text);
  const options = { file: PIPELINE_FILE };
  progress.warn(
    problems.filter(({ severity }) => severity === 'warning').map((problem) => summarizeProblem(problem, options)),
  );
  if (pipeline) return { kind: 'read', pipeline };
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  const toConfigProblem = ({ line, column, message, hint }: Problem): ConfigProblem => ({
    location: `${PIPELINE_FILE}:${line}:${column}`,
    url: repository.lineUrl(PIPELINE_FILE, sha, line),
    message,
    ...(hint === undefined ? {} : { hint }),
  });
  const message = first ? summarizeProblem(first, options) : `${PIPELINE_FILE} cannot be read`;
  return endForConfig(message, errors.map(toConfigProblem));
}

/** Returns the ending of a build whose job breaks rules of the operator or of forks; undefined when it breaks none. */
export function checkJob(
  pipeline: Pipeline,
  { trust }: Pick<ProvenBuild, 'trust'>,
  dependencies: Pick<BuildDependencies, 'checkJob'>,
): Unusable | undefined {
  const { manifest } = pipeline.job;
  const faults = [...dependencies.checkJob(manifest), ...(trust === 'fork' ? findForkFaults(manifest) : [])];
  const [first] = faults;
  const problems = faults.map((message) => ({ message }));
  return first === undefined ? undefined : endForConfig(first, problems);
}

/** Requests the changed paths from the forge, not from the payload, and only if a condition uses them. */
async function toEvent({ build, repository, signal }: BuildRequest, pipeline: Pipeline): Promise<PipelineEvent> {
  const { event, ref, sha, pull } = build;
  if (ref.kind === 'tag' || !needsPaths(pipeline)) return { event, ref, pull };
  if (pull) {
    const paths = await repository.pullPaths(pull, sha, signal);
    return { event, ref, pull, ...(paths === undefined ? {} : { paths }) };
  }
  // Anyone who may push could send a delivery with another `before`, to make a condition on paths hold (A2).
  const push = build.cause === 'webhook' ? await repository.readPush(build, signal) : undefined;
  const { before } = push ?? build;
  if (before === undefined) return { event, ref };
  const [paths, statuses] = await Promise.all([
    repository.changedPaths(before, sha, signal),
    Array.fromAsync(repository.listStatuses(before, signal)).catch(() => undefined),
  ]);
  const isComplete = statuses && wasTested(statuses, build, pipeline.concurrency.cancelPrevious);
  return { event, ref, ...(paths === undefined || isComplete !== true ? {} : { paths }) };
}

/**
 * Returns what the name of a build's workspace is computed from. The build of a tag or of a fork has a new Pod, which is
 * deleted afterwards.
 */
export function toWorkspaceQuery(
  pipeline: Pipeline,
  build: ProvenBuild,
  { hasRefBound }: Pick<OpenedSecrets, 'hasRefBound'>,
): WorkspaceQuery {
  const { id, scope, ref, trust } = build;
  const { reuse, share, maxAgeMs } = pipeline.pod;
  // A user who may push to one unprotected branch may push to all of them, so these branches can share a Pod (A10).
  const isShared = ref.kind === 'branch' && trust === 'other' && share && !hasRefBound;
  return {
    manifest: trust === 'fork' ? toForkJob(pipeline.job.manifest) : pipeline.job.manifest,
    scope: formatScope(scope),
    // A branch that was not protected yet had another Pod.
    owner: isShared ? SHARED_OWNER : `${trust === 'protected' ? 'protected ' : ''}${formatRef(ref)}`,
    root: planRoots(pipeline)[0],
    buildId: id,
    reuse: reuse && ref.kind === 'branch',
    maxAgeMs,
  };
}
