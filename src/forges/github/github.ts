import type { Forge } from '../forge.ts';
import type { ForgeOptions } from '../rest-api.ts';
import { createRestForge } from '../rest-forge.ts';
import { githubDialect } from './api.ts';
import { changedPaths, pullPaths, readCommit, readFile } from './commits.ts';
import { parseEvent } from './event.ts';
import { proofCalls } from './prove.ts';
import { mayApprove, readPull } from './pulls.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

/** Creates a client of GitHub or GitHub Enterprise Server. */
export function createGithub(options: ForgeOptions): Forge {
  const kind = {
    dialect: githubDialect,
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
    // GitHub accepts any token as the password of this user.
    gitUser: 'x-access-token',
    hasGroups: false,
    pages: { commit: 'commit', file: 'blob' },
  };
  return createRestForge(kind, options);
}
