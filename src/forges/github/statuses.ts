import type { CommitStatus } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import type { HttpResponse } from '../http-client.ts';
import { describeCommit, encodePath, MAX_JSON_BYTES, toDiagnosis, toForgeError, type RestApi } from '../rest-api.ts';
import type { StatusOptions } from '../rest-forge.ts';
import { readStatusPages, toCommitStatus } from '../status-list.ts';
import { isFirstUnknown, isUnknownCommit } from './api.ts';

/** Sets c3's status of a commit. @see https://docs.github.com/en/rest/commits/statuses#create-a-commit-status */
export async function setStatus(api: RestApi, sha: string, { status, signal }: StatusOptions): Promise<void> {
  const { context, state, description, targetUrl: target_url } = status;
  const request = {
    method: 'POST',
    path: encodePath(`/statuses/${sha}`),
    headers: { accept: 'application/vnd.github+json', 'content-type': 'application/json' },
    body: JSON.stringify({ state, context, description, target_url }),
    maxBytes: MAX_JSON_BYTES,
    isLate: (answer: HttpResponse) => answer.status === 404 || isUnknownCommit(answer),
  } as const;
  const response = await api.send(request, signal);
  if (response.status === 422 && /maximum number of statuses/.test(toDiagnosis(response))) {
    const message = `The status of ${describeCommit(api.scope, sha)} stays as it is: ${toDiagnosis(response)}`;
    throw new C3Error('STATUS_LIMIT', message, { hint: 'a new commit has new statuses' });
  }
  if (response.status !== 201) {
    const hint = 'the token needs the right "Commit statuses: write"';
    throw toForgeError(`set the status of ${describeCommit(api.scope, sha)}`, response, hint);
  }
}

/** GitHub's largest page. It keeps 1,000 statuses of one context, but any number of contexts. */
const PAGE_LENGTH = 100;

/**
 * Lists c3's statuses of a commit, newest first.
 *
 * @see https://docs.github.com/en/rest/commits/statuses#list-commit-statuses-for-a-reference
 */
export async function* listStatuses(
  api: RestApi,
  sha: string,
  signal: AbortSignal,
): AsyncGenerator<CommitStatus, void> {
  const list = {
    path: `/commits/${sha}/statuses`,
    toQuery: (page: number) => ({ per_page: String(PAGE_LENGTH), page: String(page) }),
    pageLength: PAGE_LENGTH,
    maxPages: 30,
    unknown: [404, 422],
    isLate: isFirstUnknown,
    hint: 'the token needs the right "Commit statuses: write", which includes reading them',
  };
  for await (const statuses of readStatusPages(api, sha, { list, signal })) {
    yield* statuses.flatMap((one) => toCommitStatus(one['context'], one['state'], one['description']) ?? []);
  }
}
