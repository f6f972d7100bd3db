import type { CommentAction, ForgeChange, Message, PullAction } from '../dialect.ts';
import { toCommentJson, toIssueJson, toPullJson } from './pull-payload.ts';
import { toPushPayload } from './push-payload.ts';
import { toRepositoryJson, toUserJson, type Json } from './repository-json.ts';
import { toHookJson } from './rest-hooks.ts';

/** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads */
export async function toMessage(origin: string, change: ForgeChange): Promise<Message | undefined> {
  switch (change.kind) {
    case 'ping': {
      const { hook, repository } = change;
      const shown = repository && {
        repository: toRepositoryJson(origin, repository),
        sender: toUserJson(origin, repository.owner),
      };
      // Unlike the API, a ping has no address for tests.
      const { test_url: _, ...shownHook } = toHookJson(origin, hook);
      const payload = { zen: 'Keep it logically awesome.', hook_id: hook.id, hook: shownHook, ...shown };
      return { event: 'ping', payload };
    }
    case 'push':
      return { event: 'push', payload: await toPushPayload(origin, change.push, change.change) };
    case 'pull': {
      const { pull, action, actor } = change;
      const payload = {
        ...toAction(action),
        ...(action.kind === 'synchronized' ? { before: action.before, after: pull.sha } : {}),
        number: pull.number,
        pull_request: await toPullJson(origin, pull),
        repository: toRepositoryJson(origin, pull.repository),
        sender: toUserJson(origin, actor),
      };
      return { event: 'pull_request', payload };
    }
    case 'comment': {
      const { action, comment, actor } = change;
      const payload = {
        ...toCommentAction(action),
        issue: toIssueJson(origin, comment.pull),
        comment: toCommentJson(origin, comment),
        repository: toRepositoryJson(origin, comment.pull.repository),
        sender: toUserJson(origin, actor),
      };
      return { event: 'issue_comment', payload };
    }
  }
}

function toAction(action: PullAction): Json {
  switch (action.kind) {
    case 'synchronized':
      return { action: 'synchronize' };
    case 'ready':
      return { action: 'ready_for_review' };
    case 'drafted':
      return { action: 'converted_to_draft' };
    case 'base-changed': {
      const base = { ref: { from: action.before }, sha: { from: action.beforeSha } };
      return { action: 'edited', changes: { base } };
    }
    case 'title-changed':
      return { action: 'edited', changes: { title: { from: action.before } } };
    case 'opened':
    case 'reopened':
    case 'closed':
      return { action: action.kind };
  }
}

function toCommentAction(action: CommentAction): Json {
  if (action.kind !== 'edited') return { action: action.kind };
  return { action: 'edited', changes: { body: { from: action.before } } };
}
