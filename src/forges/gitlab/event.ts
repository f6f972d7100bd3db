import { toEventKind } from '../../build/index.ts';
import { isJsonObject, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import type { Scope } from '../../sealing/scope.ts';
import type { Delivery, ForgeEvent, VerifiedBody } from '../forge.ts';
import {
  findSkipMark,
  invalid,
  parsePayload,
  quotePayload,
  readPushedRef,
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
import { toCommitFacts } from '../untrusted-text.ts';

/**
 * Reads a delivery. An attacker can write any text in it, even if its signature is valid. So this function checks
 * each value that it returns, and uses no URL from the payload (A6, A8).
 *
 * @throws {C3Error} PAYLOAD_INVALID if GitLab would not send such a payload
 * @see https://docs.gitlab.com/user/project/integrations/webhook_events/
 */
export function parseEvent(host: string, headers: Delivery['headers'], body: VerifiedBody): ForgeEvent {
  const name = headers['x-gitlab-event'];
  if (name === undefined || name === '') throw invalid('has no X-Gitlab-Event header');
  const payload = parsePayload(headers['content-type'] ?? '', body.bytes);
  const project = readObject(payload['project']);
  const path = project['path_with_namespace'];
  const scope = path === undefined || path === null ? undefined : requireScope(host, path, PATH_FIELD);
  const parse = PARSERS.get(name);
  if (parse === undefined) return { kind: 'ignored', scope, reason: `c3 ignores the event ${quotePayload(name)}` };
  if (scope === undefined) throw invalid(`is a ${name} but names no project`);
  return parse(scope, payload);
}

const PATH_FIELD = 'project.path_with_namespace';

const PARSERS: ReadonlyMap<string, (scope: Scope, payload: UnknownObject) => ForgeEvent> = new Map([
  ['Push Hook', parsePush],
  ['Tag Push Hook', parsePush],
  ['Merge Request Hook', parseMergeRequest],
  ['Note Hook', parseNote],
]);

/** GitLab has no event for a ping: the button "Test" sends the last push again. */
function parsePush(scope: Scope, payload: UnknownObject): ForgeEvent {
  const pushed = readPushedRef(payload);
  if (pushed.kind === 'ignored') return { ...pushed, scope };
  const { ref, after } = pushed;
  const event = toEventKind(ref);
  // For an annotated tag, `after` is the tag object.
  const sha = event === 'tag' ? requireSha(payload['checkout_sha'] ?? after, 'checkout_sha') : after;
  // GitLab lists the newest 20 commits, and none for a new branch without new commits.
  const commits = readArray(payload['commits']).map(readObject);
  const commit = readObject(commits.find(({ id }) => id === sha));
  const message = readString(commit['message']) ?? '';
  const skipMark = event === 'tag' ? undefined : findSkipMark(message);
  if (skipMark !== undefined) return { kind: 'ignored', scope, reason: `the commit's message says ${skipMark}` };
  const isSkipped = readObject(readObject(payload['push_options'])['ci'])['skip'] === true;
  if (isSkipped) return { kind: 'ignored', scope, reason: 'the push has the option ci.skip' };
  const facts = toCommitFacts(message, [readObject(commit['author'])['name'], payload['user_name']]);
  const before = event === 'tag' ? undefined : toCommitBefore(payload['before'], 'before');
  return { kind: 'build', scope, build: { scope, event, ref, sha, before, commit: facts } };
}

function parseMergeRequest(scope: Scope, payload: UnknownObject): ForgeEvent {
  const pull = requireObject(payload['object_attributes'], 'object_attributes');
  const { action } = pull;
  const number = requireNumber(pull['iid'], 'object_attributes.iid');
  if (action === 'close' || action === 'merge') return { kind: 'closed', scope, pull: number };
  if (!isBuilt(action, pull, readObject(payload['changes']))) {
    const reason = `c3 ignores the action ${quotePayload(String(action))} of a merge request without new commits`;
    return { kind: 'ignored', scope, reason };
  }
  // A branch without new commits can have a merge request.
  if (!isJsonObject(pull['last_commit'])) return { kind: 'ignored', scope, reason: 'the merge request has no commits' };
  const user = readObject(payload['user']);
  const build = toPullBuild({
    scope,
    number,
    base: requireBranch(pull['target_branch'], 'object_attributes.target_branch'),
    head: requireBranch(pull['source_branch'], 'object_attributes.source_branch'),
    isDraft: isDraft(pull),
    isFork: isFork(pull),
    sha: requireSha(pull['last_commit']['id'], 'object_attributes.last_commit.id'),
    before: toCommitBefore(pull['oldrev'], 'object_attributes.oldrev'),
    title: readString(pull['title']) ?? '',
    // The payload names the user of the action. Of the author it has only the id.
    author:
      readString(
        user['id'] === pull['author_id'] ? user['username'] : readObject(pull['last_commit']['author'])['name'],
      ) ?? '',
  });
  return { kind: 'build', scope, build };
}

/** Returns whether a merge request has other commits or another condition after an action. */
function isBuilt(action: unknown, pull: UnknownObject, changes: UnknownObject): boolean {
  if (action === 'open' || action === 'reopen') return true;
  if (action !== 'update') return false;
  // GitLab sends `oldrev` only with new commits.
  const isReady = readObject(changes['draft'])['previous'] === true && !isDraft(pull);
  return isReady || typeof pull['oldrev'] === 'string' || isJsonObject(changes['target_branch']);
}

/** GitLab before 14 has only the older name. */
export function isDraft({ draft, work_in_progress: isUnfinished }: UnknownObject): boolean {
  return draft === true || (draft === undefined && isUnfinished === true);
}

/** Returns whether the source of a merge request is another project. That of a deleted project is null. */
export function isFork({ source_project_id: source, target_project_id: target }: UnknownObject): boolean {
  return typeof source !== 'number' || source !== target;
}

function parseNote(scope: Scope, payload: UnknownObject): ForgeEvent {
  const note = requireObject(payload['object_attributes'], 'object_attributes');
  // GitLab before 16.11 sends no action, and no event for an edited note.
  const isNew = note['action'] === undefined || note['action'] === 'create';
  if (note['noteable_type'] !== 'MergeRequest' || note['system'] === true || !isNew) {
    return { kind: 'ignored', scope, reason: 'c3 reads only new comments on merge requests' };
  }
  return {
    kind: 'comment',
    scope,
    comment: {
      pull: requireNumber(requireObject(payload['merge_request'], 'merge_request')['iid'], 'merge_request.iid'),
      id: String(requireNumber(note['id'], 'object_attributes.id')),
      author: requireText(requireObject(payload['user'], 'user')['username'], 'user.username'),
      createdAt: requireTime(note['created_at'], 'object_attributes.created_at'),
      text: requireText(note['note'], 'object_attributes.note'),
    },
  };
}
