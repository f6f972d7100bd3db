import type { CommitStatus, Repository } from '../forges/forge.ts';
import type { HookLimits } from './limits.ts';

export interface RepositoryOptions {
  /** As {@link HookLimits} knows it. */
  readonly hook: string;
  readonly limits: HookLimits;
}

/** Keeps the sentence that follows in what every forge shows of a description: GitHub 140 characters, the build's id among them. */
const MAX_WORDS_BESIDE_NOTE = 60;
const TARGET_NOTE = "; its page's address is too long for this forge";

/** A repository as a build uses it: the hook is trusted once its push is proven. */
export interface BuildRepository extends Repository {
  /** Whether the forge has confirmed the push by now. */
  readonly isProven: boolean;
}

export function createBuildRepository(repository: Repository, { hook, limits }: RepositoryOptions): BuildRepository {
  let isProven = false;
  return {
    ...repository,
    get isProven() {
      return isProven;
    },
    async prove(...args) {
      const proof = await repository.prove(...args);
      isProven = proof.kind === 'proven';
      if (isProven) limits.trust(hook);
      return proof;
    },
    setStatus: (sha, status, signal) => repository.setStatus(sha, fitTarget(status, repository.maxTargetUrl), signal),
  };
}

/** A status that the forge takes: one with a target that is too long goes without it, and says so. */
function fitTarget({ targetUrl, ...status }: CommitStatus, maxLength = Infinity): CommitStatus {
  if (targetUrl === undefined) return status;
  if (targetUrl.length <= maxLength) return { ...status, targetUrl };
  const words = status.description;
  const cut = words.length > MAX_WORDS_BESIDE_NOTE ? `${words.slice(0, MAX_WORDS_BESIDE_NOTE - 1)}…` : words;
  return { ...status, description: cut.toWellFormed() + TARGET_NOTE };
}
