import { parseJson, readInteger, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { PullComment, PullFacts } from '../forge.ts';
import { readRepository } from '../prove-ref.ts';
import { toForgeError, type RestApi } from '../rest-api.ts';
import { toCommitFacts } from '../untrusted-text.ts';
import { getSegments, RIGHTS_HINT } from './api.ts';
import { isDraft, isFork } from './event.ts';
import { DEVELOPER, proofCalls } from './prove.ts';

/** Reads a merge request as it is now. */
export async function readPull(api: RestApi, number: number, signal: AbortSignal): Promise<PullFacts | undefined> {
  const [found, project] = await Promise.all([readMergeRequest(api, number, signal), readRepository(api, signal)]);
  if (found === undefined) return undefined;
  const { visibility, repository_access_level: access } = readObject(parseJson(project.body));
  const { pull, head, base } = found;
  const isOfFork = isFork(pull);
  return {
    number,
    sha: readString(pull['sha']) ?? '',
    head,
    base,
    isDraft: isDraft(pull),
    isFork: isOfFork,
    isOpen: pull['state'] === 'opened',
    // A public project can show its repository to its members only.
    isPublic: project.status === 200 && visibility === 'public' && access === 'enabled',
    baseSha: isOfFork ? await proofCalls.readBranchHead(api, base, signal) : undefined,
    commit: toCommitFacts(pull['title'], [readObject(pull['author'])['username']]),
  };
}

interface MergeRequest {
  readonly pull: UnknownObject;
  readonly head: string;
  readonly base: string;
}

/** @see https://docs.gitlab.com/api/merge_requests/#retrieve-a-merge-request */
async function readMergeRequest(api: RestApi, number: number, signal: AbortSignal): Promise<MergeRequest | undefined> {
  const response = await api.get(`/merge_requests/${number}`, signal);
  if (response.status === 404) return undefined;
  const pull = response.status === 200 ? readObject(parseJson(response.body)) : {};
  const { source_branch: head, target_branch: base } = pull;
  if (typeof head === 'string' && typeof base === 'string') return { pull, head, base };
  throw toForgeError(`read merge request ${number} of ${formatScope(api.scope)}`, response, RIGHTS_HINT);
}

/**
 * Returns the ref in which GitLab shows the pipelines of a merge request: its branch, or for a fork the ref of its
 * commits in this project. Returns undefined if there is no such merge request.
 */
export async function readPullRef(api: RestApi, number: number, signal: AbortSignal): Promise<string | undefined> {
  const found = await readMergeRequest(api, number, signal);
  return found && isFork(found.pull) ? `refs/merge-requests/${number}/head` : found?.head;
}

/**
 * Requests the comment, because a payload can name another user, and then the role of its author. That role counts
 * grants of groups.
 *
 * @see https://docs.gitlab.com/api/notes/#retrieve-a-merge-request-note
 * @see https://docs.gitlab.com/api/project_members/
 */
export async function mayApprove(
  api: RestApi,
  { pull, id, author, text }: PullComment,
  signal: AbortSignal,
): Promise<string | undefined> {
  const response = await api.get(`/merge_requests/${pull}/notes/${id}`, signal);
  if (response.status === 404) return 'the forge has no such comment';
  if (response.status !== 200) throw toForgeError('read the comment', response, RIGHTS_HINT);
  const note = readObject(parseJson(response.body));
  const user = readObject(note['author']);
  const isSame = note['noteable_type'] === 'MergeRequest' && note['system'] === false && note['body'] === text;
  const userId = readInteger(user['id'], { min: 1 });
  if (!isSame || user['username'] !== author || userId === undefined) {
    return 'the comment at the forge has another text, author or merge request';
  }
  const member = await getSegments(api, ['members', 'all', String(userId)], signal);
  // GitLab answers 404 for a user who is no member.
  if (member.status === 404) return `${author} may not push`;
  if (member.status !== 200) throw toForgeError(`read what ${author} may do`, member, RIGHTS_HINT);
  const level = readInteger(readObject(parseJson(member.body))['access_level']) ?? 0;
  return level >= DEVELOPER ? undefined : `${author} may not push`;
}
