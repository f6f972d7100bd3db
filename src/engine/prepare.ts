import {
  type Build,
  type ConfigProblem,
  type Ending,
  formatCommitStatus,
  formatRef,
  hasBegun,
  readCommitStatus,
  replaceStatus,
} from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { FileContent, Repository } from '../forges/forge.ts';
import {
  needsPaths,
  parsePipeline,
  planPipeline,
  planSealed,
  summarizeProblem,
  type Pipeline,
  type PipelineEvent,
  type Plan,
  type Problem,
} from '../pipeline/index.ts';
import type { SealedValue, Telegram } from '../pipeline/pipeline.ts';
import { createMasking, formatScope, type Masking, type Purpose } from '../sealing/index.ts';
import type { BuildDependencies, BuildRequest, ProvenBuild, TelegramOptions } from './build-request.ts';
import { isOld, PIPELINE_FILE, prove, readLate, wasTested } from './prove-build.ts';
import type { BuildProgress } from './build-progress.ts';
import { planRoots } from './checkout.ts';
import type { WorkspaceQuery } from './cluster.ts';
import { SHARED_OWNER } from './delta.ts';

/** A build that ends before the cluster is asked for anything. */
interface Ended<T extends Ending = Ending> {
  readonly kind: 'ended';
  readonly ending: T;
  /** It was built and reported before, so it is not reported again. */
  readonly isReplayed?: boolean;
}

/** The build cannot run because of its c3.yaml. */
type Unusable = Ended<Extract<Ending, { kind: 'config-error' }>>;

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

export interface OpenedSecrets {
  readonly kind: 'opened';
  readonly kubeconfig: string;
  /** Undefined: c3.yaml has no `telegram`, or not for this ref. */
  readonly telegram: TelegramOptions | undefined;
  /** Those of the `secrets` that are for this ref. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether one of the opened values was sealed only for some refs. */
  readonly hasRefBound: boolean;
  /** Masks the secrets, the kubeconfig and the token. */
  readonly masking: Masking;
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
  // Both are requested while the forge checks the push; nothing is read from them before it has answered.
  const file = repository.readFile(PIPELINE_FILE, sha, signal);
  const statuses = Array.fromAsync(repository.listStatuses(sha, signal));
  // Without a handler, an early failure of a promise that is not awaited would end the process.
  for (const early of [file, statuses]) early.catch(() => {});
  const proof = await prove(request);
  const known = proof.kind === 'refused' ? await statuses.catch(() => []) : await statuses;
  const own = known.find((status) => readCommitStatus(status).buildId === id);
  const before = own?.state;
  if (own && before !== 'pending' && hasBegun(readCommitStatus(own))) {
    return endReplay(
      `this delivery was built before, as the commit's status "${before}" says; to build it again, use Re-run on its page`,
    );
  }
  if (proof.kind === 'refused') return end({ kind: 'refused', message: proof.message });
  if (await isOld(request, proof, dependencies)) {
    const message = `${formatRef(build.ref)} was built before at this commit; to build it again, use `;
    return build.cause === 'webhook'
      ? endReplay(`${message}Re-run on its page`)
      : end({ kind: 'refused', message: `${message}the control link in Telegram` });
  }
  const proven: ProvenBuild = { ...build, trust: proof.trust };
  progress.note({ build: proven });
  if (request.isOldKey) progress.warn(['the hook URL is sealed with an old key of this c3; make a new one']);
  const links = await dependencies.createLinks?.(proven);
  if (links) progress.note({ links });

