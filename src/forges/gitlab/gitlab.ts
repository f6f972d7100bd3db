import type { Forge } from '../forge.ts';
import type { ForgeOptions } from '../rest-api.ts';
import { createRestForge } from '../rest-forge.ts';
import { gitlabDialect } from './api.ts';
import { changedPaths, pullPaths, readCommit, readFile } from './commits.ts';
import { parseEvent } from './event.ts';
import { proofCalls } from './prove.ts';
import { mayApprove, readPull } from './pulls.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

/** Creates a client of GitLab.com or a GitLab server. */
export function createGitlab(options: ForgeOptions): Forge {
  const kind = {
    dialect: gitlabDialect,
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
    // GitLab accepts any token as the password of this user.
    gitUser: 'oauth2',
    hasGroups: true,
    pages: { commit: '-/commit', file: '-/blob' },
  };
  return createRestForge(kind, options);
}
