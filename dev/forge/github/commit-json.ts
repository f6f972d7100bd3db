import type { CommitObject } from '../commit-object.ts';
import { readCommitObject } from '../commit-object.ts';
import { runGit } from '../git.ts';
import type { Repository } from '../repositories.ts';
import { toApiUrl, type Json } from './repository-json.ts';

/** Git's empty tree: the parent of a first commit. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

export interface Origin {
  readonly origin: string;
  readonly repository: Repository;
}

/** Reads commits as GitHub shows them, without their files. */
export function readCommits({ origin, repository }: Origin, shas: readonly string[]): Promise<Json[]> {
  const read = async (sha: string): Promise<Json> =>
    toCommitJson({ origin, repository }, await readCommitObject(repository.path, sha));
  return Promise.all(shas.map(read));
}

/** Reads a commit with its files. */
export async function readWholeCommit(where: Origin, sha: string): Promise<Json> {
  const { parents } = await readCommitObject(where.repository.path, sha);
  const [commit] = await readCommits(where, [sha]);
  const files = await listFiles(where, { base: parents[0] ?? EMPTY_TREE, head: sha, max: 300 });
  const [additions, deletions] = countLines(files);
  return { ...commit, stats: { total: additions + deletions, additions, deletions }, files };
}

/** The added and the deleted lines of files. */
export function countLines(files: readonly Json[]): [additions: number, deletions: number] {
  const sum = (name: string): number => files.reduce((total, file) => total + Number(file[name]), 0);
  return [sum('additions'), sum('deletions')];
}

function toCommitJson({ origin, repository }: Origin, commit: CommitObject): Json {
  const { sha, tree, parents, author, committer, message } = commit;
  const api = toApiUrl(origin, repository);
  const page = `${origin}/${repository.fullName}/commit/`;
  const verification = { verified: false, reason: 'unsigned', signature: null, payload: null, verified_at: null };
  return {
    sha,
    node_id: `C_${sha}`,
    commit: {
      author,
      committer,
      message,
      tree: { sha: tree, url: `${api}/git/trees/${tree}` },
      url: `${api}/git/commits/${sha}`,
      comment_count: 0,
      verification,
    },
    url: `${api}/commits/${sha}`,
    html_url: page + sha,
    comments_url: `${api}/commits/${sha}/comments`,
    // GitHub finds the account by its email address. The accounts here have none.
    author: null,
    committer: null,
    parents: parents.map((parent) => ({ sha: parent, url: `${api}/commits/${parent}`, html_url: page + parent })),
  };
}

const FILE_STATES: Readonly<Record<string, string>> = { A: 'added', D: 'removed', M: 'modified', T: 'changed' };
const NO_OBJECT = '0'.repeat(40);

/** Lists the files that differ between two commits, with renames as git detects them, and without the differences. */
export async function listFiles(
  { origin, repository }: Origin,
  { base, head, max }: { readonly base: string; readonly head: string; readonly max: number },
): Promise<Json[]> {
  const format = ['--raw', '--numstat', '--abbrev=40', '--find-renames', '-r', '-z'];
  const output = await runGit(repository.path, ['diff-tree', ...format, base, head]);
  const fields = output.toString('utf8').split('\0');
  const changes: { state: string; blob: string; path: string; previous: string | undefined }[] = [];
  while (fields[0]?.startsWith(':')) {
    const [, , before = '', after = '', state = ''] = fields.shift()?.split(' ') ?? [];
    const previous = state.startsWith('R') ? fields.shift() : undefined;
    changes.push({ state, blob: after === NO_OBJECT ? before : after, path: fields.shift() ?? '', previous });
  }
  const api = toApiUrl(origin, repository);
  return changes.slice(0, max).map(({ state, blob, path, previous }) => {
    const [added = '', deleted = '', name = ''] = fields.shift()?.split('\t') ?? [];
    if (name === '') fields.splice(0, 2);
    // A binary file has `-` instead of a number.
    const [additions, deletions] = [Number(added) || 0, Number(deleted) || 0];
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    return {
      sha: blob,
      filename: path,
      status: state.startsWith('R') ? 'renamed' : FILE_STATES[state],
      additions,
      deletions,
      changes: additions + deletions,
      blob_url: `${origin}/${repository.fullName}/blob/${head}/${encoded}`,
      raw_url: `${origin}/${repository.fullName}/raw/${head}/${encoded}`,
      contents_url: `${api}/contents/${encoded}?ref=${head}`,
      ...(previous === undefined ? {} : { previous_filename: previous }),
    };
  });
}
