import type { Repository } from '../forges/forge.ts';
import type { HookLimits } from './limits.ts';

export interface RepositoryOptions {
  /** As {@link HookLimits} knows it. */
  readonly hook: string;
  readonly limits: HookLimits;
}

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
  };
}
