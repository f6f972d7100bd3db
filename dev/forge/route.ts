import type { Permission, User } from './accounts.ts';
import type { Repositories, Repository } from './repositories.ts';
import type { Hook, Webhooks } from './webhooks.ts';

/** What one route is given. */
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

/** One commit status, as somebody set it. */
export interface Status {
  readonly id: number;
  /** `owner/name`. */
  readonly repository: string;
  readonly sha: string;
  readonly context: string;
  readonly state: 'error' | 'failure' | 'pending' | 'success';
  readonly description: string | null;
  readonly targetUrl: string | null;
  /** Login of whoever set it. */
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

/** A page of a list, as `per_page` and `page` ask for it; GitHub gives 30 when nobody says, and never more than 100. */
export function toPage<T>(items: readonly T[], query: URLSearchParams): readonly T[] {
  const length = Math.min(Math.max(Number(query.get('per_page') ?? 30), 1), 100);
  const start = (Math.max(Number(query.get('page') ?? 1), 1) - 1) * length;
  return items.slice(start, start + length);
}

/** A field of a JSON object that came from outside. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
