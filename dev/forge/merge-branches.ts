import { resolveObject, runGit, tryGit } from './git.ts';
import type { Repository } from './repositories.ts';

interface Merge {
  readonly base: string;
  readonly sha: string;
  readonly title: string;
}

/** Creates a merge commit of a branch and a commit, and moves no ref. Returns undefined if they conflict. */
export async function mergeBranches({ path }: Repository, { base, sha, title }: Merge): Promise<string | undefined> {
  const head = await resolveObject(path, `refs/heads/${base}`, 'commit');
  if (head === undefined) return undefined;
  const tree = await tryGit(path, ['merge-tree', '--write-tree', head, sha]);
  if (tree === undefined) return undefined;
  const commit = await runGit(path, ['commit-tree', tree, '-p', head, '-p', sha, '-m', title]);
  return commit.toString('utf8').trim();
}
