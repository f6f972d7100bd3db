import type { CommitFacts, PullRequest } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { FileContent } from '../forge.ts';
import { MAX_FILE_BYTES, orUnknown, toForgeError, type RestApi } from '../rest-api.ts';
import type { CommitOptions } from '../rest-forge.ts';
import { toCommitFacts } from '../untrusted-text.ts';
import { isFirstUnknown, PAGE_LENGTH, READ_HINT } from './api.ts';

/** A comparison has all commits with their files. A longer one counts as unknown. */
const MAX_COMPARE_BYTES = 8 * 1024 * 1024;
/** The most pages of files of a pull request that c3 reads: 1,000 files. */
const MAX_PAGES = 20;
/** The most pages of a directory: 20,000 files. */
const MAX_TREE_PAGES = 20;

/**
 * Reads a file at a commit, by the ids of its trees and its blob. The route `raw` prefers a branch whose name is that
 * id, and a user who may push could make one with another c3.yaml (A2).
 */
export async function readFile(api: RestApi, path: string, { sha, signal }: CommitOptions): Promise<FileContent> {
  const action = `read ${path} of ${formatScope(api.scope)} at ${sha.slice(0, 12)}`;
  let entry: UnknownObject = { type: 'tree', sha };
  for (const name of path.split('/')) {
    const found =
      entry['type'] === 'tree' ? await findEntry(api, name, { id: entry['sha'], action, signal }) : undefined;
    if (found === undefined) return { kind: 'missing' };
    entry = found;
  }
  if (entry['type'] !== 'blob') return { kind: 'missing' };
  if (Number(entry['size']) > MAX_FILE_BYTES) return { kind: 'too-large', maxBytes: MAX_FILE_BYTES };
  const response = await api.get(`/git/blobs/${String(entry['sha'])}`, signal);
  const { content } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  if (response.isCut) return { kind: 'too-large', maxBytes: MAX_FILE_BYTES };
  if (typeof content !== 'string') throw toForgeError(action, response, READ_HINT);
  const bytes = Buffer.from(content, 'base64');
  return bytes.length > MAX_FILE_BYTES
    ? { kind: 'too-large', maxBytes: MAX_FILE_BYTES }
    : { kind: 'found', text: new TextDecoder().decode(bytes) };
}

interface EntryOptions {
  /** The id of the commit or the tree. */
  readonly id: unknown;
  readonly action: string;
  readonly signal: AbortSignal;
}

/** Returns an entry of a directory. For an unknown commit there is none; then the engine asks again. */
async function findEntry(
  api: RestApi,
  name: string,
  { id, action, signal }: EntryOptions,
): Promise<UnknownObject | undefined> {
  for (let page = 1; page <= MAX_TREE_PAGES; page += 1) {
    const query = { per_page: '1000', page: String(page) };
    const response = await api.get(`/git/trees/${String(id)}`, signal, { query });
    if ([400, 404, 422].includes(response.status)) return undefined;
    const { tree, truncated } = response.status === 200 ? readObject(parseJson(response.body)) : {};
    if (!Array.isArray(tree)) throw toForgeError(action, response, READ_HINT);
    const found = tree.map(readObject).find((entry) => entry['path'] === name);
    if (found !== undefined || truncated !== true) return found;
  }
  throw new C3Error('FORGE_REFUSED', `Cannot ${action}: its directory has more than ${MAX_TREE_PAGES} pages`);
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
  return toCommitFacts(message, [readObject(author)['name']]);
}

/**
 * Returns whether a commit is an ancestor of another one, or the same; undefined if it is not known. For commits without
 * a common ancestor, the forge shows no commits in both directions.
 */
export async function isAncestor(
  api: RestApi,
  ancestor: string,
  { sha, signal }: CommitOptions,
): Promise<boolean | undefined> {
  if (ancestor === sha) return true;
  const options = { query: { stat: 'false', verification: 'false', files: 'false' }, maxBytes: MAX_COMPARE_BYTES };
  const responses = await Promise.all([
    api.get(`/compare/${sha}...${ancestor}`, signal, options),
    api.get(`/compare/${ancestor}...${sha}`, signal, options),
  ]);
  const [missing, newer] = responses.map((response) =>
    response.status === 200 ? readObject(parseJson(response.body))['total_commits'] : undefined,
  );
  return typeof missing === 'number' && typeof newer === 'number' ? missing === 0 && newer > 0 : undefined;
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
    const response = await api.get(`/compare/${before}...${sha}`, signal, options);
    const { commits } = response.status === 200 ? readObject(parseJson(response.body)) : {};
    const files = findCommits(readArray(commits).map(readObject), before, sha)?.map((commit) => commit['files']);
    if (files?.every((list) => Array.isArray(list)) !== true) return undefined;
    return files.flat().map((file) => readString(readObject(file)['filename']) ?? '');
  });
}

/**
 * Follows the first parents from a commit back to `before`; undefined if they do not lead there. The forge shows the
 * files that differ from a commit's first parent. So only on this way do they have all differences: a merge can drop
 * what its second parent changed.
 */
function findCommits(
  commits: readonly UnknownObject[],
  before: string,
  sha: string,
): readonly UnknownObject[] | undefined {
  const byId = new Map(commits.map((commit) => [commit['sha'], commit]));
  const way: UnknownObject[] = [];
  for (let id: unknown = sha; id !== before;) {
    const commit = byId.get(id);
    if (commit === undefined || way.length === commits.length) return undefined;
    way.push(commit);
    id = readObject(readArray(commit['parents'])[0])['sha'];
  }
  return way;
}

/** Returns the paths that a pull request changes, compared with its merge base; undefined if they are not known. */
export async function pullPaths(
  api: RestApi,
  { number }: Pick<PullRequest, 'number'>,
  { sha, signal }: CommitOptions,
): Promise<readonly string[] | undefined> {
  return await orUnknown(async () => {
    const paths: string[] = [];
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const query = { limit: String(PAGE_LENGTH), page: String(page) };
      const response = await api.get(`/pulls/${number}/files`, signal, { query });
      const list = response.status === 200 ? parseJson(response.body) : undefined;
      if (!Array.isArray(list)) return undefined;
      // A server may have shorter pages than requested, so only an empty one is the last.
      if (list.length === 0) return (await readPullHead(api, number, signal)) === sha ? paths : undefined;
      const names = list.map(readObject).flatMap((file): unknown[] => [file['filename'], file['previous_filename']]);
      paths.push(...names.filter((name) => typeof name === 'string').filter((name) => name !== ''));
    }
    return undefined;
  });
}

/** The list of files is that of the newest commit. */
async function readPullHead(api: RestApi, number: number, signal: AbortSignal): Promise<unknown> {
  const response = await api.get(`/pulls/${number}`, signal);
  return response.status === 200 ? readObject(readObject(parseJson(response.body))['head'])['sha'] : undefined;
}
