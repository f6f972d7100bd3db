import type { Accounts, Permission, User } from './accounts.ts';
import type { Pulls } from './pulls.ts';
import type { Repositories, Repository } from './repositories.ts';
import type { Hook, Webhooks } from './webhooks.ts';

/** The parameters of a route's handler. */
export interface RouteCall {
  readonly repository: Repository;
  readonly user: User;
  /** What the route's pattern captured, decoded. */
  readonly captures: readonly string[];
  readonly query: URLSearchParams;
  /** Without the query; for links to other pages. */
  readonly url?: string | undefined;
  readonly accept: string;
  /** The parsed JSON body. */
  readonly body: unknown;
}

export interface RouteAnswer {
  readonly status: number;
  /** JSON, or bytes with `contentType`. */
  readonly body: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApiRequest {
  readonly method: string;
  /** Below the API base, encoded, `/repos/acme/shop`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly user: User | 'anonymous' | 'invalid';
  readonly body: Uint8Array;
}

export interface ApiAnswer extends RouteAnswer {
  /** Answers an unknown route with 404 and records the request. */
  readonly isUnexpected?: boolean;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** What follows the path of the repository. */
  readonly pattern: RegExp;
  readonly permission: Permission;
  handle(call: RouteCall): RouteAnswer | Promise<RouteAnswer>;
}

export interface ApiState {
  readonly origin: string;
  readonly accounts: Accounts;
  readonly repositories: Repositories;
  readonly pulls: Pulls;
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

/** Reads a field of an untrusted JSON object. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Finds the route of a request, and decodes what its pattern captures. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  rest: string,
): { readonly route: Route; readonly captures: readonly string[] } | undefined {
  for (const route of routes) {
    const match = route.method === method ? route.pattern.exec(rest) : null;
    if (match !== null) {
      return { route, captures: match.slice(1).map((text) => decodeURIComponent(text ?? '')) };
    }
  }
  return undefined;
}

/** Parses a JSON body. Returns undefined for anything else. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
