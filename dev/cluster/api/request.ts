import type { IncomingMessage } from 'node:http';

import type { RequestKind } from '../faults.ts';
import { badRequest, refusal } from './status.ts';

/** The API server's limit for the body of a request. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** The target of a request, from its method and URL. */
export interface Target {
  readonly kind: RequestKind;
  readonly resource: 'pods' | 'events' | 'leases' | undefined;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly name: string;
}

export function parseTarget(method: string, url: URL): Target {
  const lease = /^\/apis\/coordination\.k8s\.io\/v1(?:\/namespaces\/([^/]+))?\/leases(?:\/([^/]+))?$/.exec(
    url.pathname,
  );
  if (lease) return toLeaseTarget(method, lease[1], lease[2] ?? '');
  const match = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/(pods|events)(?:\/([^/]+)(?:\/(exec|log|eviction))?)?$/.exec(
    url.pathname,
  );
  if (!match) {
    return { kind: method === 'GET' ? 'discovery' : 'other', resource: undefined, namespace: undefined, name: '' };
  }
  const [, namespace, resource, name = '', subresource] = match;
  const target = { resource: resource as 'pods' | 'events', namespace, name };
  if (subresource === 'exec') return { ...target, kind: method === 'GET' || method === 'POST' ? 'exec' : 'other' };
  if (subresource === 'log') return { ...target, kind: method === 'GET' ? 'log' : 'other' };
  if (subresource === 'eviction') return { ...target, kind: method === 'POST' ? 'evict' : 'other' };
  const isWatch = ['1', 'true'].includes(url.searchParams.get('watch') ?? '');
  if (resource === 'events') {
    if (method !== 'GET') return { ...target, kind: 'other' };
    return { ...target, kind: isWatch ? 'event-watch' : name === '' ? 'event-list' : 'get' };
  }
  if (method === 'GET') return { ...target, kind: isWatch ? 'watch' : name === '' ? 'list' : 'get' };
  if (method === 'POST' && name === '' && namespace !== undefined) return { ...target, kind: 'create' };
  if (method === 'DELETE' && name !== '') return { ...target, kind: 'delete' };
  if (method === 'PATCH' && name !== '') return { ...target, kind: 'patch' };
  return { ...target, kind: 'other' };
}

function toLeaseTarget(method: string, namespace: string | undefined, name: string): Target {
  const target = { resource: 'leases', namespace, name } as const;
  if (method === 'GET') return { ...target, kind: name === '' ? 'lease-list' : 'lease-get' };
  if (method === 'POST' && name === '' && namespace !== undefined) return { ...target, kind: 'lease-create' };
  if (method === 'PUT' && name !== '') return { ...target, kind: 'lease-update' };
  if (method === 'DELETE' && name !== '') return { ...target, kind: 'lease-delete' };
  return { ...target, kind: 'other' };
}

/** @throws {ApiRefusal} 413 or 400 */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw refusal(413, 'RequestEntityTooLarge', { message: `Request entity too large: limit is ${MAX_BODY_BYTES}` });
    }
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (error) {
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : 'not JSON'}`);
  }
}
