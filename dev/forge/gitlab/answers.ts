import type { RouteAnswer } from '../route.ts';

/** An error in GitLab's shape: a text, or a list of texts for each field. */
export function refuse(status: number, message: string | Readonly<Record<string, readonly string[]>>): RouteAnswer {
  return { status, body: { message } };
}

/** The answer to parameters that have the wrong form. */
export function refuseParameters(error: string): RouteAnswer {
  return { status: 400, body: { error } };
}

export const FORBIDDEN: RouteAnswer = refuse(403, '403 Forbidden');

export function notFound(what: string): RouteAnswer {
  return refuse(404, `404 ${what} Not Found`);
}

/**
 * Answers with the page of a list that `per_page` and `page` name. As on GitLab, the default is 20 items, the maximum
 * 100, and headers name the other pages.
 *
 * @see https://docs.gitlab.com/api/rest/#offset-based-pagination
 */
export function toPage(items: readonly unknown[], query: URLSearchParams): RouteAnswer {
  const length = Math.min(Math.max(Number(query.get('per_page') ?? 20), 1), 100);
  const page = Math.max(Number(query.get('page') ?? 1), 1);
  const last = Math.max(Math.ceil(items.length / length), 1);
  const headers = {
    'x-page': String(page),
    'x-next-page': page < last ? String(page + 1) : '',
    'x-prev-page': page > 1 ? String(page - 1) : '',
    'x-per-page': String(length),
    'x-total': String(items.length),
    'x-total-pages': String(last),
  };
  return { status: 200, body: items.slice((page - 1) * length, page * length), headers };
}
