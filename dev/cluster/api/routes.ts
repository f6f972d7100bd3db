import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Kubelet } from '../node/kubelet.ts';
import type { Store } from '../store.ts';
import { answerDiscovery } from './discovery.ts';
import type { LeaseApi } from './leases.ts';
import { readLog } from './log.ts';
import type { DeleteOptions, PodApi } from './pods.ts';
import type { Target } from './request.ts';
import { parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { badRequest, methodNotAllowed, refusal, unknownPath } from './status.ts';
import { type OpenWatch, openWatch } from './watch.ts';

export interface RouteContext {
  readonly store: Store;
  readonly kubelet: Kubelet;
  readonly pods: PodApi;
  readonly leases: LeaseApi;
  /** The open watches. */
  readonly watches: Set<OpenWatch>;
}

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly target: Target;
  readonly body: unknown;
}

export interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

/** The API server ends a watch without a `timeoutSeconds` after 30 to 60 minutes. */
const WATCH_TIMEOUT_MS = 30 * 60_000;

const TYPES = {
  pods: { kind: 'Pod', apiVersion: 'v1' },
  events: { kind: 'Event', apiVersion: 'v1' },
  leases: { kind: 'Lease', apiVersion: 'coordination.k8s.io/v1' },
} as const;

/** Handles a request. @throws {ApiRefusal} as the API server refuses it */
export function answerCall(call: Call, context: RouteContext): Answer | 'streaming' {
  const { store, kubelet, pods, leases } = context;
  const { url, target, body } = call;
  const { name, namespace = '' } = target;
  const query = url.searchParams;
  switch (target.kind) {
    case 'get':
      if (target.resource === 'pods') return toAnswer(200, pods.get(namespace, name));
      throw unknownPath();
    case 'list':
    case 'lease-list':
    case 'event-list':
      return list(target, { query, store });
    case 'watch':
    case 'event-watch':
      watch(call, context);
      return 'streaming';
    case 'create':
      return toAnswer(201, pods.create(namespace, body, { isDryRun: query.get('dryRun') === 'All' }));
    case 'delete':
      return toAnswer(200, pods.delete(namespace, name, toDeleteOptions(query, body)));
    case 'patch':
      if (!/^application\/(?:strategic-)?merge-patch\+json/.test(call.request.headers['content-type'] ?? '')) {
        throw refusal(415, 'UnsupportedMediaType', { message: 'the body of the request was in an unknown format' });
      }
      return toAnswer(200, pods.patch(namespace, name, body));
    case 'evict':
      return toAnswer(201, pods.evict(namespace, name, toDeleteOptions(query, readEviction(body))));
    case 'lease-get':
      return toAnswer(200, leases.get(namespace, name));
    case 'lease-create':
      return toAnswer(201, leases.create(namespace, body));
    case 'lease-update':
      return toAnswer(200, leases.update(namespace, name, body));
    case 'lease-delete':
      return toAnswer(200, leases.delete(namespace, name, toDeleteOptions(query, body)));
    case 'log':
      return { code: 200, type: 'text/plain', body: readLog(pods.get(namespace, name), { query, kubelet }) };
    case 'exec':
      pods.get(namespace, name);
      throw badRequest('Upgrade request required');
    case 'discovery': {
      const found = answerDiscovery(url.pathname, store);
      if (!found) throw unknownPath();
      return { code: 200, ...found };
    }
    case 'other':
      throw /\/(?:pods|events|leases)(?:\/|$)/.test(url.pathname) ? methodNotAllowed() : unknownPath();
  }
}

function list({ resource = 'pods', namespace }: Target, options: { query: URLSearchParams; store: Store }): Answer {
  const { query, store } = options;
  // Tokens of incomplete lists are not implemented.
  if (query.has('continue')) throw badRequest('continue key is not valid: lists are not continued');
  const all = store.list(resource, namespace).filter(toPredicate(query));
  const items = all.slice(0, Number(query.get('limit')) || all.length);
  const left = all.length - items.length;
  const cut = left > 0 ? { continue: 'not-continued', remainingItemCount: left } : {};
  const { kind, apiVersion } = TYPES[resource];
  return toAnswer(200, {
    kind: `${kind}List`,
    apiVersion,
    metadata: { resourceVersion: String(store.revision()), ...cut },
    items,
  });
}

function watch({ target, url, response }: Call, { store, watches }: RouteContext): void {
  const { resource = 'pods', namespace, name } = target;
  const query = url.searchParams;
  const selected = toPredicate(query);
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  const request = {
    resource,
    kind: TYPES[resource].kind,
    matches: (object: Parameters<typeof selected>[0]): boolean =>
      (namespace === undefined || object.metadata.namespace === namespace) &&
      (name === '' || object.metadata.name === name) &&
      selected(object),
    resourceVersion: query.get('resourceVersion') ?? '',
    hasBookmarks: ['1', 'true'].includes(query.get('allowWatchBookmarks') ?? ''),
    timeoutMs: seconds > 0 ? seconds * 1000 : WATCH_TIMEOUT_MS,
  };
  const open = openWatch(store, request, response);
  watches.add(open);
  response.once('close', () => watches.delete(open));
}

function readEviction(body: unknown): unknown {
  const eviction = (body ?? {}) as { kind?: string; deleteOptions?: unknown };
  if (eviction.kind !== 'Eviction') throw badRequest('the object provided is no Eviction');
  return eviction.deleteOptions;
}

/** Reads the options from the body or else from the query. */
function toDeleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const grace = query.get('gracePeriodSeconds');
  const given = (body ?? {}) as DeleteOptions;
  return { ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }), ...given };
}

function toPredicate(query: URLSearchParams): ReturnType<typeof parseLabelSelector> {
  const byLabel = parseLabelSelector(query.get('labelSelector') ?? '');
  const byField = parseFieldSelector(query.get('fieldSelector') ?? '');
  return (object) => byLabel(object) && byField(object);
}

function toAnswer(code: number, value: unknown): Answer {
  return { code, type: 'application/json', body: JSON.stringify(value) };
}
