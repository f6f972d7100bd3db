import { parseJson, readObject, readString } from '../../json.ts';
import type { PullComment, PullFacts } from '../forge.ts';
import { isOfOtherRepository } from '../hub-payload.ts';
import { findCommentFault, readHubPull } from '../hub-pulls.ts';
import { toForgeError, type RestApi } from '../rest-api.ts';
import { proofCalls } from './prove.ts';

const PULL_HINT = 'the token needs the right "Pull requests: read"';

/** Reads a pull request as it is now. @see https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request */
export async function readPull(api: RestApi, number: number, signal: AbortSignal): Promise<PullFacts | undefined> {
  const pulls = { isFork: isOfOtherRepository, readBranchHead: proofCalls.readBranchHead, hint: PULL_HINT };
  return await readHubPull(api, number, { pulls, signal });
}

/**
 * Requests the comment, because a payload can name another user, and what that user may do. The permission counts
 * grants of teams and organizations.
 *
 * @see https://docs.github.com/en/rest/issues/comments#get-an-issue-comment
 * @see https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
 */
export async function mayApprove(
  api: RestApi,
  { pull, id, author, text }: PullComment,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [comment, permission] = await Promise.all([
    api.get(`/issues/comments/${id}`, signal),
    api.get(`/collaborators/${author}/permission`, signal),
  ]);
  const fault = findCommentFault(comment, {
    author,
    text,
    isOnPull: (found) => readString(found['issue_url'])?.endsWith(`/issues/${pull}`) === true,
    hint: PULL_HINT,
  });
  if (fault !== undefined) return fault;
  // GitHub answers 404 for a user that does not exist.
  if (permission.status === 404) return `${author} may not push`;
  if (permission.status !== 200) {
    throw toForgeError(`read what ${author} may do`, permission, 'the token needs the right "Metadata: read"');
  }
  const right = readObject(parseJson(permission.body))['permission'];
  return right === 'admin' || right === 'write' ? undefined : `${author} may not push`;
}
