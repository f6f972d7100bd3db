import type { CommitStatus } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import { encodePath, MAX_JSON_BYTES, toDiagnosis, type GithubApi } from './api.ts';

const STATUS_CONTEXT = 'c3';

/** GitHub's largest page, and what it keeps at most of one context. */
const PAGE_LENGTH = 100;
const MAX_PAGES = 10;

const STATES: readonly unknown[] = ['pending', 'success', 'failure', 'error'] satisfies CommitStatus['state'][];

export interface StatusOptions {
  readonly status: CommitStatus;
  readonly signal: AbortSignal;
}

/** @see https://docs.github.com/en/rest/commits/statuses#create-a-commit-status */
export async function setStatus(api: GithubApi, sha: string, options: StatusOptions): Promise<void> {
  const { state, description, targetUrl } = options.status;
  const body = JSON.stringify({
    state,
    context: STATUS_CONTEXT,
    description,
    ...(targetUrl === undefined ? {} : { target_url: targetUrl }),
  });
  const answer = await api.send(
    { method: 'POST', path: encodePath(`/statuses/${sha}`), body, maxBytes: MAX_JSON_BYTES },
    { accept: 'application/vnd.github+json', 'content-type': 'application/json' },
    options.signal,
  );
  if (answer.status !== 201) {
    throw new C3Error(
      'FORGE_REFUSED',
      `Cannot set the status of ${sha.slice(0, 12)} in ${formatScope(api.scope)}: ${toDiagnosis(answer)}`,
      { hint: 'the token needs the right "Commit statuses: write"' },
    );
  }
}

/**
 * Lists c3's statuses of a commit, the newest first. Anyone who may set statuses could forge one; they could also push.
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
    const answer = await api.get(`/commits/${sha}/statuses`, signal, { query });
    // A commit that the forge does not know has none; whether it is there is for prove to say.
    if (answer.status === 404 || answer.status === 422) return;
    const list = answer.status === 200 ? parseJson(answer.body) : undefined;
    if (!Array.isArray(list)) {
      throw new C3Error(
        'FORGE_REFUSED',
        `Cannot read the statuses of ${sha.slice(0, 12)} in ${formatScope(api.scope)}: ${toDiagnosis(answer)}`,
        { hint: 'the token needs the right "Commit statuses: write", which includes reading them' },
      );
    }
    for (const { context, state, description } of list.map(readObject)) {
      if (context !== STATUS_CONTEXT || typeof description !== 'string' || !STATES.includes(state)) continue;
      yield { state: state as CommitStatus['state'], description };
    }
    if (list.length < PAGE_LENGTH) return;
  }
}
