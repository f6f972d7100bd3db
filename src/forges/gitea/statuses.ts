import type { CommitStatus } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readObject } from '../../json.ts';
import { describeCommit, encodePath, MAX_JSON_BYTES, toForgeError, type RestApi } from '../rest-api.ts';
import type { StatusOptions } from '../rest-forge.ts';
import { isFirstUnknown, PAGE_LENGTH } from './api.ts';

/** c3 lists the statuses of these contexts: `c3/push`, `c3/tag`, `c3/pr`. */
const CONTEXT_PREFIX = 'c3/';
/** A user who may push could hide c3's statuses behind others. */
const MAX_PAGES = 60;
/** A shorter page is the last one, also on a server whose pages are shorter than the default. */
const MIN_FULL_PAGE = 10;

const STATES: readonly unknown[] = ['pending', 'success', 'failure', 'error'] satisfies CommitStatus['state'][];

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

/**
 * Lists c3's statuses of a commit, newest first. Another user who may set statuses can forge one, but such a user can
 * also push.
 */
export async function* listStatuses(
  api: RestApi,
  sha: string,
  signal: AbortSignal,
): AsyncGenerator<CommitStatus, void> {
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const query = { sort: 'highestindex', limit: String(PAGE_LENGTH), page: String(page) };
    const response = await api.get(`/statuses/${sha}`, signal, { query, isLate: isFirstUnknown });
    // An unknown commit has no status. `prove` reports that it is unknown.
    if (response.status === 404 || response.status === 422) return;
    const list = response.status === 200 ? parseJson(response.body) : undefined;
    if (!Array.isArray(list)) {
      throw toForgeError(`read the statuses of ${describeCommit(api.scope, sha)}`, response, HINT);
    }
    for (const { context, status, description } of list.map(readObject)) {
      if (typeof context !== 'string' || !context.startsWith(CONTEXT_PREFIX)) continue;
      if (typeof description !== 'string' || !STATES.includes(status)) continue;
      yield { context, state: status as CommitStatus['state'], description };
    }
    if (list.length < MIN_FULL_PAGE) return;
  }
  const message = `${describeCommit(api.scope, sha)} has more than ${MAX_PAGES * PAGE_LENGTH} statuses: c3 cannot tell whether it was built`;
  throw new C3Error('FORGE_REFUSED', message);
}
