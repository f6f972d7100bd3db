import { C3Error } from '../../errors.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { Forge, ForgeEntry, GitAccess } from '../forge.ts';
import { createHttpClient, type HttpClient, type RetryPolicy } from '../http-client.ts';
import { createGithubApi, isRateLimit } from './api.ts';
import { changedPaths, readCommit, readFile } from './commits.ts';
import { parseEvent } from './event.ts';
import { prove } from './prove.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

export interface GithubOptions extends Pick<ForgeEntry, 'origin' | 'apiBase'> {
  readonly retryPolicy?: RetryPolicy;
  /** See {@link prove}. Default one second. */
  readonly lagMs?: number;
}

export interface GithubForge extends Forge {
  /** Closes all connections, also those of its repositories. */
  close(): Promise<void>;
}

const DEFAULT_LAG_MS = 1_000;
/**
 * Shared by all tokens that the forge has not accepted yet. A stranger can send such tokens and slow requests (A12).
 */
const MAX_UNCONFIRMED_CONNECTIONS = 8;

/** Creates a client of GitHub or GitHub Enterprise Server. All repositories share its connections. */
export function createGithub(options: GithubOptions): GithubForge {
  const { origin, host } = new URL(options.origin);
  const { apiBase, retryPolicy, lagMs = DEFAULT_LAG_MS } = options;
  const confirmed = createHttpClient(apiBase, { retryPolicy, isRateLimit });
  const limits = { retryPolicy, isRateLimit, maxConnections: MAX_UNCONFIRMED_CONNECTIONS };
  const unconfirmed = createHttpClient(apiBase, limits);
  return {
    host,
    verify: verifyDelivery,
    parseEvent: (headers, body) => parseEvent(host, headers, body),
    openRepository(scope, token, { isConfirmed = () => true } = {}) {
      checkScope(host, scope);
      checkToken(token);
      const client: Pick<HttpClient, 'send'> = {
        send: (request, signal) => (isConfirmed() ? confirmed : unconfirmed).send(request, signal),
      };
      const api = createGithubApi(client, scope, token);
      const webUrl = `${origin}/${scope.owner}/${scope.name}`;
      return {
        prove: (target, signal) => prove(api, target, { signal, lagMs }),
        readFile: (path, sha, signal) => readFile(api, path, { sha, signal }),
        setStatus: (sha, status, signal) => setStatus(api, sha, { status, signal }),
        listStatuses: (sha, signal) => listStatuses(api, sha, signal),
        readCommit: (sha, signal) => readCommit(api, sha, signal),
        changedPaths: (before, sha, signal) => changedPaths(api, before, { sha, signal }),
        gitAccess: () => toGitAccess(origin, webUrl, token),
        urls: (sha) => ({ repository: webUrl, commit: `${webUrl}/commit/${sha}` }),
        lineUrl: (path, sha, line) => `${webUrl}/blob/${sha}/${path}#L${line}`,
      };
    },
    async close() {
      await Promise.all([confirmed.close(), unconfirmed.close()]);
    },
  };
}

/**
 * Returns the header for git. GitHub accepts any token as the password of the user `x-access-token`. The header is
 * valid for the whole forge, because private submodules are other repositories. A user who may push can read the
 * token in the git container's environment anyway.
 */
function toGitAccess(origin: string, webUrl: string, token: string): GitAccess {
  const credentials = Buffer.from(`x-access-token:${token}`).toString('base64');
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

function checkToken(token: string): void {
  // Other characters are not valid in a header, and an error of the HTTP client would quote them.
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    const message =
      'The token sealed in the hook key contains spaces, line breaks or other characters that no token has';
    throw new C3Error('FORGE_UNAUTHORIZED', message, { hint: 'seal it again, without any other text' });
  }
}
