import type { CommitFacts, PullRequest } from '../../build/index.ts';
import { parseJson, readArray, readObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { FileContent } from '../forge.ts';
import type { HttpResponse } from '../http-client.ts';
import { MAX_FILE_BYTES, orUnknown, toDiagnosis, toForgeError, type RestApi } from '../rest-api.ts';
import type { CommitOptions } from '../rest-forge.ts';
import { toCommitFacts } from '../untrusted-text.ts';
import { getSegments, isFirstUnknown, RIGHTS_HINT, toSegments } from './api.ts';

/** A comparison contains all commits and changes, which c3 does not use. */
const MAX_COMPARISON_BYTES = 8 * 1024 * 1024;

/** Reads a file at a commit. @see https://docs.gitlab.com/api/repository_files/#retrieve-a-raw-file-from-a-repository */
export async function readFile(api: RestApi, path: string, { sha, signal }: CommitOptions): Promise<FileContent> {
  const request = {
    method: 'GET',
    path: `${toSegments(['repository', 'files', path, 'raw'])}?ref=${encodeURIComponent(sha)}`,
    headers: { accept: '*/*' },
    maxBytes: MAX_FILE_BYTES,
    // GitLab answers "404 File Not Found" for a directory and for a path that does not exist.
    isLate: (answer: HttpResponse) => answer.status === 404 && /commit not found/i.test(toDiagnosis(answer)),
  } as const;
  const response = await api.send(request, signal);
  if (response.status === 404) return { kind: 'missing' };
  if (response.status !== 200) {
    throw toForgeError(`read ${path} of ${formatScope(api.scope)} at ${sha.slice(0, 12)}`, response, RIGHTS_HINT);
  }
  return response.isCut
    ? { kind: 'too-large', maxBytes: MAX_FILE_BYTES }
    : { kind: 'found', text: new TextDecoder().decode(response.body) };
}

/** Reads the subject and the author. @see https://docs.gitlab.com/api/commits/#retrieve-a-commit */
export async function readCommit(api: RestApi, sha: string, signal: AbortSignal): Promise<CommitFacts | undefined> {
  const response = await getSegments(api, ['repository', 'commits', sha], signal, { query: [['stats', 'false']] });
  if (response.status === 404) return undefined;
  const { message, author_name: author } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  if (typeof message !== 'string') {
    throw toForgeError(`read commit ${sha.slice(0, 12)} of ${formatScope(api.scope)}`, response, RIGHTS_HINT);
  }
  return toCommitFacts(message, [author]);
}

/** Returns the paths that a push changed; undefined if they are not known, or if `before` is not an ancestor. */
export async function changedPaths(
  api: RestApi,
  before: string,
  { sha, signal }: CommitOptions,
): Promise<readonly string[] | undefined> {
  return await orUnknown(async () => {
    const [isBehind, paths] = await Promise.all([
      isAncestor(api, before, { sha, signal }),
      compare(api, before, { sha, signal, isStraight: true }),
    ]);
    return isBehind ? paths : undefined;
  });
}

/** Returns the paths that a merge request changes, compared with its merge base; undefined if they are not known. */
export async function pullPaths(
  api: RestApi,
  { base }: Pick<PullRequest, 'base'>,
  { sha, signal }: CommitOptions,
): Promise<readonly string[] | undefined> {
  return await orUnknown(() => compare(api, base, { sha, signal, isStraight: false }));
}

/**
 * Returns whether a commit is an ancestor of `sha`, or the same.
 *
 * @see https://docs.gitlab.com/api/repositories/#merge-base
 */
export async function isAncestor(api: RestApi, ancestor: string, { sha, signal }: CommitOptions): Promise<boolean> {
  const query = [ancestor, sha].map((commit) => ['refs[]', commit] as const);
  const response = await getSegments(api, ['repository', 'merge_base'], signal, { query, isLate: isFirstUnknown });
  return response.status === 200 && readObject(parseJson(response.body))['id'] === ancestor;
}

/** `compare_timeout` says that the list is not complete. @see https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits */
async function compare(
  api: RestApi,
  from: string,
  { sha, signal, isStraight }: CommitOptions & { readonly isStraight: boolean },
): Promise<readonly string[] | undefined> {
  const query = [
    ['from', from],
    ['to', sha],
    ['straight', String(isStraight)],
  ] as const;
  const options = { query, maxBytes: MAX_COMPARISON_BYTES, isLate: isFirstUnknown };
  const response = await getSegments(api, ['repository', 'compare'], signal, options);
  const { diffs, compare_timeout: isCut } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  if (isCut !== false || !Array.isArray(diffs)) return undefined;
  const names = readArray(diffs)
    .map(readObject)
    .flatMap((file) => [file['old_path'], file['new_path']]);
  return [...new Set(names.filter((name) => typeof name === 'string'))];
}
