import type { CommitFacts } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readArray, readObject, readString } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { FileContent } from '../forge.ts';
import { encodePath, MAX_FILE_BYTES, toForgeError, type RestApi } from '../rest-api.ts';
import { MAX_AUTHOR_LENGTH, MAX_SUBJECT_LENGTH, toPrintableLine } from '../untrusted-text.ts';
import { isFirstUnknown, PAGE_LENGTH, READ_HINT } from './api.ts';

/** A comparison has all commits with their files. A longer one counts as unknown. */
const MAX_COMPARE_BYTES = 8 * 1024 * 1024;
/** The most pages of files of a pull request that c3 reads: 1,000 files. */
const MAX_PAGES = 20;

export interface CommitOptions {
  readonly sha: string;
  readonly signal: AbortSignal;
}

/** Reads a file at a commit, as its bytes. */
export async function readFile(api: RestApi, path: string, { sha, signal }: CommitOptions): Promise<FileContent> {
  const request = {
    method: 'GET',
    path: `${encodePath(`/raw/${path}`)}?ref=${encodeURIComponent(sha)}`,
    headers: { accept: '*/*' },
    maxBytes: MAX_FILE_BYTES,
  } as const;
  const response = await api.send(request, signal);
  // An unknown commit is the same to Gitea as a missing file. The engine asks again.
  if (response.status === 404) return { kind: 'missing' };
  if (response.status !== 200) {
    throw toForgeError(`read ${path} of ${formatScope(api.scope)} at ${sha.slice(0, 12)}`, response, READ_HINT);
  }
  return response.isCut
    ? { kind: 'too-large', maxBytes: MAX_FILE_BYTES }
    : { kind: 'found', text: new TextDecoder().decode(response.body) };
}

/** Reads the subject and the author of a commit. */
export async function readCommit(api: RestApi, sha: string, signal: AbortSignal): Promise<CommitFacts | undefined> {
  const query = { stat: 'false', verification: 'false', files: 'false' };
  const response = await api.get(`/git/commits/${sha}`, signal, { query });
  if (response.status === 404 || response.status === 422) return undefined;
  const { commit } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  const { message, author } = readObject(commit);
  if (typeof message !== 'string') {
    throw toForgeError(`read commit ${sha.slice(0, 12)} of ${formatScope(api.scope)}`, response, READ_HINT);
  }
  return {
    subject: toPrintableLine(message, MAX_SUBJECT_LENGTH),
    author: toPrintableLine(readString(readObject(author)['name']) ?? '', MAX_AUTHOR_LENGTH),
  };
}

/** Returns whether a commit is an ancestor of another one, or the same. */
export async function isAncestor(
  api: RestApi,
  ancestor: string,
  { sha, signal }: CommitOptions,
): Promise<boolean | undefined> {
  if (ancestor === sha) return true;
  const query = { stat: 'false', verification: 'false', files: 'false' };
  const response = await api.get(`/compare/${sha}...${ancestor}`, signal, { query, maxBytes: MAX_COMPARE_BYTES });
  const { total_commits: count } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  return typeof count === 'number' ? count === 0 : undefined;
}

/**
 * Returns the paths that the commits after `before` changed; undefined if they are not known. A path that a later commit
 * has restored is in the list too: then a condition holds that need not.
 */
export async function changedPaths(
  api: RestApi,
  before: string,
  { sha, signal }: CommitOptions,
): Promise<readonly string[] | undefined> {
  const options = {
    query: { stat: 'false', verification: 'false' },
    maxBytes: MAX_COMPARE_BYTES,
    isLate: isFirstUnknown,
  };
  return await orUnknown(async () => {
    const [response, isOlder] = await Promise.all([
      api.get(`/compare/${before}...${sha}`, signal, options),
      isAncestor(api, before, { sha, signal }),
    ]);
    const { commits, total_commits: count } = response.status === 200 ? readObject(parseJson(response.body)) : {};
    const list = readArray(commits).map(readObject);
    // Without its files, a commit's paths are not known. A merge has files as well.
    const isComplete = isOlder === true && list.length === count && list.every(({ files }) => Array.isArray(files));
    if (!isComplete) return undefined;
    return list.flatMap(({ files }) => readArray(files).map((file) => readString(readObject(file)['filename']) ?? ''));
  });
}

/** Returns the paths that a pull request changes, compared with its merge base; undefined if they are not known. */
export async function pullPaths(
  api: RestApi,
  number: number,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  return await orUnknown(async () => {
    const paths: string[] = [];
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const query = { limit: String(PAGE_LENGTH), page: String(page) };
      const response = await api.get(`/pulls/${number}/files`, signal, { query });
      const list = response.status === 200 ? parseJson(response.body) : undefined;
      if (!Array.isArray(list)) return undefined;
      // A server may have shorter pages than requested, so only an empty one is the last.
      if (list.length === 0) return paths;
      const names = list.map(readObject).flatMap((file): unknown[] => [file['filename'], file['previous_filename']]);
      paths.push(...names.filter((name) => typeof name === 'string').filter((name) => name !== ''));
    }
    return undefined;
  });
}

/** A build must not fail because the forge cannot list its changes. */
async function orUnknown<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof C3Error && error.code === 'FORGE_UNREACHABLE') return undefined;
    throw error;
  }
}
