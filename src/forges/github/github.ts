import { C3Error } from '../../errors.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { Forge, ForgeEntry, GitAccess } from '../forge.ts';
import {
  createHttpClient,
  DEFAULT_RETRY_POLICY,
  type HttpClient,
  type HttpClientOptions,
  type RetryPolicy,
} from '../http-client.ts';
import { createPatientClient, PAUSES_MS, USED } from '../patient-client.ts';
import { createGithubApi, isRateLimit } from './api.ts';
import { changedPaths, readCommit, readFile } from './commits.ts';
import { parseEvent } from './event.ts';
import { fetchPack } from './fetch-pack.ts';
import { checkAccess, prove, readPush } from './prove.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

export interface GithubOptions extends Pick<ForgeEntry, 'origin' | 'apiBase'> {
  readonly retryPolicy?: RetryPolicy;
  /** Default: {@link PAUSES_MS}. */
  readonly pausesMs?: readonly number[];
}

export interface GithubForge extends Forge {
  /** Closes all connections, also those of its repositories. */
  close(): Promise<void>;
}

/**
 * Shared by all tokens that the forge has not accepted yet. A stranger can send such tokens and slow requests (A12).
 */
const MAX_UNCONFIRMED_CONNECTIONS = 8;
const MAX_UNCONFIRMED_CALLS = 2;

/** Creates a client of GitHub or GitHub Enterprise Server. All repositories share its connections. */
export function createGithub(options: GithubOptions): GithubForge {
  const { origin, host } = new URL(options.origin);
  const { apiBase, retryPolicy, pausesMs = PAUSES_MS } = options;
  const lagPausesMs = pausesMs.slice(0, USED.late);
  const apiClients = createClientPair(apiBase, { retryPolicy, isRateLimit });
  // The container fetches where one try is not enough.
  const gitClients = createClientPair(origin, {
    retryPolicy: { ...(retryPolicy ?? DEFAULT_RETRY_POLICY), retryDelaysMs: [] },
  });
  return {
    host,
    verify: verifyDelivery,
    parseEvent: (headers, body) => parseEvent(host, headers, body),
    openRepository(scope, token, { isConfirmed = () => true, patienceMs } = {}) {
      checkScope(host, scope);
      checkToken(token);
      const client = createPatientClient(apiClients.choose(isConfirmed, patienceMs), { pausesMs, isConfirmed });
      const api = createGithubApi(client, scope, token);
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
        gitAccess: () => toGitAccess(origin, webUrl, token),
        fetchPack: (order, signal) => {
          const { header } = toGitAccess(origin, webUrl, token);
          return fetchPack(gitClients.choose(isConfirmed), order, { scope, header, signal });
        },
        urls: (sha) => ({ repository: webUrl, commit: `${webUrl}/commit/${sha}` }),
        lineUrl: (path, sha, line) => `${webUrl}/blob/${sha}/${path}#L${line}`,
      };
    },
    async close() {
      await Promise.all([apiClients.close(), gitClients.close()]);
    },
  };
}

interface ClientPair {
  /** Returns a client for one repository. */
  choose(isConfirmed: () => boolean, patienceMs?: number): Pick<HttpClient, 'send'>;
  close(): Promise<void>;
}

/** Creates a client for tokens that the forge has accepted, and one for the others. */
function createClientPair(baseUrl: string, options: HttpClientOptions): ClientPair {
  const confirmed = createHttpClient(baseUrl, options);
  const unconfirmed = createHttpClient(baseUrl, {
    ...options,
    maxConnections: MAX_UNCONFIRMED_CONNECTIONS,
    maxCallsPerRepository: MAX_UNCONFIRMED_CALLS,
  });
  return {
    choose: (isConfirmed, patienceMs) => ({
      send: (request, signal) => (isConfirmed() ? confirmed : unconfirmed).send({ ...request, patienceMs }, signal),
    }),
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
