import { isJsonObject, readObject, readString, type UnknownObject } from '../../json.ts';
import type { Scope } from '../../sealing/scope.ts';
import type { Delivery, ForgeEvent, VerifiedBody } from '../forge.ts';
import { isOfOtherRepository, parseRepository, toCommentEvent, toPushEvent } from '../hub-payload.ts';
import {
  invalid,
  parsePayload,
  quotePayload,
  readPushedRef,
  requireBranch,
  requireNumber,
  requireObject,
  requireSha,
  toPullBuild,
} from '../payload.ts';

/**
 * Reads a delivery. An attacker can write any text in it, even if its signature is valid. So this function checks
 * each value that it returns, and uses no URL from the payload (A6, A8).
 *
 * @throws {C3Error} PAYLOAD_INVALID if neither Gitea nor Forgejo would send such a payload
 * @see https://docs.gitea.com/usage/webhooks
 */
export function parseEvent(host: string, headers: Delivery['headers'], body: VerifiedBody): ForgeEvent {
  const name = headers['x-forgejo-event'] ?? headers['x-gitea-event'];
  if (name === undefined || name === '') throw invalid('has no X-Gitea-Event or X-Forgejo-Event header');
  const payload = parsePayload(headers['content-type'] ?? '', body.bytes);
  const scope = parseRepository(host, payload['repository']);
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
  const pushed = readPushedRef(payload);
  if (pushed.kind === 'ignored') return { ...pushed, scope };
  // "Test delivery" sends the newest commit as a push from itself.
  if (payload['before'] === pushed.after) return { kind: 'ping', scope };
  return toPushEvent(scope, payload, { ...pushed, nameKeys: ['name', 'full_name', 'login'] });
}

/** Gitea writes "synchronized" where GitHub writes "synchronize". `edited` is also a change of the title or the base. */
const PULL_ACTIONS: readonly unknown[] = ['opened', 'synchronized', 'reopened'];

/** The beginning of a title that makes a pull request a draft, with default settings. */
const DRAFT_MARK = /^\s*(?:\[WIP\]|WIP:)/i;

function parsePull(scope: Scope, payload: UnknownObject): ForgeEvent {
  const { action } = payload;
  const pull = requireObject(payload['pull_request'], 'pull_request');
  const number = requireNumber(pull['number'], 'pull_request.number');
  if (action === 'closed') return { kind: 'closed', scope, pull: number };
  const changes = readObject(payload['changes']);
  const isOtherBase = isJsonObject(changes['ref']);
  const isReady = DRAFT_MARK.test(readString(readObject(changes['title'])['from']) ?? '') && pull['draft'] !== true;
  if (!PULL_ACTIONS.includes(action) && !(action === 'edited' && (isOtherBase || isReady))) {
    const reason = `c3 ignores the action ${quotePayload(String(action))} of a pull request`;
    return { kind: 'ignored', scope, reason };
  }
  const head = requireObject(pull['head'], 'pull_request.head');
  const isOfFork = isFork(scope, head);
  const build = toPullBuild({
    scope,
    number,
    base: requireBranch(requireObject(pull['base'], 'pull_request.base')['ref'], 'pull_request.base.ref'),
    // After a fork was deleted, and for a push to refs/for/, Gitea writes the ref of the pull request.
    head: isOfFork ? (readString(head['ref']) ?? '') : requireBranch(head['ref'], 'pull_request.head.ref'),
    isDraft: pull['draft'] === true,
    isFork: isOfFork,
    sha: requireSha(head['sha'], 'pull_request.head.sha'),
    before: undefined,
    title: readString(pull['title']) ?? '',
    author: readString(readObject(pull['user'])['login']) ?? '',
  });
  return { kind: 'build', scope, build };
}

/**
 * Returns whether the head of a pull request is not a branch of this repository. A deleted fork is null. A user who may
 * only read can push to `refs/for/BRANCH`: then the payload names this repository, and the ref of the pull request.
 *
 * @see https://docs.gitea.com/usage/agit
 */
export function isFork(scope: Scope, head: UnknownObject): boolean {
  if (PULL_REF.test(readString(head['ref']) ?? '')) return true;
  return isOfOtherRepository(scope, head);
}

const PULL_REF = /^refs\/pull\/\d+\/head$/;

function parseComment(scope: Scope, payload: UnknownObject): ForgeEvent {
  return toCommentEvent(scope, payload, payload['is_pull'] === true);
}
