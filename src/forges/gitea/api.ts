import type { HttpResponse } from '../http-client.ts';
import type { RestDialect } from '../rest-api.ts';

export const giteaDialect: RestDialect = {
  toPath: ({ owner, name }) => `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`,
  toHeaders: (token) => ({ authorization: `token ${token}`, 'user-agent': 'c3' }),
  accept: 'application/json',
};

/** The largest page of a server with default settings. */
export const PAGE_LENGTH = 50;

/** Returns whether the forge does not know a commit that it need not know: c3 asks once more, and continues without it. */
export function isFirstUnknown({ status }: HttpResponse, tries: number): boolean {
  return tries === 0 && (status === 404 || status === 422);
}

export const READ_HINT = 'the token needs the scope "read:repository"';
