import { createHmac } from 'node:crypto';
import type { Dialect } from '../dialect.ts';
import { toMessage } from './payloads.ts';
import { createRestApi } from './rest-api.ts';

/** Gitea and Forgejo, below `/api/v1`. */
export const gitea: Dialect = {
  apiPath: '/api/v1',
  defaultEvents: ['push'],
  maxTags: Infinity,
  toPullRef: (number) => `refs/pull/${number}/head`,
  createApi: createRestApi,
  toMessage,
  /** @see https://docs.gitea.com/usage/webhooks */
  toHeaders({ secret }, { event, guid, body }) {
    // Without a secret, the signatures are empty.
    const hex = secret === undefined ? '' : createHmac('sha256', secret).update(body).digest('hex');
    const sha1 = secret === undefined ? '' : createHmac('sha1', secret).update(body).digest('hex');
    return {
      'X-Gitea-Delivery': guid,
      'X-Gitea-Event': event,
      'X-Gitea-Event-Type': event === 'issue_comment' ? 'pull_request_comment' : event,
      'X-Gitea-Signature': hex,
      'X-Gogs-Delivery': guid,
      'X-Gogs-Event': event,
      'X-Gogs-Signature': hex,
      'X-Hub-Signature': `sha1=${sha1}`,
      'X-Hub-Signature-256': `sha256=${hex}`,
      'X-GitHub-Delivery': guid,
      'X-GitHub-Event': event,
    };
  },
};
