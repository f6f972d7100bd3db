import { createHmac, randomUUID } from 'node:crypto';
import type { Dialect } from '../dialect.ts';
import { toMessage } from './payloads.ts';
import { createRestApi } from './rest-api.ts';

/** The header of each kind of event. */
const NAMES: Readonly<Record<string, string>> = {
  push_events: 'Push Hook',
  tag_push_events: 'Tag Push Hook',
  merge_requests_events: 'Merge Request Hook',
  note_events: 'Note Hook',
};

/** GitLab 19, below `/api/v4`. */
export const gitlab: Dialect = {
  apiPath: '/api/v4',
  defaultEvents: ['push_events', 'tag_push_events'],
  maxTags: 3,
  toPullRef: (number) => `refs/merge-requests/${number}/head`,
  createApi: createRestApi,
  toMessage,
  /** @see https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers */
  toHeaders({ secret, signingToken }, { event, guid, body }) {
    return {
      'User-Agent': 'GitLab/19.2.0',
      'Idempotency-Key': guid,
      'X-Gitlab-Event': NAMES[event] ?? event,
      'X-Gitlab-Event-UUID': randomUUID(),
      'X-Gitlab-Webhook-UUID': randomUUID(),
      ...(secret === undefined ? {} : { 'X-Gitlab-Token': secret }),
      ...(signingToken === undefined ? {} : toSignature(signingToken, guid, body)),
    };
  },
};

function toSignature(signingToken: string, id: string, body: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const key = Buffer.from(signingToken.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
