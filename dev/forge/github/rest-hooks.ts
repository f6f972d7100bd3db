import { field, parseJson, type ApiState, type Route, type RouteAnswer, type RouteCall } from '../route.ts';
import type { Delivery, Hook } from '../webhooks.ts';
import { readPage, refuse, refuseInvalid, toList } from './answers.ts';
import { toApiUrl, toTime, type Json } from './repository-json.ts';

/** @see https://docs.github.com/en/rest/repos/webhooks */
export function createHookRoutes(state: Pick<ApiState, 'origin' | 'webhooks' | 'onHook'>): Route[] {
  const { origin, webhooks } = state;
  const toJson = (hook: Hook): Json => ({
    ...toHookJson(origin, hook),
    last_response: toLastResponse(findDeliveries(hook)),
  });
  const find = (repository: string, id: string | undefined): Hook | undefined =>
    webhooks.hooks.find((hook) => hook.repository === repository && String(hook.id) === id);
  const findDeliveries = (hook: Hook): Delivery[] => webhooks.deliveries.filter(({ hookId }) => hookId === hook.id);
  return [
    {
      method: 'GET',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle: (call) => {
        const list = webhooks.hooks.filter((hook) => hook.repository === call.repository.fullName);
        return toList(list, call, toJson);
      },
    },
    {
      method: 'POST',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle({ repository, body }) {
        const options = toHook(repository.fullName, body);
        if (typeof options === 'string') return refuseHook(options);
        const isSame = (hook: Hook): boolean =>
          hook.repository === repository.fullName &&
          hook.url === options.url &&
          hook.events.some((event) => options.events.includes(event));
        if (webhooks.hooks.some(isSame)) return refuseHook('Hook already exists on this repository');
        const hook = webhooks.add(options);
        state.onHook(hook);
        return { status: 201, body: toJson(hook) };
      },
    },
    {
      method: 'GET',
      pattern: /^\/hooks\/(\d+)$/,
      permission: 'admin',
      handle: ({ repository, captures }) => toAnswer(find(repository.fullName, captures[0]), toJson),
    },
    {
      method: 'GET',
      pattern: /^\/hooks\/(\d+)\/deliveries$/,
      permission: 'admin',
      handle: (call) => {
        const hook = find(call.repository.fullName, call.captures[0]);
        return hook === undefined ? refuse(404, 'Not Found') : listDeliveries(findDeliveries(hook), call);
      },
    },
    {
      method: 'POST',
      pattern: /^\/hooks\/(\d+)\/deliveries\/(\d+)\/attempts$/,
      permission: 'admin',
      handle({ repository, captures: [hookId, deliveryId] }) {
        const hook = find(repository.fullName, hookId);
        const delivery = hook && findDeliveries(hook).find(({ id }) => String(id) === deliveryId);
        if (delivery === undefined) {
          return refuse(404, 'Not Found');
        }
        // It never rejects: the list of deliveries has its result.
        void webhooks.redeliver(delivery.id);
        return { status: 202, body: {} };
      },
    },
  ];
}

function toAnswer<T>(value: T | undefined, toBody: (value: T) => unknown): RouteAnswer {
  return value === undefined ? refuse(404, 'Not Found') : { status: 200, body: toBody(value) };
}

/**
 * Answers with a page of deliveries, newest first. The cursor names the first delivery of a page. A page number has no
 * effect.
 *
 * @see https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook
 */
function listDeliveries(deliveries: readonly Delivery[], { repository, query, url = '' }: RouteCall): RouteAnswer {
  const list = deliveries.toReversed();
  const cursor = query.get('cursor');
  const start = cursor === null ? 0 : list.findIndex(({ id }) => cursor === toCursor(id));
  if (start === -1) return refuseInvalid({ resource: 'HookDelivery', code: 'invalid', field: 'cursor' });
  const end = start + readPage(query).length;
  const body = list.slice(start, end).map((delivery) => toDeliveryJson(delivery, repository.id));
  const next = list[end];
  if (next === undefined) return { status: 200, body };
  const linked = new URLSearchParams(query);
  linked.set('cursor', toCursor(next.id));
  return { status: 200, body, headers: { link: `<${url}?${linked.toString()}>; rel="next"` } };
}

function toCursor(id: number): string {
  return `v1_${id}`;
}

