import { field, type ApiState, type Route } from '../route.ts';
import type { Delivery, Hook } from '../webhooks.ts';
import { notFound, refuse, toPage } from './answers.ts';

/** The kinds of events of a webhook. `push_events` is the default. */
const EVENTS = ['push_events', 'tag_push_events', 'merge_requests_events', 'note_events'] as const;

/** @see https://docs.gitlab.com/api/project_webhooks/ */
export function createHookRoutes({ webhooks, onHook }: Pick<ApiState, 'webhooks' | 'onHook'>): Route[] {
  const ofProject = (name: string): Hook[] => webhooks.hooks.filter(({ repository }) => repository === name);
  const find = (name: string, id: string | undefined): Hook | undefined =>
    ofProject(name).find((hook) => String(hook.id) === id);
  const listDeliveries = (hook: Hook | undefined): Delivery[] =>
    hook === undefined ? [] : webhooks.deliveries.filter(({ hookId }) => hookId === hook.id);
  return [
    {
      method: 'GET',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle: ({ repository, query }) => toPage(ofProject(repository.fullName).map(toJson), query),
    },
    {
      method: 'POST',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle({ repository, body }) {
        const options = toHook(repository.fullName, body);
        if ('status' in options) return options;
        const hook = webhooks.add(options);
        onHook(hook);
        return { status: 201, body: toJson(hook) };
      },
    },
    {
      method: 'GET',
      pattern: /^\/hooks\/(\d+)$/,
      permission: 'admin',
      handle({ repository, captures: [id] }) {
        const hook = find(repository.fullName, id);
        return hook === undefined ? notFound('Not found') : { status: 200, body: toJson(hook) };
      },
    },
    {
      method: 'GET',
      pattern: /^\/hooks\/(\d+)\/events$/,
      permission: 'admin',
      handle: ({ repository, captures: [id], query }) =>
        toPage(listDeliveries(find(repository.fullName, id)).toReversed().map(toEventJson), query),
    },
    {
      method: 'POST',
      pattern: /^\/hooks\/(\d+)\/events\/(\d+)\/resend$/,
      permission: 'admin',
      async handle({ repository, captures: [hookId, eventId] }) {
        const deliveries = listDeliveries(find(repository.fullName, hookId));
        const delivery = deliveries.find(({ id }) => String(id) === eventId);
        if (delivery === undefined) return notFound('Not found');
        const { answer } = await webhooks.redeliver(delivery.id);
        return { status: 201, body: { response_status: answer?.kind === 'answered' ? answer.status : 0 } };
      },
    },
  ];
}

function toHook(repository: string, body: unknown): Omit<Hook, 'id' | 'createdAt'> | ReturnType<typeof refuse> {
  const url = field(body, 'url');
  if (typeof url !== 'string' || !URL.canParse(url) || !/^https?:/.test(url)) return refuse(422, 'Invalid url given');
  const [secret, signingToken] = ['token', 'signing_token'].map((name) => readText(field(body, name)));
  // GitLab reads 32 bytes in strict base64.
  if (signingToken !== undefined && !/^whsec_[A-Za-z0-9+/]{43}=$/.test(signingToken)) {
    return refuse(422, { signing_token: ['must be whsec_ and the base64 of 32 bytes'] });
  }
  const isWanted = (name: (typeof EVENTS)[number]): boolean => (field(body, name) ?? name === 'push_events') === true;
  const events = EVENTS.filter(isWanted);
  const isInsecure = field(body, 'enable_ssl_verification') === false;
  return { repository, url, contentType: 'json', secret, signingToken, events, isActive: true, isInsecure };
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** GitLab shows that a token exists, and not the token. */
function toJson({ id, url, secret, signingToken, events, isInsecure }: Hook): Record<string, unknown> {
  return {
    id,
    url,
    ...Object.fromEntries(EVENTS.map((name) => [name, events.includes(name)])),
    enable_ssl_verification: !isInsecure,
    alert_status: 'executable',
    token_present: secret !== undefined,
    signing_token_present: signingToken !== undefined,
  };
}

function toEventJson({ id, hookId, event, request, answer }: Delivery): Record<string, unknown> {
  const response_status = answer?.kind === 'answered' ? String(answer.status) : 'internal error';
  return { id, trigger: event, web_hook_id: hookId, request_headers: request.headers, response_status };
}
