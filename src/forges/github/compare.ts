import { C3Error } from '../../errors.ts';
import { parseJson, readObject } from '../../json.ts';
import type { GithubApi } from './api.ts';

/** A comparison has no more; one with as many may have been cut. */
const MAX_FILES = 300;
/** With the changes themselves, of which GitHub shows about a megabyte; nobody reads them here. */
const MAX_COMPARISON_BYTES = 8 * 1024 * 1024;

/**
 * The paths that a push changed. GitHub compares with the common ancestor: only when that is `before` itself are those all. The
 * files come with the first page of commits, however short that is.
 *
 * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
 */
export async function listChangedPaths(
  api: GithubApi,
  before: string,
  { sha, signal }: { readonly sha: string; readonly signal: AbortSignal },
): Promise<readonly string[] | undefined> {
  const options = { query: { per_page: '1' }, maxBytes: MAX_COMPARISON_BYTES };
  try {
    const answer = await api.get(`/compare/${before}...${sha}`, signal, options);
    const { status, files } = answer.status === 200 ? readObject(parseJson(answer.body)) : {};
    if ((status !== 'ahead' && status !== 'identical') || !Array.isArray(files) || files.length >= MAX_FILES) {
      return undefined;
    }
    const names = files.map(readObject).flatMap((file) => [file['filename'], file['previous_filename']]);
    return names.filter((name) => typeof name === 'string');
  } catch (error) {
    // A condition that cannot be asked holds; a build is not lost for it.
    if (error instanceof C3Error && error.code === 'FORGE_UNREACHABLE') return undefined;
    throw error;
  }
}
