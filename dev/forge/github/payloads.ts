import type { ForgeChange, Message, PullAction } from '../dialect.ts';
import { toCommentJson, toIssueJson, toPullJson } from './pull-payload.ts';
import { toPushPayload, toRepositoryJson, toUserJson } from './push-payload.ts';

/** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads */
export async function toMessage(origin: string, change: ForgeChange): Promise<Message | undefined> {
  switch (change.kind) {
    case 'ping': {
      const { hook, repository } = change;
      const shown = repository === undefined ? {} : { repository: toRepositoryJson(origin, repository) };
      return { event: 'ping', payload: { zen: 'Keep it logically awesome.', hook_id: hook.id, ...shown } };
    }
    case 'push':
      return { event: 'push', payload: await toPushPayload(origin, change.push, change.change) };
    case 'pull': {
      const { pull, action } = change;
      const payload = {
        ...toAction(action),
        ...(action.kind === 'synchronized' ? { before: action.before, after: pull.sha } : {}),
        number: pull.number,
        pull_request: toPullJson(origin, pull),
        repository: toRepositoryJson(origin, pull.repository),
        sender: toUserJson(origin, pull.author),
      };
      return { event: 'pull_request', payload };
    }
    case 'comment': {
      const { action, comment } = change;
      const payload = {
        action: action.kind,
        ...(action.kind === 'edited' ? { changes: { body: { from: action.before } } } : {}),
        issue: toIssueJson(origin, comment.pull),
        comment: toCommentJson(origin, comment),
        repository: toRepositoryJson(origin, comment.pull.repository),
        sender: toUserJson(origin, comment.author),
      };
      return { event: 'issue_comment', payload };
    }
  }
}

function toAction(action: PullAction): Record<string, unknown> {
  switch (action.kind) {
    case 'synchronized':
      return { action: 'synchronize' };
    case 'ready':
      return { action: 'ready_for_review' };
    case 'drafted':
      return { action: 'converted_to_draft' };
    case 'base-changed':
      return { action: 'edited', changes: { base: { ref: { from: action.before }, sha: { from: '0'.repeat(40) } } } };
    case 'title-changed':
      return { action: 'edited', changes: { title: { from: action.before } } };
    case 'opened':
    case 'reopened':
    case 'closed':
      return { action: action.kind };
  }
}
