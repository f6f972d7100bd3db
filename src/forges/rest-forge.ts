import type { CommitStatus, PullRequest } from '../build/index.ts';
import { C3Error } from '../errors.ts';
import { formatScope, type Scope } from '../sealing/scope.ts';
import { fetchPack } from './fetch-pack.ts';
import type { Delivery, Forge, ForgeEvent, GitAccess, PullComment, Repository, VerifiedBody } from './forge.ts';
import { PAUSES_MS, USED } from './patient-client.ts';
import type { ProofCalls } from './prove-ref.ts';
import { createForgeClients, type ForgeOptions, type RestApi, type RestDialect } from './rest-api.ts';

export interface CommitOptions {
  readonly sha: string;
  readonly signal: AbortSignal;
}

export interface StatusOptions {
  readonly status: CommitStatus;
  readonly signal: AbortSignal;
}

type Answer<Call extends keyof Repository> = ReturnType<NonNullable<Repository[Call]>>;

/** The calls of `Repository` in the API of one kind of forge. */
export interface RepositoryCalls extends Omit<ProofCalls, 'readBranchHead'> {
  readFile(api: RestApi, path: string, options: CommitOptions): Answer<'readFile'>;
  setStatus(api: RestApi, sha: string, options: StatusOptions): Answer<'setStatus'>;
  listStatuses(api: RestApi, sha: string, signal: AbortSignal): Answer<'listStatuses'>;
  readCommit(api: RestApi, sha: string, signal: AbortSignal): Answer<'readCommit'>;
  changedPaths(api: RestApi, before: string, options: CommitOptions): Answer<'changedPaths'>;
  readPull(api: RestApi, number: number, signal: AbortSignal): Answer<'readPull'>;
  pullPaths(api: RestApi, pull: Pick<PullRequest, 'number' | 'base'>, options: CommitOptions): Answer<'pullPaths'>;
  mayApprove(api: RestApi, comment: PullComment, signal: AbortSignal): Answer<'mayApprove'>;
}

/** One kind of forge with a REST API. */
export interface RestForgeKind {
  readonly dialect: RestDialect;
  readonly verify: Forge['verify'];
  parseEvent(host: string, headers: Delivery['headers'], body: VerifiedBody): ForgeEvent;
  readonly calls: RepositoryCalls;
  /** The name of the user with which git sends a token as the password. */
  readonly gitUser: string;
  /** Whether the owner of a repository may have slashes: a subgroup is in a group. */
  readonly hasGroups: boolean;
  /** The web pages of a commit and of a file at a commit, below that of the repository: `commit`, `blob`. */
  readonly pages: { readonly commit: string; readonly file: string };
}

/** Creates a client of a forge. All repositories share its connections. */
export function createRestForge(kind: RestForgeKind, options: ForgeOptions): Forge {
  const { calls, gitUser, pages } = kind;
  const { origin, host } = new URL(options.origin);
  const lagPausesMs = (options.pausesMs ?? PAUSES_MS).slice(0, USED.late);
  const clients = createForgeClients(options, kind.dialect);
  return {
    host,
    verify: kind.verify,
    parseEvent: (headers, body) => kind.parseEvent(host, headers, body),
    openRepository(scope, token, { isConfirmed = () => true, patienceMs } = {}) {
      checkScope(scope, host, kind);
      const api = clients.openApi(scope, token, { isConfirmed, ...(patienceMs === undefined ? {} : { patienceMs }) });
      const webUrl = `${origin}/${scope.owner}/${scope.name}`;
      return {
        prove: (target, signal) => calls.prove(api, target, { signal, lagPausesMs }),
        checkAccess: (signal) => calls.checkAccess(api, signal),
        readFile: (path, sha, signal) => calls.readFile(api, path, { sha, signal }),
        setStatus: (sha, status, signal) => calls.setStatus(api, sha, { status, signal }),
        listStatuses: (sha, signal) => calls.listStatuses(api, sha, signal),
        readCommit: (sha, signal) => calls.readCommit(api, sha, signal),
        readPush: (target, signal) => calls.readPush(api, target, signal),
        changedPaths: (before, sha, signal) => calls.changedPaths(api, before, { sha, signal }),
        readPull: (number, signal) => calls.readPull(api, number, signal),
        pullPaths: (pull, sha, signal) => calls.pullPaths(api, pull, { sha, signal }),
        mayApprove: (comment, signal) => calls.mayApprove(api, comment, signal),
        gitAccess: (as) => toGitAccess(webUrl, as === 'anonymous' ? undefined : `${gitUser}:${token}`),
        fetchPack: (order, signal) => {
          const { header } = toGitAccess(webUrl, `${gitUser}:${token}`);
          return fetchPack(clients.chooseGit(isConfirmed), order, { scope, header, signal });
        },
        urls: (sha) => ({ repository: webUrl, commit: `${webUrl}/${pages.commit}/${sha}` }),
        lineUrl: (path, sha, line) => `${webUrl}/${pages.file}/${sha}/${path}#L${line}`,
      };
    },
    close: () => clients.close(),
  };
}

/**
 * Returns the header for git. It is valid for the whole forge, because private submodules are other repositories. A user
 * who may push can read the token in the git container's environment anyway.
 *
 * @param credentials `USER:TOKEN`; undefined for anonymous access
 */
function toGitAccess(webUrl: string, credentials: string | undefined): GitAccess {
  const place = { url: `${webUrl}.git`, urlPrefix: `${new URL(webUrl).origin}/` };
  if (credentials === undefined) return { ...place, header: '', secrets: [] };
  const encoded = Buffer.from(credentials).toString('base64');
  const token = credentials.slice(credentials.indexOf(':') + 1);
  return { ...place, header: `Authorization: Basic ${encoded}`, secrets: [token, encoded] };
}

function checkScope(scope: Scope, host: string, { hasGroups }: RestForgeKind): void {
  if (scope.host !== host || (!hasGroups && scope.owner.includes('/'))) {
    throw new C3Error('SCOPE_REFUSED', `${formatScope(scope)} cannot be a repository on ${host}`);
  }
}
