import type { CommitStatus } from '../../build/index.ts';
import { describeCommit, encodePath, MAX_JSON_BYTES, toForgeError, type RestApi } from '../rest-api.ts';
import type { StatusOptions } from '../rest-forge.ts';
import { readStatusPages, toCommitStatus } from '../status-list.ts';
import { isFirstUnknown, PAGE_LENGTH } from './api.ts';

const HINT = 'the token needs the scope "write:repository", and its user must be allowed to push';

/** Sets c3's status of a commit. */
export async function setStatus(api: RestApi, sha: string, { status, signal }: StatusOptions): Promise<void> {
  const { context, state, description, targetUrl: target_url } = status;
  const request = {
    method: 'POST',
    path: encodePath(`/statuses/${sha}`),
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({ state, context, description, target_url }),
    maxBytes: MAX_JSON_BYTES,
    isLate: isFirstUnknown,
  } as const;
  const response = await api.send(request, signal);
  if (response.status !== 201)
    throw toForgeError(`set the status of ${describeCommit(api.scope, sha)}`, response, HINT);
}

/** Lists c3's statuses of a commit, newest first. */
export async function* listStatuses(
  api: RestApi,
  sha: string,
  signal: AbortSignal,
): AsyncGenerator<CommitStatus, void> {
  const list = {
    path: `/statuses/${sha}`,
    toQuery: (page: number) => ({ sort: 'highestindex', limit: String(PAGE_LENGTH), page: String(page) }),
    pageLength: PAGE_LENGTH,
    // A server can have shorter pages than the default.
    minFullPage: 10,
    maxPages: 60,
    unknown: [404, 422],
    isLate: isFirstUnknown,
    hint: HINT,
  };
  for await (const statuses of readStatusPages(api, sha, { list, signal })) {
    yield* statuses.flatMap((one) => toCommitStatus(one['context'], one['status'], one['description']) ?? []);
  }
}
