import { isJsonObject, readObject, readString, type UnknownObject } from '../../json.ts';
import type { Scope } from '../../sealing/scope.ts';
import type { Delivery, ForgeEvent, VerifiedBody } from '../forge.ts';
import { isOfOtherRepository, parseRepository, toCommentEvent, toPushEvent } from '../hub-payload.ts';
import {
  DELETED,
  invalid,
  parsePayload,
  quotePayload,
  readPushedRef,
  requireBranch,
  requireNumber,
  requireObject,
  requireSha,
  toCommitBefore,
  toPullBuild,
} from '../payload.ts';

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
  const pushed = readPushedRef(payload);
  if (pushed.kind === 'ignored') return { ...pushed, scope };
  if (payload['deleted'] === true) return { kind: 'ignored', scope, reason: DELETED };
  return toPushEvent(scope, payload, { ...pushed, nameKeys: ['name', 'username'] });
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
    isFork: isOfOtherRepository(scope, head),
    sha: requireSha(head['sha'], 'pull_request.head.sha'),
    before: action === 'synchronize' ? toCommitBefore(payload['before'], 'before') : undefined,
    title: readString(pull['title']) ?? '',
    author: readString(readObject(pull['user'])['login']) ?? '',
  });
  return { kind: 'build', scope, build };
}

/** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#issue_comment */
function parseComment(scope: Scope, payload: UnknownObject): ForgeEvent {
  const issue = requireObject(payload['issue'], 'issue');
  return toCommentEvent(scope, payload, isJsonObject(issue['pull_request']));
}
