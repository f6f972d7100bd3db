import { parseRef, toEventKind } from '../../build/index.ts';
import { isJsonObject, readObject, readString, type UnknownObject } from '../../json.ts';
import type { Scope } from '../../sealing/scope.ts';
import type { Delivery, ForgeEvent, VerifiedBody } from '../forge.ts';
import {
  findSkipMark,
  invalid,
  parsePayload,
  quotePayload,
  requireBranch,
  requireNumber,
  requireObject,
  requireScope,
  requireSha,
  requireText,
  requireTime,
  toCommitBefore,
  toPullBuild,
} from '../payload.ts';
import { isRefName, MAX_AUTHOR_LENGTH, MAX_SUBJECT_LENGTH, toPrintableLine } from '../untrusted-text.ts';

/**
 * Reads a delivery. An attacker can write any text in it, even if its signature is valid. So this function checks
 * each value that it returns, and uses no URL from the payload (A6, A8).
 *
 * @throws {C3Error} PAYLOAD_INVALID if GitHub would not send such a payload
 * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads
 */
export function parseEvent(host: string, headers: Delivery['headers'], body: VerifiedBody): ForgeEvent {
  const name = headers['x-github-event'];
  if (name === undefined || name === '') throw invalid('has no X-GitHub-Event header');
  const payload = parsePayload(headers['content-type'] ?? '', body.bytes);
  const scope = parseRepository(host, payload['repository']);
  if (name === 'ping') return { kind: 'ping', scope };
  const parse = PARSERS.get(name);
  if (parse === undefined) return { kind: 'ignored', scope, reason: `c3 ignores the event ${quotePayload(name)}` };
  if (scope === undefined) throw invalid(`is a ${name} but names no repository`);
  return parse(scope, payload);
}

const PARSERS: ReadonlyMap<string, (scope: Scope, payload: UnknownObject) => ForgeEvent> = new Map([
  ['push', parsePush],
  ['pull_request', parsePull],
  ['issue_comment', parseComment],
]);

function parsePush(scope: Scope, payload: UnknownObject): ForgeEvent {
  const fullRef = requireText(payload['ref'], 'ref');
  if (!isRefName(fullRef)) throw invalid(`names the ref ${quotePayload(fullRef)}, which is not a valid ref name`);
  const ref = parseRef(fullRef);
  if (ref === undefined) return { kind: 'ignored', scope, reason: `${fullRef} is neither a branch nor a tag` };
  const after = requireSha(payload['after'], 'after');
  const isDeleted = payload['deleted'] === true || /^0+$/.test(after);
  if (isDeleted) return { kind: 'ignored', scope, reason: 'the ref was deleted' };
  const commit = isJsonObject(payload['head_commit']) ? payload['head_commit'] : undefined;
  const message = readString(commit?.['message']) ?? '';
  const event = toEventKind(ref);
  // A release commit often has a mark, so that its branch is not built again. But its tag must be built.
  const skipMark = event === 'tag' ? undefined : findSkipMark(message);
  if (skipMark !== undefined) return { kind: 'ignored', scope, reason: `the commit's message says ${skipMark}` };
  // For an annotated tag, `after` is the tag object. Only `head_commit` has the commit that the tag points at:
  // https://github.blog/changelog/2021-10-01-the-push-webhook-payload-provides-a-consistent-head_commit-on-tag-creation/
  const sha = event === 'tag' && commit !== undefined ? requireSha(commit['id'], 'head_commit.id') : after;
  const subject = toPrintableLine(message, MAX_SUBJECT_LENGTH);
  const author = toAuthor(commit?.['author']) || toAuthor(payload['pusher']);
  // GitHub writes the commit before a new branch as zeros.
  const before = event === 'tag' ? undefined : toCommitBefore(payload['before'], 'before');
  return { kind: 'build', scope, build: { scope, event, ref, sha, before, commit: { subject, author } } };
}

/** The actions after which a pull request has other commits or another condition. `edited`: only of its base. */
const PULL_ACTIONS: readonly unknown[] = ['opened', 'synchronize', 'reopened', 'ready_for_review', 'edited'];

/** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request */
function parsePull(scope: Scope, payload: UnknownObject): ForgeEvent {
  const { action } = payload;
  const pull = requireObject(payload['pull_request'], 'pull_request');
  const number = requireNumber(pull['number'], 'pull_request.number');
  if (action === 'closed') return { kind: 'closed', scope, pull: number };
  const isBaseEdited = action === 'edited' && isJsonObject(readObject(payload['changes'])['base']);
  if (!PULL_ACTIONS.includes(action) || (action === 'edited' && !isBaseEdited)) {
    const reason = `c3 ignores the action ${quotePayload(String(action))} of a pull request`;
    return { kind: 'ignored', scope, reason };
  }
  const head = requireObject(pull['head'], 'pull_request.head');
  const build = toPullBuild({
    scope,
    number,
    base: requireBranch(requireObject(pull['base'], 'pull_request.base')['ref'], 'pull_request.base.ref'),
    head: requireBranch(head['ref'], 'pull_request.head.ref'),
    isDraft: pull['draft'] === true,
    isFork: isFork(scope, head),
    sha: requireSha(head['sha'], 'pull_request.head.sha'),
    before: action === 'synchronize' ? toCommitBefore(payload['before'], 'before') : undefined,
    title: readString(pull['title']) ?? '',
    author: readString(readObject(pull['user'])['login']) ?? '',
  });
  return { kind: 'build', scope, build };
}

/** Returns whether the head of a pull request is in another repository. A deleted one is null. */
export function isFork(scope: Scope, head: UnknownObject): boolean {
  return readString(readObject(head['repo'])['full_name'])?.toLowerCase() !== `${scope.owner}/${scope.name}`;
}

/** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#issue_comment */
function parseComment(scope: Scope, payload: UnknownObject): ForgeEvent {
  const issue = requireObject(payload['issue'], 'issue');
  // An edited comment is not a command: it can be another person's.
  if (payload['action'] !== 'created' || !isJsonObject(issue['pull_request'])) {
    return { kind: 'ignored', scope, reason: 'c3 reads only new comments on pull requests' };
  }
  const comment = requireObject(payload['comment'], 'comment');
  return {
    kind: 'comment',
    scope,
    comment: {
      pull: requireNumber(issue['number'], 'issue.number'),
      id: String(requireNumber(comment['id'], 'comment.id')),
      author: requireText(requireObject(comment['user'], 'comment.user')['login'], 'comment.user.login'),
      createdAt: requireTime(comment['created_at'], 'comment.created_at'),
      text: requireText(comment['body'], 'comment.body'),
    },
  };
}

function parseRepository(host: string, repository: unknown): Scope | undefined {
  if (repository === undefined || repository === null) return undefined;
  const fullName = requireObject(repository, 'repository')['full_name'];
  const scope = requireScope(host, fullName, 'repository.full_name');
  if (!scope.owner.includes('/')) return scope;
  throw invalid(`names the repository ${quotePayload(String(fullName))}, which is not of the form OWNER/NAME`);
}

function toAuthor(value: unknown): string {
  const { name, username } = readObject(value);
  const names = [name, username].map((text) => toPrintableLine(readString(text) ?? '', MAX_AUTHOR_LENGTH));
  return names.find((text) => text !== '') ?? '';
}
