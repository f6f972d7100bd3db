import type { RouteAnswer } from '../route.ts';

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
