import { resolveCommit, tryGit } from '../git.ts';
import type { ApiState, Route, RouteAnswer, RouteCall } from '../route.ts';
import { refuse, toLinks, toPage } from './answers.ts';
import { listFiles, readCommits } from './commit-json.ts';
import { toApiUrl } from './repository-json.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');
/** GitHub's maximum number of commits in a comparison that is not divided into pages. */
const MAX_COMMITS = 250;
/** GitHub's maximum number of files in a comparison. */
const MAX_FILES = 300;

export function createCompareRoutes(state: Pick<ApiState, 'origin' | 'repositories'>): Route[] {
  return [
    {
      method: 'GET',
      pattern: /^\/compare\/(.+?)\.\.\.(.+)$/,
      permission: 'read',
      handle: (call) => compare(state, call),
    },
  ];
}

/**
 * Compares with the common ancestor. A branch of a fork is `OWNER:BRANCH`.
 *
 * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
 */
async function compare(state: Pick<ApiState, 'origin' | 'repositories'>, call: RouteCall): Promise<RouteAnswer> {
  const { repository, query } = call;
  const { path } = repository;
  const [base, head] = await Promise.all(call.captures.map((name) => resolveName(state, call, name)));
  if (base === undefined || head === undefined) return NOT_FOUND;
  const mergeBase = await tryGit(path, ['merge-base', base, head]);
  // GitHub does not compare commits without a common ancestor.
  if (mergeBase === undefined) return refuse(404, `No common ancestor between ${base} and ${head}.`);
  const counts = await tryGit(path, ['rev-list', '--left-right', '--count', `${base}...${head}`, '--']);
  const [behind = 0, ahead = 0] = (counts ?? '').split('\t').map(Number);
  const list = await tryGit(path, ['rev-list', '--reverse', `${base}..${head}`, '--']);
  const shas = (list ?? '').split('\n').filter((sha) => sha !== '');
  const isPaged = query.has('per_page') || query.has('page');
  const shown = isPaged ? toPage(shas, query) : shas.slice(-MAX_COMMITS);
  const where = { origin: state.origin, repository };
  const [[baseCommit, mergeBaseCommit], commits, files] = await Promise.all([
    readCommits(where, [base, mergeBase]),
    readCommits(where, shown),
    // Only the first page has the files.
    Number(query.get('page') ?? 1) > 1 ? [] : listFiles(where, { base: mergeBase, head, max: MAX_FILES }),
  ]);
  const names = `${base}...${head}`;
  const url = `${toApiUrl(state.origin, repository)}/compare/${names}`;
  const html_url = `${state.origin}/${repository.fullName}/compare/${names}`;
  const body = {
    url,
    html_url,
    permalink_url: html_url,
    diff_url: `${html_url}.diff`,
    patch_url: `${html_url}.patch`,
    base_commit: baseCommit,
    merge_base_commit: mergeBaseCommit,
    status: ahead > 0 ? (behind > 0 ? 'diverged' : 'ahead') : behind > 0 ? 'behind' : 'identical',
    ahead_by: ahead,
    behind_by: behind,
    total_commits: ahead,
    commits,
    files,
  };
  return { status: 200, body, headers: isPaged ? toLinks(shas.length, call) : {} };
}

/** Resolves a ref or a sha of the repository, or `OWNER:BRANCH` of a repository with the same name. */
async function resolveName(
  { repositories }: Pick<ApiState, 'repositories'>,
  { repository }: RouteCall,
  name: string,
): Promise<string | undefined> {
  const [, owner, branch = ''] = /^([^:]+):(.+)$/.exec(name) ?? [];
  if (owner === undefined) return await resolveCommit(repository.path, name);
  const other = repositories.find(owner, repository.name);
  return other && (await resolveCommit(other.path, branch));
}
