import type { CommitStatus } from '../../build/index.ts';
import { parseJson, readObject } from '../../json.ts';
import { describeCommit, encodePath, MAX_JSON_BYTES, toForgeError, type GithubApi } from './api.ts';

const STATUS_CONTEXT = 'c3';

/** GitHub's largest page, and the pages of the 1,000 statuses that GitHub keeps of one context. */
const PAGE_LENGTH = 100;
const MAX_PAGES = 10;

const STATES: readonly unknown[] = ['pending', 'success', 'failure', 'error'] satisfies CommitStatus['state'][];

export interface StatusOptions {
  readonly status: CommitStatus;
  readonly signal: AbortSignal;
}

/** Sets c3's status of a commit. @see https://docs.github.com/en/rest/commits/statuses#create-a-commit-status */
export async function setStatus(api: GithubApi, sha: string, { status, signal }: StatusOptions): Promise<void> {
  const { state, description, targetUrl: target_url } = status;
  const request = {
    method: 'POST',
    path: encodePath(`/statuses/${sha}`),
    headers: { accept: 'application/vnd.github+json', 'content-type': 'application/json' },
    body: JSON.stringify({ state, context: STATUS_CONTEXT, description, target_url }),
    maxBytes: MAX_JSON_BYTES,
  } as const;
  const response = await api.send(request, signal);
  if (response.status !== 201) {
    const hint = 'the token needs the right "Commit statuses: write"';
    throw toForgeError(`set the status of ${describeCommit(api.scope, sha)}`, response, { hint });
  }
}

/**
 * Lists c3's statuses of a commit, newest first. Another user who may set statuses can forge one, but such a user can
 * also push.
 *
 * @see https://docs.github.com/en/rest/commits/statuses#list-commit-statuses-for-a-reference
 */
export async function* listStatuses(
  api: GithubApi,
  sha: string,
  signal: AbortSignal,
): AsyncGenerator<CommitStatus, void> {
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const query = { per_page: String(PAGE_LENGTH), page: String(page) };
    const response = await api.get(`/commits/${sha}/statuses`, signal, { query });
    // An unknown commit has no status. `prove` reports that it is unknown.
    if (response.status === 404 || response.status === 422) return;
    const list = response.status === 200 ? parseJson(response.body) : undefined;
    if (!Array.isArray(list)) {
      const hint = 'the token needs the right "Commit statuses: write", which includes reading them';
      throw toForgeError(`read the statuses of ${describeCommit(api.scope, sha)}`, response, { hint });
    }
    for (const { context, state, description } of list.map(readObject)) {
      if (context !== STATUS_CONTEXT || typeof description !== 'string' || !STATES.includes(state)) continue;
      yield { state: state as CommitStatus['state'], description };
    }
    if (list.length < PAGE_LENGTH) return;
  }
}
