import { C3Error } from '../../errors.ts';
import { formatScope, type Scope } from '../../sealing/scope.ts';
import type { Forge, GitAccess } from '../forge.ts';
import { createHttpClient, type HttpClient, type Patience } from '../http-client.ts';
import { createGithubApi, readFile } from './api.ts';
import { readCommit } from './commit.ts';
import { listChangedPaths } from './compare.ts';
import { parseEvent } from './event.ts';
import { prove } from './prove.ts';
import { listStatuses, setStatus } from './statuses.ts';
import { verifyDelivery } from './verify.ts';

export interface GithubOptions {
  /** `https://github.com`: scheme and host, no path. */
  readonly origin: string;
  /** `https://api.github.com`, or `https://ghe.example.com/api/v3`: no slash at its end. */
  readonly apiBase: string;
  readonly patience?: Patience;
  /** See {@link prove}. Default one second. */
  readonly lagMs?: number;
}

export interface GithubForge extends Forge {
  /** Ends all connections, those of its repositories too. */
  close(): Promise<void>;
}

const DEFAULT_LAG_MS = 1_000;
/** For all tokens together that are not confirmed: anybody may bring one, and ask for what takes the forge long. */
const MAX_NEW_CONNECTIONS = 8;

/** GitHub, or GitHub Enterprise Server. All repositories share its connections, so that a build finds them warm. */
export function createGithub(options: GithubOptions): GithubForge {
  const { origin, host } = new URL(options.origin);
  const common = options.patience === undefined ? {} : { patience: options.patience };
  const confirmed = createHttpClient(options.apiBase, common);
  const newcomers = createHttpClient(options.apiBase, { ...common, maxConnections: MAX_NEW_CONNECTIONS });
  const lagMs = options.lagMs ?? DEFAULT_LAG_MS;
  return {
    host,
    verify: verifyDelivery,
    parseEvent: (headers, body) => parseEvent(host, headers, body),
    openRepository(scope, token, { isConfirmed = () => true } = {}) {
      checkScope(host, scope);
      checkToken(token);
      const client: Pick<HttpClient, 'send'> = {
        send: (call, signal) => (isConfirmed() ? confirmed : newcomers).send(call, signal),
      };
      const api = createGithubApi(client, scope, token);
      return {
        prove: (target, signal) => prove(api, target, { signal, lagMs }),
        readFile: (path, sha, signal) => readFile(api, path, { sha, signal }),
        setStatus: (sha, status, signal) => setStatus(api, sha, { status, signal }),
        listStatuses: (sha, signal) => listStatuses(api, sha, signal),
        readCommit: (sha, signal) => readCommit(api, sha, signal),
        listChangedPaths: (before, sha, signal) => listChangedPaths(api, before, { sha, signal }),
        gitAccess: () => toGitAccess(origin, scope, token),
        lineUrl: (path, sha, line) => `${toWebUrl(origin, scope)}/blob/${sha}/${path}#L${line}`,
        urls: (sha) => ({ repository: toWebUrl(origin, scope), commit: `${toWebUrl(origin, scope)}/commit/${sha}` }),
      };
    },
    async close() {
      await Promise.all([confirmed.close(), newcomers.close()]);
    },
  };
}

/**
 * GitHub takes any token as the password of the user `x-access-token`. The header goes to this forge alone, and to all of it:
 * private submodules are other repositories. Whoever may push could read the token in the git container's environment anyway.
 */
function toGitAccess(origin: string, scope: Scope, token: string): GitAccess {
  const url = `${toWebUrl(origin, scope)}.git`;
  const credentials = Buffer.from(`x-access-token:${token}`).toString('base64');
  return { url, urlPrefix: `${origin}/`, header: `Authorization: Basic ${credentials}`, secrets: [token, credentials] };
}

function checkScope(host: string, scope: Scope): void {
  if (scope.host !== host || scope.owner.includes('/')) {
    throw new C3Error('SCOPE_REFUSED', `${formatScope(scope)} cannot be a repository on ${host}`);
  }
}

function checkToken(token: string): void {
  // Anything else cannot stand in a header, and would be quoted by whatever refuses it.
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new C3Error(
      'FORGE_UNAUTHORIZED',
      'The token sealed in the hook key holds spaces, line ends or other characters that no token has',
      {
        hint: 'seal it again, the token alone',
      },
    );
  }
}

/** Returns where people look at a repository. */
function toWebUrl(origin: string, scope: Scope): string {
  return `${origin}/${scope.owner}/${scope.name}`;
}