  const answer = await readLate(request, await file, dependencies.limits.lagPausesMs);
  // Branches such as gh-pages never have one.
  if (answer.kind === 'missing' && proven.trust === 'other') {
    return end({ kind: 'skipped', message: `there is no ${PIPELINE_FILE} at ${sha.slice(0, 7)}` });
  }
  const read = readPipeline({ answer, sha, repository }, dependencies, progress);
  if (read.kind === 'ended') return read;
  const { pipeline } = read;
  const plan = planPipeline(pipeline, await toEvent(request, pipeline));
  if (plan.kind === 'skipped') {
    return end({ kind: 'skipped', message: plan.reason, ...(plan.by === 'paths' ? { by: plan.by } : {}) });
  }
  // The status does not change again before the end, so it says what is true from now on.
  const running = formatCommitStatus({ ...progress.state, phase: { kind: 'running' } });
  const announced = replaceStatus(repository, sha, { status: running, known, signal }).catch((error: unknown) => {
    // A build is worth more than one more status.
    if (!(error instanceof C3Error) || error.code !== 'STATUS_LIMIT') throw error;
    progress.warn([error.message]);
  });
  announced.catch(() => {});
  const refused = checkJob(pipeline, dependencies);
  // A delivery that comes late is not newer than the build of the head.
  if (!refused && pipeline.concurrency.cancelPrevious && proof.isHead) dependencies.cancelPrevious();
  let secrets: Unusable | OpenedSecrets;
  try {
    secrets = refused ?? (await openSecrets({ pipeline, repository, ref: build.ref, plan }, dependencies, progress));
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

function endReplay(message: string): Ended {
  return { ...end({ kind: 'skipped', message }), isReplayed: true };
}

function end<T extends Ending>(ending: T): Ended<T> {
  return { kind: 'ended', ending };
}

function endForConfig(message: string, problems: readonly ConfigProblem[] = []): Unusable {
  const shown = problems.length === 0 ? {} : { problems };
  return end({ kind: 'config-error', message, ...shown });
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

/** Returns the ending of a build whose job breaks rules of the operator; undefined when it breaks none. */
export function checkJob(pipeline: Pipeline, dependencies: Pick<BuildDependencies, 'checkJob'>): Unusable | undefined {
  const faults = dependencies.checkJob(pipeline.job.manifest);
  const [first] = faults;
  const problems = faults.map((message) => ({ message }));
  return first === undefined ? undefined : endForConfig(first, problems);
}

/** Requests the changed paths from the forge, not from the payload, and only if a condition uses them. */
async function toEvent({ build, repository, signal }: BuildRequest, pipeline: Pipeline): Promise<PipelineEvent> {
  const { event, ref, sha } = build;
  if (ref.kind === 'tag' || !needsPaths(pipeline)) return { event, ref };
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

export interface SecretsOptions {
  readonly pipeline: Pipeline;
  readonly repository: Pick<Repository, 'gitAccess'>;
  readonly ref: Build['ref'];
  /** Undefined for a reader of the build. */
  readonly plan?: PreparedBuild['plan'];
}

/**
 * Opens the sealed values of c3.yaml that are for the ref (A1), and creates their masking. Refuses a build that needs
 * others, and secrets that are too long to be masked.
 *
 * @throws {C3Error} SEALED_INVALID, with the place of the value
 */
export async function openSecrets(
  { pipeline, repository, ref, plan }: SecretsOptions,
  dependencies: Pick<BuildDependencies, 'open' | 'listSecrets'>,
  progress: Pick<BuildProgress, 'warn'>,
): Promise<Unusable | OpenedSecrets> {
  const planned = planSealed(pipeline, { ref, plan });
  if (planned.kind === 'refused') {
    const { message, hint } = planned;
    return endForConfig(`${PIPELINE_FILE}: ${message}`, [{ message, hint }]);
  }
  async function open(sealed: SealedValue, purpose: Purpose, where: string): Promise<string> {
    try {
      const { plaintext, isOldKey } = await dependencies.open(sealed.value, { purpose, ref: sealed.ref });
      if (isOldKey)
        progress.warn([`${PIPELINE_FILE} warning: ${where} is sealed with an old key of this c3; seal it again`]);
      return plaintext;
    } catch (error) {
      if (!(error instanceof C3Error)) throw error;
      throw new C3Error(error.code, `${PIPELINE_FILE}: ${where}: ${error.message}`, { cause: error });
    }
  }
  const { k8s, telegram, hasRefBound } = planned;
  const secrets = Object.entries(planned.secrets);
  const [kubeconfig, destination, ...values] = await Promise.all([
    open(k8s, { kind: 'k8s' }, 'k8s'),
    telegram?.to && open(telegram.to, { kind: 'telegram' }, 'telegram'),
    ...secrets.map(([name, value]) => open(value, { kind: 'secret', name }, `secrets.${name}`)),
  ]);
  const others = dependencies.listSecrets?.({ kubeconfig, telegram: destination }) ?? [];
  const masking = createMasking([...repository.gitAccess().secrets, ...values, ...others]);
  if (masking.isTooMuch()) {
    return endForConfig(
      `${PIPELINE_FILE}: its secrets are too long to be hidden in what c3 shows: with their lines, and in all encodings, they take more than 3 MiB; use fewer or shorter ones`,
    );
  }
  return {
    kind: 'opened',
    kubeconfig,
    telegram: telegram && toTelegramOptions(telegram, destination),
    environment: Object.fromEntries(secrets.map(([name], index) => [name, values[index] ?? ''])),
    hasRefBound,
    masking,
  };
}

function toTelegramOptions({ to: _sealed, ...options }: Telegram, destination: string | undefined): TelegramOptions {
  return { ...options, destination };
}

/** Returns what the name of a build's workspace is computed from. A tag's build has a Pod of its own, never a used one. */
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
    manifest: pipeline.job.manifest,
    scope: formatScope(scope),
    // A branch that was not protected yet had another Pod.
    owner: isShared ? SHARED_OWNER : `${trust === 'protected' ? 'protected ' : ''}${formatRef(ref)}`,
    root: planRoots(pipeline)[0],
    buildId: id,
    reuse: reuse && ref.kind === 'branch',
    maxAgeMs,
  };
}
