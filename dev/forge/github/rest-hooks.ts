import { refuse } from './answers.ts';
import { field, type ApiState, type Route, type RouteAnswer } from '../route.ts';
import type { Delivery, Hook } from '../webhooks.ts';

/** @see https://docs.github.com/en/rest/repos/webhooks */
export function createHookRoutes(state: Pick<ApiState, 'webhooks' | 'onHook'>): Route[] {
  const { webhooks } = state;
  const find = (repository: string, id: string | undefined): Hook | undefined =>
    webhooks.hooks.find((hook) => hook.repository === repository && String(hook.id) === id);
  const findDeliveries = (hook: Hook): Delivery[] => webhooks.deliveries.filter(({ hookId }) => hookId === hook.id);
  return [
    {
      method: 'GET',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle: ({ repository }) => ({
        status: 200,
        body: webhooks.hooks.filter((hook) => hook.repository === repository.fullName).map(toJson),
      }),
    },
    {
      method: 'POST',
      pattern: /^\/hooks$/,
      permission: 'admin',
      handle({ repository, body }) {
        const options = toHook(repository.fullName, body);
        if (options === undefined) {
          return refuse(422, 'Validation Failed', [
            { resource: 'Hook', code: 'custom', message: 'the hook is not valid' },
          ]);
        }
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
      handle: ({ repository, captures }) =>
        toAnswer(find(repository.fullName, captures[0]), (hook) =>
          findDeliveries(hook).toReversed().map(toDeliveryJson),
        ),
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

function toHook(repository: string, body: unknown): Omit<Hook, 'id' | 'createdAt'> | undefined {
  const config = field(body, 'config');
  const url = field(config, 'url');
  const contentType = field(config, 'content_type') ?? 'form';
  const secret = field(config, 'secret');
  const events = field(body, 'events') ?? ['push'];
  const isUrl = typeof url === 'string' && URL.canParse(url) && /^https?:/.test(url);
  const isSecret = secret === undefined || typeof secret === 'string';
  if (!isUrl || !isSecret || (contentType !== 'json' && contentType !== 'form') || !isTexts(events)) {
    return undefined;
  }
  const isActive = field(body, 'active') !== false;
  const isInsecure = String(field(config, 'insecure_ssl')) === '1';
  return { repository, url, contentType, secret: secret === '' ? undefined : secret, events, isActive, isInsecure };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((text) => typeof text === 'string');
}

function toJson(hook: Hook): Record<string, unknown> {
  const { id, url, contentType, secret, events, isActive, isInsecure } = hook;
  // GitHub shows that a secret exists, and not the secret.
  const shown = secret === undefined ? {} : { secret: '********' };
  const config = { url, content_type: contentType, insecure_ssl: isInsecure ? '1' : '0', ...shown };
  return { type: 'Repository', id, name: 'web', active: isActive, events, config };
}

function toDeliveryJson(delivery: Delivery): Record<string, unknown> {
  const { id, guid, event, isRedelivery: redelivery, answer } = delivery;
  const status_code = answer?.kind === 'answered' ? answer.status : 0;
  return { id, guid, event, redelivery, status_code, status: answer?.kind ?? 'pending' };
}
