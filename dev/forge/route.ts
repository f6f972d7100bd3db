import type { Permission, User } from './accounts.ts';
import type { Repositories, Repository } from './repositories.ts';
import type { Hook, Webhooks } from './webhooks.ts';

/** The parameters of a route's handler. */
export interface RouteCall {
  readonly repository: Repository;
  readonly user: User;
  /** What the route's pattern captured, decoded. */
  readonly captures: readonly string[];
  readonly query: URLSearchParams;
  readonly accept: string;
  /** The parsed JSON body of a POST. */
  readonly body: unknown;
}

export interface RouteAnswer {
  readonly status: number;
  /** JSON, or bytes with `contentType`. */
  readonly body: unknown;
  readonly contentType?: string;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** What follows `/repos/OWNER/NAME`. */
  readonly pattern: RegExp;
  readonly permission: Permission;
  handle(call: RouteCall): RouteAnswer | Promise<RouteAnswer>;
}

export interface ApiState {
  readonly origin: string;
  readonly repositories: Repositories;
  readonly webhooks: Webhooks;
  readonly statuses: Status[];
  /** Called after every new status. */
  onChange(): void;
  /** Called after a hook was created. */
  onHook(hook: Hook): void;
}

/** A commit status as a client set it. */
export interface Status {
  readonly id: number;
  /** `owner/name`. */
  readonly repository: string;
  readonly sha: string;
  readonly context: string;
  readonly state: 'error' | 'failure' | 'pending' | 'success';
  readonly description: string | null;
  readonly targetUrl: string | null;
  /** The login of the user who set it. */
  readonly creator: string;
  /** ISO 8601, UTC, with milliseconds (GitHub's has whole seconds). */
  readonly createdAt: string;
}

/** An error in GitHub's shape. */
export function refuse(status: number, message: string, errors?: readonly unknown[]): RouteAnswer {
  const documentation_url = 'https://docs.github.com/rest';
  return {
    status,
    body: { message, ...(errors === undefined ? {} : { errors }), documentation_url, status: String(status) },
  };
}

/**
 * Returns the page of a list that `per_page` and `page` name. As on GitHub, the default is 30 items and the maximum
 * 100.
 */
export function toPage<T>(items: readonly T[], query: URLSearchParams): readonly T[] {
  const length = Math.min(Math.max(Number(query.get('per_page') ?? 30), 1), 100);
  const start = (Math.max(Number(query.get('page') ?? 1), 1) - 1) * length;
  return items.slice(start, start + length);
}

/** Reads a field of an untrusted JSON object. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
