import type { CommitStatus } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readObject } from '../../json.ts';
import type { HttpResponse } from '../http-client.ts';
import { describeCommit, encodePath, MAX_JSON_BYTES, toDiagnosis, toForgeError, type RestApi } from '../rest-api.ts';
import type { StatusOptions } from '../rest-forge.ts';
import { isFirstUnknown, isUnknownCommit } from './api.ts';

/** c3 lists the statuses of these contexts: `c3/push`, `c3/tag`. */
const CONTEXT_PREFIX = 'c3/';

/**
 * GitHub's largest page, and how many of them. GitHub keeps 1,000 statuses of one context, but any number of contexts:
 * a user who may push could hide c3's statuses behind others.
 */
const PAGE_LENGTH = 100;
const MAX_PAGES = 30;

const STATES: readonly unknown[] = ['pending', 'success', 'failure', 'error'] satisfies CommitStatus['state'][];

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

/**
 * Lists c3's statuses of a commit, newest first. Another user who may set statuses can forge one, but such a user can
 * also push.
 *
 * @see https://docs.github.com/en/rest/commits/statuses#list-commit-statuses-for-a-reference
 */
export async function* listStatuses(
  api: RestApi,
  sha: string,
  signal: AbortSignal,
): AsyncGenerator<CommitStatus, void> {
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const query = { per_page: String(PAGE_LENGTH), page: String(page) };
    const response = await api.get(`/commits/${sha}/statuses`, signal, { query, isLate: isFirstUnknown });
    // An unknown commit has no status. `prove` reports that it is unknown.
    if (response.status === 404 || response.status === 422) return;
    const list = response.status === 200 ? parseJson(response.body) : undefined;
    if (!Array.isArray(list)) {
      const hint = 'the token needs the right "Commit statuses: write", which includes reading them';
      throw toForgeError(`read the statuses of ${describeCommit(api.scope, sha)}`, response, hint);
    }
    for (const { context, state, description } of list.map(readObject)) {
      if (typeof context !== 'string' || !context.startsWith(CONTEXT_PREFIX)) continue;
      if (typeof description !== 'string' || !STATES.includes(state)) continue;
      yield { context, state: state as CommitStatus['state'], description };
    }
    if (list.length < PAGE_LENGTH) return;
  }
  const message = `${describeCommit(api.scope, sha)} has more than ${MAX_PAGES * PAGE_LENGTH} statuses: c3 cannot tell whether it was built`;
  throw new C3Error('FORGE_REFUSED', message);
}
