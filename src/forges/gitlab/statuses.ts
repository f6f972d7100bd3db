import { type CommitStatus, isIn, readCommitStatus, toShortName, toStatusContext } from '../../build/index.ts';
import { parseJson, readInteger, readObject, readString, type UnknownObject } from '../../json.ts';
import type { HttpResponse } from '../http-client.ts';
import { describeCommit, MAX_JSON_BYTES, toDiagnosis, toForgeError, type RestApi } from '../rest-api.ts';
import type { StatusOptions } from '../rest-forge.ts';
import { readStatusPages, toCommitStatus } from '../status-list.ts';
import { getSegments, isFirstUnknown, toSegments } from './api.ts';
import { readPullRef } from './pulls.ts';

/** GitLab's largest page, and how many of them. The jobs of GitLab's own pipelines are in the same list. */
const PAGE_LENGTH = 100;
const MAX_PAGES = 30;

/** GitLab refuses a status with a longer link. */
const MAX_TARGET_URL_LENGTH = 255;

const WRITE_HINT =
  'the token needs the scope "api", and a role that may push or merge to the branch: for a protected branch, usually Maintainer';

/**
 * Sets c3's status of a commit. GitLab keeps one running status of each name, ref and user, and a new one replaces it.
 * It refuses the change from running to running, and from pending or running to pending.
 *
 * @see https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
 */
export async function setStatus(api: RestApi, sha: string, { status, signal }: StatusOptions): Promise<void> {
  const { context: name, description, targetUrl: target_url = '' } = status;
  const ref = await findRef(api, sha, { status, signal });
  const target = { name, ...(ref === undefined ? {} : { ref }) };
  const hasLink = target_url !== '' && target_url.length <= MAX_TARGET_URL_LENGTH;
  const state = toGitlabState(status);
  const body = { ...target, state, description, ...(hasLink ? { target_url } : {}) };
  let response = await post(api, sha, body, signal);
  if (status.state === 'pending' && isRefusedChange(response)) {
    // Another delivery has asked for the approval of this commit, or it is approved and runs.
    if (state === 'pending' || (await isShown(api, sha, { status, signal }))) return;
    // Another build of this ref has not ended, because its c3 was killed.
    await post(api, sha, { ...target, state: 'canceled' }, signal);
    response = await post(api, sha, body, signal);
  }
  if (response.status !== 201) {
    throw toForgeError(`set the status of ${describeCommit(api.scope, sha)}`, response, WRITE_HINT);
  }
}

/** 409: GitLab changes the same status for another request. */
function post(api: RestApi, sha: string, body: object, signal: AbortSignal): Promise<HttpResponse> {
  const request = {
    method: 'POST',
    path: toSegments(['statuses', sha]),
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify(body),
    maxBytes: MAX_JSON_BYTES,
    isLate: ({ status }: HttpResponse) => status === 404 || status === 409,
  } as const;
  return api.send(request, signal);
}

/** GitLab's message: `Cannot transition status via :run from :running`. */
function isRefusedChange(response: HttpResponse): boolean {
  return response.status === 400 && /cannot transition status/i.test(toDiagnosis(response));
}

async function isShown(api: RestApi, sha: string, { status, signal }: StatusOptions): Promise<boolean> {
  for await (const { context, state, description } of listStatuses(api, sha, signal)) {
    if (context === status.context && state === 'pending') return description === status.description;
  }
  return false;
}

/**
 * Finds the ref of a status. GitLab has a pipeline for each ref of a commit. Without the ref it uses the newest
 * pipeline of the commit, and refuses a commit that is in no branch.
 */
async function findRef(api: RestApi, sha: string, { status, signal }: StatusOptions): Promise<string | undefined> {
  const { refName } = readCommitStatus(status);
  if (refName === undefined) return undefined;
  if (isIn(toStatusContext('pull_request'), status)) return await readPullRef(api, Number(refName.slice(1)), signal);
  // Only a name that was cut has this character.
  if (!refName.includes('~')) return refName;
  const kind = isIn(toStatusContext('tag'), status) ? 'tag' : 'branch';
  const query = [
    ['type', kind],
    ['per_page', String(PAGE_LENGTH)],
  ] as const;
  const response = await getSegments(api, ['repository', 'commits', sha, 'refs'], signal, { query });
  const refs = response.status === 200 ? parseJson(response.body) : [];
  const names = Array.isArray(refs) ? refs.map((ref) => readString(readObject(ref)['name']) ?? '') : [];
  return names.find((name) => toShortName({ ref: { kind, name } }) === refName);
}

/** GitLab has one word for "failure" and "error". Its own word for a cancelled build is more exact. */
function toGitlabState(status: CommitStatus): string {
  const kind = readCommitStatus(status).ending?.kind ?? '';
  switch (status.state) {
    case 'pending':
      return kind === 'needs-approval' ? 'pending' : 'running';
    case 'success':
      return 'success';
    case 'failure':
      return 'failed';
    case 'error':
      return kind === 'cancelled' || kind === 'superseded' ? 'canceled' : 'failed';
  }
}

function readState(state: unknown, description: string): CommitStatus['state'] | undefined {
  switch (state) {
    case 'created':
    case 'pending':
    case 'running':
      return 'pending';
    case 'success':
      return 'success';
    case 'canceled':
      return 'error';
    case 'failed': {
      // Which of the two it was is in the description: any other text reads as an error whose message is the text.
      const { ending, text } = readCommitStatus({ state: 'error', description });
      return ending?.kind === 'infrastructure-error' && ending.message === text ? 'failure' : 'error';
    }
    default:
      return undefined;
  }
}

/**
 * Lists c3's statuses of a commit, those that changed last first. Another user who may set statuses can forge one, but
 * such a user can also push.
 *
 * @see https://docs.gitlab.com/api/commits/#list-commit-statuses
 */
export async function* listStatuses(
  api: RestApi,
  sha: string,
  signal: AbortSignal,
): AsyncGenerator<CommitStatus, void> {
  const list = {
    path: `/repository/commits/${sha}/statuses`,
    // `all`: also those that a newer one of the same name has replaced.
    toQuery: (page: number) => ({ all: 'true', per_page: String(PAGE_LENGTH), page: String(page) }),
    pageLength: PAGE_LENGTH,
    maxPages: MAX_PAGES,
    unknown: [404],
    isLate: isFirstUnknown,
    hint: WRITE_HINT,
  };
  yield* toStatuses((await Array.fromAsync(readStatusPages(api, sha, { list, signal }))).flat());
}

/** The order of GitLab's list is that of their first change. */
function toStatuses(list: readonly UnknownObject[]): readonly CommitStatus[] {
  const newestFirst = list.toSorted((a, b) => toTime(b) - toTime(a) || toId(b) - toId(a));
  return newestFirst.flatMap(({ name, status, description }) => {
    const state = typeof description === 'string' ? readState(status, description) : undefined;
    return toCommitStatus(name, state, description) ?? [];
  });
}

function toTime({ finished_at: finished, started_at: started, created_at: created }: UnknownObject): number {
  return Date.parse(readString(finished) ?? readString(started) ?? readString(created) ?? '') || 0;
}

function toId({ id }: UnknownObject): number {
  return readInteger(id) ?? 0;
}
