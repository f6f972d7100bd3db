import { C3Error } from '../errors.ts';
import { formatScope, type Scope } from '../sealing/scope.ts';
import type { Forge, ForgeEntry } from './forge.ts';
import { createGitea } from './gitea/gitea.ts';
import { createGithub } from './github/github.ts';
import { createGitlab } from './gitlab/gitlab.ts';

export { type DeliveryAttempt, type HookDeliveries, openDeliveries, type RepositoryHook } from './github/deliveries.ts';
export { toSigningToken } from './gitlab/verify.ts';

export interface Forges {
  /** Returns the forge of a scope's host. @throws {C3Error} SCOPE_REFUSED if this c3 serves no forge on that host */
  forgeFor(scope: Scope): Forge;
  /** Closes all connections. */
  close(): Promise<void>;
}

/** A new kind of forge needs a folder and a line here. */
const KINDS: Readonly<Record<ForgeEntry['kind'], (entry: ForgeEntry) => Forge>> = {
  github: createGithub,
  gitea: createGitea,
  gitlab: createGitlab,
};

/** Creates a forge for each entry. Only the operator's entries decide which addresses receive a token (A6). */
export function createForges(entries: readonly ForgeEntry[]): Forges {
  const forges = new Map(entries.map((entry) => KINDS[entry.kind](entry)).map((forge) => [forge.host, forge]));
  return {
    forgeFor(scope) {
      const forge = forges.get(scope.host);
      if (forge === undefined) {
        throw new C3Error('SCOPE_REFUSED', `${formatScope(scope)} is on a forge that this c3 does not serve`, {
          hint: `it serves ${[...forges.keys()].join(', ')}; the operator adds others in C3_FORGES`,
        });
      }
      return forge;
    },
    async close() {
      await Promise.all([...forges.values()].map((forge) => forge.close()));
    },
  };
}
