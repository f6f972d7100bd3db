import type { Forge } from '../forge.ts';
import type { ForgeOptions } from '../rest-api.ts';
import { createRestForge } from '../rest-forge.ts';
import { giteaDialect } from './api.ts';
import { changedPaths, pullPaths, readCommit, readFile } from './commits.ts';
import { parseEvent } from './event.ts';
import { proofCalls } from './prove.ts';
import { mayApprove, readPull } from './pulls.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

/** Creates a client of Gitea or Forgejo. */
export function createGitea(options: ForgeOptions): Forge {
  const kind = {
    dialect: giteaDialect,
    verify: verifyDelivery,
    parseEvent,
    calls: {
      ...proofCalls,
      readFile,
      setStatus,
      listStatuses,
      readCommit,
      changedPaths,
      readPull,
      pullPaths,
      mayApprove,
    },
    // Both accept a token as the password of any user.
    gitUser: 'c3',
    hasGroups: false,
    pages: { commit: 'commit', file: 'src/commit' },
  };
  return createRestForge(kind, options);
}
