import type { RouteAnswer, RouteCall } from '../route.ts';

/** An error in GitHub's shape. */
export function refuse(status: number, message: string, errors?: readonly unknown[]): RouteAnswer {
  const documentation_url = 'https://docs.github.com/rest';
  return {
    status,
    body: { message, ...(errors === undefined ? {} : { errors }), documentation_url, status: String(status) },
  };
}

/** What is wrong with a field of a request. `custom`: the message says it. */
export interface Problem {
  readonly resource: string;
  readonly code: 'custom' | 'invalid' | 'missing_field';
  readonly field?: string;
  readonly message?: string;
}

export function refuseInvalid(problem: Problem): RouteAnswer {
  return refuse(422, 'Validation Failed', [problem]);
}

/** GitHub's default and maximum number of items on a page. */
const PAGE_LENGTH = 30;
const MAX_PAGE_LENGTH = 100;

/** Returns the page of a list that `per_page` and `page` name. */
export function toPage<T>(items: readonly T[], query: URLSearchParams): readonly T[] {
  const { length, page } = readPage(query);
  return items.slice((page - 1) * length, page * length);
}

/** Answers with a page of a list, with links to the other pages. */
export async function toList<T>(
  items: readonly T[],
  { query, url }: RouteCall,
  toJson: (item: T) => unknown,
): Promise<RouteAnswer> {
  const body = await Promise.all(toPage(items, query).map(toJson));
  return { status: 200, body, headers: toLinks(items.length, { query, url }) };
}

/**
 * Links the other pages, as `Link: <…?page=2>; rel="next"`.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
export function toLinks(count: number, { query, url = '' }: Pick<RouteCall, 'query' | 'url'>): Record<string, string> {
  const { length, page } = readPage(query);
  const last = Math.max(Math.ceil(count / length), 1);
  const pages = { ...(page > 1 ? { prev: page - 1, first: 1 } : {}), ...(page < last ? { next: page + 1, last } : {}) };
  const links = Object.entries(pages).map(([name, number]) => {
    const linked = new URLSearchParams(query);
    linked.set('page', String(number));
    return `<${url}?${linked.toString()}>; rel="${name}"`;
  });
  return links.length === 0 ? {} : { link: links.join(', ') };
}

/** Reads the length and the number of the page that a request asks for. */
export function readPage(query: URLSearchParams): { readonly length: number; readonly page: number } {
  const read = (name: string, other: number): number => {
    const text = query.get(name) ?? '';
    return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : other;
  };
  return { length: Math.min(read('per_page', PAGE_LENGTH), MAX_PAGE_LENGTH), page: read('page', 1) };
}
