import { type Ref, toEventKind } from '../build/index.ts';
import { isJsonObject, readObject, readString, type UnknownObject } from '../json.ts';
import type { Scope } from '../sealing/scope.ts';
import type { ForgeEvent } from './forge.ts';
import {
  findSkipMark,
  invalid,
  quotePayload,
  requireNumber,
  requireObject,
  requireScope,
  requireSha,
  requireText,
  requireTime,
  toCommitBefore,
} from './payload.ts';
import { toCommitFacts } from './untrusted-text.ts';

/** Payloads of GitHub, as Gitea and Forgejo have them too. */

/** Reads the repository of a payload. @throws {C3Error} PAYLOAD_INVALID */
export function parseRepository(host: string, repository: unknown): Scope | undefined {
  if (repository === undefined || repository === null) return undefined;
  const fullName = requireObject(repository, 'repository')['full_name'];
  const scope = requireScope(host, fullName, 'repository.full_name');
  if (!scope.owner.includes('/')) return scope;
  throw invalid(`names the repository ${quotePayload(String(fullName))}, which is not of the form OWNER/NAME`);
}

/** @param nameKeys the fields with the name of a user, the best first */
export function toPushEvent(
  scope: Scope,
  payload: UnknownObject,
  { ref, after, nameKeys }: { readonly ref: Ref; readonly after: string; readonly nameKeys: readonly string[] },
): ForgeEvent {
  const head = isJsonObject(payload['head_commit']) ? payload['head_commit'] : undefined;
  const message = readString(head?.['message']) ?? '';
  const event = toEventKind(ref);
  // A release commit often has a mark, so that its branch is not built again. But its tag must be built.
  const skipMark = event === 'tag' ? undefined : findSkipMark(message);
  if (skipMark !== undefined) return { kind: 'ignored', scope, reason: `the commit's message says ${skipMark}` };
  // For an annotated tag, `after` is the tag object. Only `head_commit` has the commit that the tag points at:
  // https://github.blog/changelog/2021-10-01-the-push-webhook-payload-provides-a-consistent-head_commit-on-tag-creation/
  const sha = event === 'tag' && head !== undefined ? requireSha(head['id'], 'head_commit.id') : after;
  const users = [head?.['author'], payload['pusher']].map(readObject);
  const names = users.flatMap((user) => nameKeys.map((key) => user[key]));
  // The commit before a new branch is written as zeros.
  const before = event === 'tag' ? undefined : toCommitBefore(payload['before'], 'before');
  const commit = toCommitFacts(message, names);
  return { kind: 'build', scope, build: { scope, event, ref, sha, before, commit } };
}

/** Returns whether the head of a pull request is in another repository. A deleted one is null. */
export function isOfOtherRepository(scope: Scope, head: UnknownObject): boolean {
  return readString(readObject(head['repo'])['full_name'])?.toLowerCase() !== `${scope.owner}/${scope.name}`;
}

/** Returns the event of a comment on a pull request. An edited comment is not a command: it can be another person's. */
export function toCommentEvent(scope: Scope, payload: UnknownObject, isOnPull: boolean): ForgeEvent {
  if (payload['action'] !== 'created' || !isOnPull) {
    return { kind: 'ignored', scope, reason: 'c3 reads only new comments on pull requests' };
  }
  const comment = requireObject(payload['comment'], 'comment');
  return {
    kind: 'comment',
    scope,
    comment: {
      pull: requireNumber(requireObject(payload['issue'], 'issue')['number'], 'issue.number'),
      id: String(requireNumber(comment['id'], 'comment.id')),
      author: requireText(requireObject(comment['user'], 'comment.user')['login'], 'comment.user.login'),
      createdAt: requireTime(comment['created_at'], 'comment.created_at'),
      text: requireText(comment['body'], 'comment.body'),
    },
  };
}
