import { createHmac } from 'node:crypto';
import type { Dialect } from '../dialect.ts';
import { toMessage } from './payloads.ts';
import { createRestApi } from './rest-api.ts';

/** GitHub, as GitHub Enterprise Server has it: below `/api/v3`. */
export const github: Dialect = {
  apiPath: '/api/v3',
  defaultEvents: ['push'],
  maxTags: 3,
  toPullRef: (number) => `refs/pull/${number}/head`,
  createApi: createRestApi,
  toMessage,
  /** @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers */
  toHeaders(hook, { event, guid, body }) {
    const sign = (algorithm: string): string =>
      `${algorithm}=${createHmac(algorithm, hook.secret ?? '')
        .update(body)
        .digest('hex')}`;
    const signatures: Record<string, string> =
      hook.secret === undefined ? {} : { 'X-Hub-Signature': sign('sha1'), 'X-Hub-Signature-256': sign('sha256') };
    return {
      Accept: '*/*',
      'User-Agent': 'GitHub-Hookshot/0c3f0c3',
      'X-GitHub-Delivery': guid,
      'X-GitHub-Event': event,
      'X-GitHub-Hook-ID': String(hook.id),
      'X-GitHub-Hook-Installation-Target-Type': 'repository',
      ...signatures,
    };
  },
};
