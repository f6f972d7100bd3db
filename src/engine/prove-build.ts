import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Build,
  type CommitStatus,
  type Ending,
  hasBegun,
  isIn,
  readCommitStatus,
  type ReadStatus,
  toShortName,
  toStatusContext,
} from '../build/index.ts';
import type { FileContent, Proof } from '../forges/forge.ts';
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
    answer = await repository.readFile(PIPELINE_FILE, build.sha, signal);
  }
  return answer;
}

/** The sealed link of a build that is run again proves that the commit was the head of the ref. */
export async function prove({ build, repository, signal }: BuildRequest): Promise<Proof> {
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
  proof: Extract<Proof, { kind: 'proven' }>,
  { claim }: Pick<BuildDependencies, 'claim'>,
): Promise<boolean> {
  // A build that has no status yet is known only to this process.
  const isFirst = claim?.() ?? true;
  const isProvenByLink = build.cause === 'rerun' && build.trust !== undefined;
  if (isProvenByLink || (proof.isHead && build.ref.kind === 'branch')) return false;
  // Listed after the proof: before it, the tag need not have existed.
  return !isFirst || wasBuilt(await Array.fromAsync(repository.listStatuses(build.sha, signal)), build);
}

function wasBuilt(statuses: readonly CommitStatus[], build: Build): boolean {
  return readOfRef(statuses, build).some((status) => status.buildId !== build.id && hasBegun(status));
}

/** Reads the statuses of the builds of a ref, in their order. */
function readOfRef(statuses: readonly CommitStatus[], { event, ref }: Pick<Build, 'event' | 'ref'>): ReadStatus[] {
  const read = statuses.filter((status) => isIn(toStatusContext(event), status)).map(readCommitStatus);
  return read.filter(({ refName }) => refName === toShortName(ref));
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
