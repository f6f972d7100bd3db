import { parseJson, readObject, readString } from '../../json.ts';
import type { PullComment, PullFacts } from '../forge.ts';
import { findCommentFault, readHubPull } from '../hub-pulls.ts';
import { toForgeError, type RestApi } from '../rest-api.ts';
import { READ_HINT } from './api.ts';
import { isFork } from './event.ts';
import { proofCalls } from './prove.ts';

/** Reads a pull request as it is now. */
export async function readPull(api: RestApi, number: number, signal: AbortSignal): Promise<PullFacts | undefined> {
  const pulls = { isFork, readBranchHead: proofCalls.readBranchHead, hint: READ_HINT };
  return await readHubPull(api, number, { pulls, signal });
}

/**
 * Requests the comment, because a payload can name another user, and what that user may do. The forge shows other
 * users' rights only to administrators of the repository.
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
    isOnPull: (found) => readString(found['pull_request_url'])?.endsWith(`/pulls/${pull}`) === true,
    hint: 'the token needs the scope "read:issue"',
  });
  if (fault !== undefined) return fault;
  if (permission.status === 404) return `${author} may not push`;
  if (permission.status === 403) {
    return `the forge does not tell this token what ${author} may do: give c3 the token of an administrator of the repository, or use the buttons in Telegram`;
  }
  if (permission.status !== 200) throw toForgeError(`read what ${author} may do`, permission, READ_HINT);
  const right = readObject(parseJson(permission.body))['permission'];
  return right === 'owner' || right === 'admin' || right === 'write' ? undefined : `${author} may not push`;
}
