import { type ConfigProblem, type Ending, findBuildStatus, formatCommitStatus } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import type { FileContent, Repository } from '../forges/forge.ts';
import {
  needsPaths,
  parsePipeline,
  planPipeline,
  summarizeProblem,
  type Pipeline,
  type PipelineEvent,
  type Plan,
  type Problem,
} from '../pipeline/index.ts';
import { createMasking, formatScope, type Masking, type Purpose } from '../sealing/index.ts';
import type { BuildDependencies, BuildRequest, ProvenBuild } from './build-request.ts';
import type { BuildProgress } from './build-progress.ts';
import { planRoots } from './checkout.ts';
import type { WorkspaceQuery } from './cluster.ts';

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
  /** Another c3 process started it before. */
  readonly isResumed: boolean;
}

export interface OpenedSecrets {
  readonly kind: 'opened';
  readonly kubeconfig: string;
  readonly telegram: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Masks the secrets, the kubeconfig and the token. */
  readonly masking: Masking;
}

export const PIPELINE_FILE = 'c3.yaml';

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
  const before = findBuildStatus(repository.listStatuses(sha, signal), id);
  // Without a handler, an early failure of a promise that is not awaited would end the process.
  for (const early of [file, before]) early.catch(() => {});
  const proof = await repository.prove(build, signal);
  if (proof.kind === 'refused') return end({ kind: 'refused', message: proof.message });
  const proven: ProvenBuild = { ...build, trust: proof.trust };
  progress.note({ build: proven });
  const state = (await before)?.state;
  if (state !== undefined && state !== 'pending') {
    const message = `this delivery was built before, as the commit's status "${state}" says`;
    return { ...end({ kind: 'skipped', message }), isReplayed: true };
  }
  if (request.isOldKey) progress.warn(['the hook URL is sealed with an old key of this c3; make a new one']);
  const links = await dependencies.createLinks?.(proven);
  if (links) progress.note({ links });
  // The status does not change again before the end, so it says what is true from now on.
  const running = formatCommitStatus({ ...progress.state, phase: { kind: 'running' } });
  await repository.setStatus(sha, running, signal);

  const read = readPipeline({ answer: await file, sha, repository }, dependencies, progress);
  if (read.kind === 'ended') return read;
  const { pipeline } = read;
  const plan = planPipeline(pipeline, await toEvent(request, pipeline));
  if (plan.kind === 'skipped') return end({ kind: 'skipped', message: plan.reason });
  const refused = checkJob(pipeline, dependencies);
  if (refused) return refused;
  if (pipeline.concurrency.cancelPrevious) dependencies.cancelPrevious();
  const secrets = await openSecrets({ pipeline, repository }, dependencies, progress);
  if (secrets.kind === 'ended') return secrets;
  // A pending status means that the c3 process that set it has ended without a final status.
  const isResumed = request.isResumed || state === 'pending';
  return { kind: 'ready', build: proven, pipeline, plan, secrets, isResumed };
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
  const { event, ref, before, sha } = build;
  if (before === undefined || !needsPaths(pipeline)) return { event, ref };
  const paths = await repository.changedPaths(before, sha, signal);
  return { event, ref, ...(paths === undefined ? {} : { paths }) };
}

export interface SecretsOptions {
  readonly pipeline: Pipeline;
  readonly repository: Pick<Repository, 'gitAccess'>;
}

/**
 * Opens the sealed values of c3.yaml, and creates their masking. Refuses secrets that are too long to be masked.
 *
 * @throws {C3Error} SEALED_INVALID, with the place of the value
 */
export async function openSecrets(
  { pipeline, repository }: SecretsOptions,
  dependencies: Pick<BuildDependencies, 'open' | 'listSecrets'>,
  progress: Pick<BuildProgress, 'warn'>,
): Promise<Unusable | OpenedSecrets> {
  async function open(token: string, purpose: Purpose, where: string): Promise<string> {
    try {
      const { plaintext, isOldKey } = await dependencies.open(token, purpose);
      if (isOldKey)
        progress.warn([`${PIPELINE_FILE} warning: ${where} is sealed with an old key of this c3; seal it again`]);
      return plaintext;
    } catch (error) {
      if (!(error instanceof C3Error)) throw error;
      throw new C3Error(error.code, `${PIPELINE_FILE}: ${where}: ${error.message}`, { cause: error });
    }
  }
  const names = Object.keys(pipeline.secrets);
  const [kubeconfig, telegram, ...values] = await Promise.all([
    open(pipeline.k8s, { kind: 'k8s' }, 'k8s'),
    pipeline.telegram?.to === undefined ? undefined : open(pipeline.telegram.to, { kind: 'telegram' }, 'telegram'),
    ...names.map((name) => open(pipeline.secrets[name] ?? '', { kind: 'secret', name }, `secrets.${name}`)),
  ]);
  const others = dependencies.listSecrets?.({ kubeconfig, telegram }) ?? [];
  const masking = createMasking([...repository.gitAccess().secrets, ...values, ...others]);
  if (masking.isTooMuch()) {
    return endForConfig(
      `${PIPELINE_FILE}: its secrets are too long to be hidden in what c3 shows: with their lines, and in all encodings, they take more than 2 MiB; use fewer or shorter ones`,
    );
  }
  const environment = Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
  return { kind: 'opened', kubeconfig, telegram, environment, masking };
}

/** Returns what the name of a build's workspace is computed from. */
export function toWorkspaceQuery(pipeline: Pipeline, { id, scope, trust }: ProvenBuild): WorkspaceQuery {
  const { reuse, maxAgeMs } = pipeline.pod;
  return {
    manifest: pipeline.job.manifest,
    scope: formatScope(scope),
    trustClass: trust,
    root: planRoots(pipeline)[0],
    buildId: id,
    reuse,
    maxAgeMs,
  };
}
