import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Build,
  type CommitStatus,
  type Ending,
  hasBegun,
  isIn,
  readCommitStatus,
  type ReadStatus,
  toPullRef,
  toPullRequest,
  toShortName,
  toStatusContext,
} from '../build/index.ts';
import type { FileContent, Proof, PullFacts, Repository } from '../forges/forge.ts';
import type { BuildDependencies, BuildRequest } from './build-request.ts';

/** The file that describes the builds of a repository. */
export const PIPELINE_FILE = 'c3.yaml';

/** Reads c3.yaml again if the forge does not show it: a webhook can arrive before its replicas have the commit. */
export async function readLate(
  { build, repository, signal }: BuildRequest,
  first: FileContent,
  pausesMs: readonly number[],
): Promise<FileContent> {
  let answer = first;
  for (const pauseMs of build.cause === 'webhook' ? pausesMs : []) {
    if (answer.kind !== 'missing') break;
    await sleep(pauseMs, undefined, { signal });
    answer = await repository.readFile(PIPELINE_FILE, build.configSha ?? build.sha, signal);
  }
  return answer;
}

/** What the forge has proven of a build. */
export type BuildProof =
  | Extract<Proof, { kind: 'refused' }>
  | (Extract<Proof, { kind: 'proven' }> & Pick<Build, 'pull' | 'configSha'>);

type Refusal = Extract<Proof, { kind: 'refused' }>;

/** What {@link prove} needs of a build. */
export type ProvableBuild = Pick<Build, 'ref' | 'sha' | 'before' | 'cause' | 'trust' | 'pull'>;

export interface ProveOptions {
  readonly repository: Pick<Repository, 'prove' | 'checkAccess' | 'readPull'>;
  readonly signal: AbortSignal;
  readonly forks: BuildDependencies['forks'];
  /** The pauses before the forge is asked again about a pull request. It may lag behind the webhook. */
  readonly lagPausesMs: readonly number[];
}

/**
 * Asks the forge whether a build is of a commit that belongs to its ref, or to its pull request as it is now. The sealed
 * link of a build that is run again proves that the commit was the head of the ref.
 */
export async function prove(build: ProvableBuild, options: ProveOptions): Promise<BuildProof> {
  const { pull } = build;
  if (pull === undefined) return await proveRef(build, options);
  const found = await readPull(build, pull.number, options);
  if (found.kind === 'refused') return found;
  const { facts } = found;
  if (!facts.isFork) {
    const proof = await proveRef({ ...build, ref: toPullRef(facts) }, options);
    return proof.kind === 'proven' ? { ...proof, pull: toPullRequest(facts) } : proof;
  }
  const refusal = findForkRefusal(facts, options);
  if (refusal !== undefined) return { kind: 'refused', message: refusal };
  const message = await options.repository.checkAccess(options.signal);
  return message === undefined
    ? { kind: 'proven', trust: 'fork', isHead: true, pull: toPullRequest(facts), configSha: facts.baseSha }
    : { kind: 'refused', message };
}

/** Reads a pull request that is open and has the commit of the build as its head. */
async function readPull(
  { sha, before, pull, cause }: ProvableBuild,
  number: number,
  { repository, signal, lagPausesMs }: ProveOptions,
): Promise<Refusal | { readonly kind: 'found'; readonly facts: PullFacts }> {
  let facts = await repository.readPull(number, signal);
  for (const pauseMs of cause === 'webhook' ? lagPausesMs : []) {
    if (facts !== undefined && facts.sha !== before) break;
    await sleep(pauseMs, undefined, { signal });
    facts = await repository.readPull(number, signal);
  }
  const refuse = (message: string): Refusal => ({ kind: 'refused', message: `pull request #${number} ${message}` });
  if (facts === undefined) return refuse('does not exist');
  if (!facts.isOpen) return refuse('is closed');
  if (facts.sha !== sha) return refuse(`has moved on to ${facts.sha.slice(0, 7)}`);
  if (facts.isFork !== pull?.isFork) return refuse(facts.isFork ? 'is from a fork' : 'is not from a fork');
  return { kind: 'found', facts };
}

export const FORKS_OFF = 'this c3 builds no pull requests from forks: its operator has not set C3_FORKS=approve';

/** Says why no build of a fork runs; undefined if one may (A3). */
function findForkRefusal({ isPublic, base, baseSha }: PullFacts, { forks }: ProveOptions): string | undefined {
  if (forks !== 'approve') return FORKS_OFF;
  if (!isPublic) return 'a fork of a private repository is not built: its Pod would need a token to fetch the commit';
  return baseSha === undefined ? `branch ${base}, whose ${PIPELINE_FILE} is used, no longer exists` : undefined;
}

async function proveRef(build: ProvableBuild, { repository, signal }: ProveOptions): Promise<Proof> {
  if (build.cause !== 'rerun' || build.trust === undefined) return await repository.prove(build, signal);
  const message = await repository.checkAccess(signal);
  return message === undefined ? { kind: 'proven', trust: build.trust, isHead: true } : { kind: 'refused', message };
}

/**
 * Returns whether the commit is a tag or no longer the head of its branch, and another build of it has begun for this
 * ref. Then it is not built for another delivery, and not for a link that was given for a token: a user who may push
 * could run an old deployment again (A2).
 */
export async function isOld(
  { build, repository, signal }: BuildRequest,
  proof: Extract<BuildProof, { kind: 'proven' }>,
  { claim }: Pick<BuildDependencies, 'claim'>,
): Promise<boolean> {
  // A build that has no status yet is known only to this process.
  const isFirst = claim?.() ?? true;
  const isProvenByLink = build.cause === 'rerun' && build.trust !== undefined;
  if (isProvenByLink || (proof.isHead && build.ref.kind !== 'tag')) return false;
  // Listed after the proof: before it, the tag need not have existed.
  return !isFirst || wasBuilt(await Array.fromAsync(repository.listStatuses(build.sha, signal)), build);
}

/** Returns whether a build of this ref or pull request has begun before. */
export function wasBuilt(statuses: readonly CommitStatus[], build: Build): boolean {
  return readOfRef(statuses, build).some((status) => status.buildId !== build.id && hasBegun(status));
}

/** Reads the statuses of the builds of a ref or a pull request, in their order. */
export function readOfRef(
  statuses: readonly CommitStatus[],
  build: Pick<Build, 'event' | 'ref' | 'pull'>,
): ReadStatus[] {
  const read = statuses.filter((status) => isIn(toStatusContext(build.event), status)).map(readCommitStatus);
  return read.filter(({ refName }) => refName === toShortName(build));
}

/** After any other ending, such as superseded, nobody knows whether the changes of the commit work. */
const TESTED: readonly (Ending['kind'] | undefined)[] = ['passed', 'failed', 'skipped'];

/**
 * Returns whether the build of the commit before a push, if there was one, tested its changes. If not, a condition on
 * paths cannot leave them out: their tests would never run, and the head of the branch would be green (A2).
 *
 * @param statuses of the commit before the push, newest first
 * @param cancels whether this build ends that one if it still runs
 */
export function wasTested(
  statuses: readonly CommitStatus[],
  build: Pick<Build, 'event' | 'ref'>,
  cancels: boolean,
): boolean {
  const [last] = readOfRef(statuses, build);
  return last === undefined || TESTED.includes(last.ending?.kind) || (last.ending === undefined && !cancels);
}
