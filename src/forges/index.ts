import { C3Error } from '../errors.ts';
import { formatScope, type Scope } from '../sealing/scope.ts';
import type { Forge } from './forge.ts';
import { createGithub, type GithubForge } from './github/github.ts';

/** One forge that this c3 serves. Both URLs are checked where the settings are read. */
export interface ForgeEntry {
  readonly kind: 'github';
  /** `https://github.com`: scheme and host, no path. Its host is the host of the scopes that lead here. */
  readonly origin: string;
  /** `https://api.github.com`, without a slash at its end. */
  readonly apiBase: string;
}

export interface Forges {
  /** @throws {C3Error} SCOPE_REFUSED when no forge of this c3 has the scope's host */
  forgeFor(scope: Scope): Forge;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** All forges by host. Where a scope leads is decided here, by the operator's list, and never by a webhook's payload. */
export function createForges(entries: readonly ForgeEntry[]): Forges {
  const forges = new Map<string, GithubForge>();
  for (const { origin, apiBase } of entries) {
    const forge = createGithub({ origin, apiBase });
    forges.set(forge.host, forge);
  }
  return {
    forgeFor(scope) {
      const forge = forges.get(scope.host);
      if (forge === undefined) {
        throw new C3Error('SCOPE_REFUSED', `${formatScope(scope)} is on a forge that this c3 does not serve`, {
          hint: `it serves ${[...forges.keys()].join(', ')}; its operator names others in C3_FORGES`,
        });
      }
      return forge;
    },
    async close() {
      await Promise.all([...forges.values()].map((forge) => forge.close()));
    },
  };
}
