import { resolveObject } from '../git.ts';
import { field, type ApiState, type Route } from '../route.ts';
import type { Hook } from '../webhooks.ts';
import { NOT_FOUND, refuse, toPage } from './answers.ts';
import { toPush } from './payloads.ts';

const EVENTS: readonly string[] = ['create', 'delete', 'push', 'pull_request', 'issue_comment', 'pull_request_comment'];

/** The routes of webhooks. */
export function createHookRoutes({ origin, webhooks }: Pick<ApiState, 'origin' | 'webhooks'>): Route[] {
  return [
    {
      method: 'GET',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle: ({ repository, query }) =>
        toPage(webhooks.hooks.filter((hook) => hook.repository === repository.fullName).map(toJson), query),
    },
    {
      method: 'POST',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle({ repository, body }) {
        const config = field(body, 'config');
        const [url, secret, contentType] = [
          field(config, 'url'),
          field(config, 'secret'),
          field(config, 'content_type'),
        ];
        const events = field(body, 'events');
        if (!['gitea', 'forgejo'].includes(String(field(body, 'type')))) return refuse(422, 'Invalid hook type');
        if (typeof url !== 'string' || !URL.canParse(url)) return refuse(422, 'Invalid url');
        if (contentType !== 'json' && contentType !== 'form') return refuse(422, 'Invalid content type');
        const names = Array.isArray(events) ? events.map(String).filter((name) => EVENTS.includes(name)) : ['push'];
        const hook = webhooks.add({
          repository: repository.fullName,
          url,
          contentType,
          secret: typeof secret === 'string' && secret !== '' ? secret : undefined,
          // A comment on a pull request has the event of comments, and a selection of its own.
          events: names.map((name) => (name === 'pull_request_comment' ? 'issue_comment' : name)),
          // A hook that is created by the API is inactive unless it says otherwise.
          isActive: field(body, 'active') === true,
          isInsecure: false,
        });
        return { status: 201, body: toJson(hook) };
      },
    },
    {
      method: 'POST',
      pattern: /^\/hooks\/(\d+)\/tests$/,
      permission: 'admin',
      /** Sends the newest commit of the default branch as a push from itself. */
      async handle({ repository, user, captures: [id] }) {
        const hook = webhooks.hooks.find((one) => one.id === Number(id) && one.repository === repository.fullName);
        if (hook === undefined) return NOT_FOUND;
        const ref = `refs/heads/${repository.defaultBranch}`;
        const sha = await resolveObject(repository.path, ref, 'commit');
        if (sha === undefined) return { status: 204, body: undefined };
        const change = { ref, before: sha, after: sha };
        const push = { repository, pusher: user.login, receivedAt: Date.now(), changes: [change] };
        const { event, payload } = await toPush(origin, push, change);
        void webhooks.send(hook, event, payload);
        return { status: 204, body: undefined };
      },
    },
  ];
}

/** The secret is not shown. */
function toJson({ id, url, contentType, events, isActive }: Hook): Record<string, unknown> {
  return {
    id,
    type: 'gitea',
    active: isActive,
    events,
    config: { url, content_type: contentType },
    branch_filter: '*',
  };
}
