import { parseJson, readObject, readString, type UnknownObject } from '../json.ts';
import { formatScope, type Scope } from '../sealing/scope.ts';
import type { PullComment, PullFacts } from './forge.ts';
import type { HttpResponse } from './http-client.ts';
import { toForgeError, type RestApi } from './rest-api.ts';
import { toCommitFacts } from './untrusted-text.ts';

/** What differs between GitHub and the forges that have its pull requests. */
export interface HubPulls {
  isFork(scope: Scope, head: UnknownObject): boolean;
  /** Reads the newest commit of a branch. */
  readBranchHead(api: RestApi, name: string, signal: AbortSignal): Promise<string | undefined>;
  /** What the token needs. */
  readonly hint: string;
}

/** Reads a pull request as it is now. */
export async function readHubPull(
  api: RestApi,
  number: number,
  { pulls, signal }: { readonly pulls: HubPulls; readonly signal: AbortSignal },
): Promise<PullFacts | undefined> {
  const response = await api.get(`/pulls/${number}`, signal);
  if (response.status === 404) return undefined;
  const pull = response.status === 200 ? readObject(parseJson(response.body)) : {};
  const head = readObject(pull['head']);
  const base = readObject(pull['base']);
  const [sha, branch, target] = [head['sha'], head['ref'], base['ref']];
  if (typeof sha !== 'string' || typeof branch !== 'string' || typeof target !== 'string') {
    throw toForgeError(`read pull request ${number} of ${formatScope(api.scope)}`, response, pulls.hint);
  }
  const { private: isPrivate, internal: isInternal } = readObject(base['repo']);
  const isFork = pulls.isFork(api.scope, head);
  return {
    number,
    sha,
    head: branch,
    base: target,
    isDraft: pull['draft'] === true,
    isFork,
    isOpen: pull['state'] === 'open',
    // Gitea shows an internal repository to its users only.
    isPublic: isPrivate === false && isInternal !== true,
    baseSha: isFork ? await pulls.readBranchHead(api, target, signal) : undefined,
    commit: toCommitFacts(pull['title'], [readObject(pull['user'])['login']]),
  };
}

/** What a comment at the forge is compared with. */
export interface ExpectedComment extends Pick<PullComment, 'author' | 'text'> {
  isOnPull(comment: UnknownObject): boolean;
  /** What the token needs. */
  readonly hint: string;
}

/** Returns why the comment in a response is not the one that the webhook reported; undefined if it is. */
export function findCommentFault(response: HttpResponse, expected: ExpectedComment): string | undefined {
  if (response.status === 404 || response.status === 204) return 'the forge has no such comment';
  if (response.status !== 200) throw toForgeError('read the comment', response, expected.hint);
  const comment = readObject(parseJson(response.body));
  const author = readString(readObject(comment['user'])['login']);
  const isSame = expected.isOnPull(comment) && author === expected.author && comment['body'] === expected.text;
  return isSame ? undefined : 'the comment at the forge has another text, author or pull request';
}

/** The right is the user's, not the token's. The first status shows whether the token may set statuses. */
export function findHubRefusal(repository: UnknownObject, scope: string): string | undefined {
  return readObject(repository['permissions'])['push'] === true ? undefined : `the token may not push to ${scope}`;
}
