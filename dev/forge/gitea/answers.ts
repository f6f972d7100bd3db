import type { RouteAnswer } from '../route.ts';

/** An error in Gitea's shape. */
export function refuse(status: number, message: string): RouteAnswer {
  return { status, body: { message, url: 'https://gitea.example/api/swagger' } };
}

export const NOT_FOUND: RouteAnswer = {
  status: 404,
  body: { errors: [], message: "The target couldn't be found.", url: 'https://gitea.example/api/swagger' },
};

/** The largest page of a server with default settings, and the usual one. */
const [MAX_PAGE, DEFAULT_PAGE] = [50, 30];

/** Answers with the page of a list that `limit` and `page` name. */
export function toPage(items: readonly unknown[], query: URLSearchParams): RouteAnswer {
  const length = Math.min(Math.max(Number(query.get('limit') ?? DEFAULT_PAGE), 1), MAX_PAGE);
  const start = (Math.max(Number(query.get('page') ?? 1), 1) - 1) * length;
  return { status: 200, body: items.slice(start, start + length), headers: { 'x-total-count': String(items.length) } };
}
