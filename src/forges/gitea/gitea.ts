import { C3Error } from '../../errors.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import { fetchPack } from '../fetch-pack.ts';
import type { Forge, GitAccess } from '../forge.ts';
import { PAUSES_MS, USED } from '../patient-client.ts';
import { createForgeClients, type ForgeOptions } from '../rest-api.ts';
import { giteaDialect } from './api.ts';
import { changedPaths, pullPaths, readCommit, readFile } from './commits.ts';
import { parseEvent } from './event.ts';
import { checkAccess, prove, readPush } from './prove.ts';
import { mayApprove, readPull } from './pulls.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

/** Creates a client of Gitea or Forgejo. All repositories share its connections. */
export function createGitea(options: ForgeOptions): Forge {
  const { origin, host } = new URL(options.origin);
  const lagPausesMs = (options.pausesMs ?? PAUSES_MS).slice(0, USED.late);
  const clients = createForgeClients(options, giteaDialect);
  return {
    host,
    verify: verifyDelivery,
    parseEvent: (headers, body) => parseEvent(host, headers, body),
    openRepository(scope, token, { isConfirmed = () => true, patienceMs } = {}) {
      checkScope(host, scope);
      const api = clients.openApi(scope, token, { isConfirmed, ...(patienceMs === undefined ? {} : { patienceMs }) });
      const webUrl = `${origin}/${scope.owner}/${scope.name}`;
      return {
        prove: (target, signal) => prove(api, target, { signal, lagPausesMs }),
        checkAccess: (signal) => checkAccess(api, signal),
        readFile: (path, sha, signal) => readFile(api, path, { sha, signal }),
        setStatus: (sha, status, signal) => setStatus(api, sha, { status, signal }),
        listStatuses: (sha, signal) => listStatuses(api, sha, signal),
        readCommit: (sha, signal) => readCommit(api, sha, signal),
        readPush: (target, signal) => readPush(api, target, signal),
        changedPaths: (before, sha, signal) => changedPaths(api, before, { sha, signal }),
        readPull: (number, signal) => readPull(api, number, signal),
        pullPaths: ({ number }, sha, signal) => pullPaths(api, number, { sha, signal }),
        mayApprove: (comment, signal) => mayApprove(api, comment, signal),
        gitAccess: (as) => toGitAccess(origin, webUrl, as === 'anonymous' ? undefined : token),
        fetchPack: (order, signal) => {
          const { header } = toGitAccess(origin, webUrl, token);
          return fetchPack(clients.chooseGit(isConfirmed), order, { scope, header, signal });
        },
        urls: (sha) => ({ repository: webUrl, commit: `${webUrl}/commit/${sha}` }),
        lineUrl: (path, sha, line) => `${webUrl}/src/commit/${sha}/${path}#L${line}`,
      };
    },
    close: () => clients.close(),
  };
}

/**
 * Returns the header for git. Both forges accept a token as the password of any user. The header is valid for the whole
 * forge, because private submodules are other repositories. A user who may push can read the token in the git
 * container's environment anyway.
 */
function toGitAccess(origin: string, webUrl: string, token: string | undefined): GitAccess {
  if (token === undefined) return { url: `${webUrl}.git`, urlPrefix: `${origin}/`, header: '', secrets: [] };
  const credentials = Buffer.from(`c3:${token}`).toString('base64');
  return {
    url: `${webUrl}.git`,
    urlPrefix: `${origin}/`,
    header: `Authorization: Basic ${credentials}`,
    secrets: [token, credentials],
  };
}

function checkScope(host: string, scope: Scope): void {
  if (scope.host !== host || scope.owner.includes('/')) {
    throw new C3Error('SCOPE_REFUSED', `${formatScope(scope)} cannot be a repository on ${host}`);
  }
}