/** Reads the hook of a request. Returns what is wrong with it. */
function toHook(repository: string, body: unknown): Omit<Hook, 'id' | 'createdAt'> | string {
  const config = field(body, 'config');
  const url = field(config, 'url');
  const contentType = field(config, 'content_type') ?? 'form';
  const secret = field(config, 'secret');
  const events = field(body, 'events') ?? ['push'];
  const isUrl = typeof url === 'string' && URL.canParse(url) && /^https?:/.test(url);
  const isSecret = secret === undefined || typeof secret === 'string';
  if (!['web', undefined].includes(field(body, 'name') as string | undefined)) return 'The name must be "web"';
  if (!isUrl) return 'url must be a valid http or https URL';
  if (!isSecret || (contentType !== 'json' && contentType !== 'form')) return 'The config is not valid';
  if (!isEvents(events)) return 'The specified event is not valid';
  const isActive = field(body, 'active') !== false;
  const isInsecure = String(field(config, 'insecure_ssl')) === '1';
  return { repository, url, contentType, secret: secret === '' ? undefined : secret, events, isActive, isInsecure };
}

/** GitHub knows about seventy events. These are all that the development forge sends, and those near them. */
const EVENTS: readonly unknown[] = [
  '*',
  'check_run',
  'check_suite',
  'create',
  'delete',
  'issue_comment',
  'issues',
  'pull_request',
  'pull_request_review',
  'pull_request_review_comment',
  'push',
  'release',
  'status',
  'workflow_run',
];

function isEvents(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((event) => EVENTS.includes(event));
}

function refuseHook(message: string): RouteAnswer {
  return refuseInvalid({ resource: 'Hook', code: 'custom', message });
}

/** A hook, without the newest response. */
export function toHookJson(origin: string, hook: Hook): Json {
  const { id, url, contentType, secret, events, isActive, isInsecure, createdAt } = hook;
  const api = `${toApiUrl(origin, { fullName: hook.repository })}/hooks/${id}`;
  // GitHub shows that a secret exists, and not the secret.
  const shown = secret === undefined ? {} : { secret: '********' };
  const config = { url, content_type: contentType, insecure_ssl: isInsecure ? '1' : '0', ...shown };
  const time = toTime(createdAt);
  return {
    type: 'Repository',
    id,
    name: 'web',
    active: isActive,
    events,
    config,
    created_at: time,
    updated_at: time,
    url: api,
    test_url: `${api}/test`,
    ping_url: `${api}/pings`,
    deliveries_url: `${api}/deliveries`,
  };
}

function toLastResponse(deliveries: readonly Delivery[]): Json {
  const answer = deliveries.findLast((delivery) => delivery.answer !== undefined)?.answer;
  if (answer === undefined) return { code: null, status: 'unused', message: null };
  if (answer.kind === 'failed') return { code: 502, status: 'timeout', message: answer.message };
  const isGood = answer.status < 300;
  return { code: answer.status, status: isGood ? 'active' : 'misconfigured', message: isGood ? 'OK' : 'Invalid' };
}

function toDeliveryJson(delivery: Delivery, repositoryId: number): Json {
  const { id, guid, event, isRedelivery: redelivery, answer, sentAt, request } = delivery;
  const isAnswered = answer?.kind === 'answered';
  return {
    id,
    guid,
    delivered_at: toTime(sentAt),
    redelivery,
    duration: isAnswered ? answer.durationMs / 1000 : 0,
    status: toDeliveryStatus(answer),
    status_code: isAnswered ? answer.status : 0,
    event,
    action: readAction(request.body),
    installation_id: null,
    repository_id: repositoryId,
    throttled_at: null,
  };
}

/**
 * Only an answer with 2xx is `OK`.
 *
 * @see https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
 */
function toDeliveryStatus(answer: Delivery['answer']): string {
  if (answer?.kind !== 'answered') return answer?.message ?? 'pending';
  return answer.status >= 200 && answer.status < 300 ? 'OK' : `Invalid HTTP Response: ${answer.status}`;
}

function readAction(body: string): string | null {
  const payload = parseJson(
    Buffer.from(body.startsWith('{') ? body : (new URLSearchParams(body).get('payload') ?? '')),
  );
  const action = field(payload, 'action');
  return typeof action === 'string' ? action : null;
}
