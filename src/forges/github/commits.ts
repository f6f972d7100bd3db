import type { CommitFacts, PullRequest } from '../../build/index.ts';
import { parseJson, readObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { FileContent } from '../forge.ts';
import { toCommitFacts } from '../untrusted-text.ts';
import { encodePath, MAX_FILE_BYTES, orUnknown, toForgeError, type RestApi } from '../rest-api.ts';
import type { CommitOptions } from '../rest-forge.ts';
import { isFirstUnknown, isUnknownCommit } from './api.ts';

/** Commits and comparisons contain up to 300 files with about 1 MB of changes, which c3 does not use. */
const MAX_COMMIT_BYTES = 8 * 1024 * 1024;
/** GitHub lists at most as many files of a comparison. A list of this length may be incomplete. */
const MAX_COMPARED_FILES = 300;

const READ_HINT = 'the token needs the right "Contents: read"';

/** Reads a file at a commit. @see https://docs.github.com/en/rest/repos/contents#get-repository-content */
export async function readFile(api: RestApi, path: string, { sha, signal }: CommitOptions): Promise<FileContent> {
  const request = {
    method: 'GET',
    path: `${encodePath(`/contents/${path}`)}?ref=${encodeURIComponent(sha)}`,
    headers: { accept: 'application/vnd.github.raw+json' },
    maxBytes: MAX_FILE_BYTES,
    isLate: isUnknownCommit,
  } as const;
  const response = await api.send(request, signal);
  const { status, mediaType, body, isCut } = response;
  // GitHub sends JSON for a directory or a submodule, and never for a file.
  if (status === 404 || (status === 200 && mediaType === 'application/json')) return { kind: 'missing' };
  if (status !== 200) {
    const action = `read ${path} of ${formatScope(api.scope)} at ${sha.slice(0, 12)}`;
    throw toForgeError(action, response, READ_HINT);
  }
  return isCut
    ? { kind: 'too-large', maxBytes: MAX_FILE_BYTES }
    : { kind: 'found', text: new TextDecoder().decode(body) };
}

/** Reads the subject and the author. @see https://docs.github.com/en/rest/commits/commits#get-a-commit */
export async function readCommit(api: RestApi, sha: string, signal: AbortSignal): Promise<CommitFacts | undefined> {
  const options = { query: { per_page: '1' }, maxBytes: MAX_COMMIT_BYTES };
  const response = await api.get(`/commits/${sha}`, signal, options);
  // GitHub answers 422 for an unknown sha.
  if (response.status === 404 || response.status === 422) return undefined;
  const { commit } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  const { message, author } = readObject(commit);
  if (typeof message !== 'string') {
    throw toForgeError(`read commit ${sha.slice(0, 12)} of ${formatScope(api.scope)}`, response, READ_HINT);
  }
  return toCommitFacts(message, [readObject(author)['name']]);
}

/**
 * Returns the paths that a push changed; undefined if they are not known. GitHub compares with the common ancestor of
 * both commits, so the list is complete only if `before` is that ancestor. The first page of commits contains all
 * files.
 *
 * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
 */
export async function changedPaths(
  api: RestApi,
  before: string,
  options: CommitOptions,
): Promise<readonly string[] | undefined> {
  return await compare(api, before, { ...options, relations: ['ahead', 'identical'] });
}

/** Returns the paths that a pull request changes, compared with its merge base; undefined if they are not known. */
export async function pullPaths(
  api: RestApi,
  { base }: Pick<PullRequest, 'base'>,
  options: CommitOptions,
): Promise<readonly string[] | undefined> {
  return await compare(api, base, { ...options, relations: ['ahead', 'identical', 'diverged', 'behind'] });
}

/** `relations`: of the second commit to the first one. */
async function compare(
  api: RestApi,
  before: string,
  { sha, signal, relations }: CommitOptions & { readonly relations: readonly unknown[] },
): Promise<readonly string[] | undefined> {
  const options = { query: { per_page: '1' }, maxBytes: MAX_COMMIT_BYTES, isLate: isFirstUnknown };
  // A build must not fail because the forge cannot list its changes.
  return await orUnknown(async () => {
    const response = await api.get(`/compare/${before}...${sha}`, signal, options);
    const { status, files } = response.status === 200 ? readObject(parseJson(response.body)) : {};
    if (!relations.includes(status) || !Array.isArray(files) || files.length >= MAX_COMPARED_FILES) return undefined;
    const names = files.map(readObject).flatMap((file) => [file['filename'], file['previous_filename']]);
    return names.filter((name) => typeof name === 'string');
  });
}
