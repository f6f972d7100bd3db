import { GIT_ENVIRONMENT, readCommit, resolveCommit, resolveObject, runGit, tryGit, type Commit } from '../git.ts';
import { readObject } from '../object-reader.ts';
import type { Repository } from '../repositories.ts';
import type { ApiState, Route, RouteAnswer, RouteCall } from '../route.ts';
import { notFound, refuseParameters, toPage } from './answers.ts';
import { isProtected } from './users.ts';

type Json = Record<string, unknown>;

/** GitLab's default maximum of files in a comparison. */
const MAX_FILES = 1000;

/** The routes that read a repository: branches, tags, commits, comparisons, files. A name is one encoded segment. */
export function createContentRoutes({ origin }: Pick<ApiState, 'origin'>): Route[] {
  return [
    get(/^\/repository\/branches$/, async ({ repository, query }) => {
      const names = await listRefs(repository, 'refs/heads');
      const branches = await Promise.all(names.map((name) => toBranchJson(origin, repository, name)));
      return toPage(branches, query);
    }),
    get(/^\/repository\/branches\/([^/]+)$/, async ({ repository, captures: [name = ''] }) => {
      const body = await toBranchJson(origin, repository, name);
      return body === undefined ? notFound('Branch') : { status: 200, body };
    }),
    get(/^\/repository\/tags\/([^/]+)$/, async ({ repository, captures: [name = ''] }) => {
      const body = await toTagJson(origin, repository, name);
      return body === undefined ? notFound('Tag') : { status: 200, body };
    }),
    get(/^\/repository\/commits\/([^/]+)$/, async ({ repository, captures: [ref = ''] }) => {
      const commit = await findCommit(repository, ref);
      return commit === undefined
        ? notFound('Commit')
        : { status: 200, body: toCommitJson(origin, repository, commit) };
    }),
    get(/^\/repository\/commits\/([^/]+)\/refs$/, listCommitRefs),
    get(/^\/repository\/merge_base$/, async ({ repository, query }) => {
      const refs = query.getAll('refs[]');
      if (refs.length < 2) return refuseParameters('Provide at least 2 refs');
      const base = await tryGit(repository.path, ['merge-base', ...refs]);
      const commit = base === undefined ? undefined : await findCommit(repository, base);
      return commit === undefined
        ? notFound('Merge base')
        : { status: 200, body: toCommitJson(origin, repository, commit) };
    }),
    get(/^\/repository\/compare$/, (call) => compare(origin, call)),
    get(/^\/repository\/files\/([^/]+)\/raw$/, readFile),
  ];
}

async function listRefs({ path }: Repository, ...patterns: readonly string[]): Promise<readonly string[]> {
  const list = await tryGit(path, ['for-each-ref', '--format=%(refname:lstrip=2)', ...patterns]);
  return (list ?? '').split('\n').filter((name) => name !== '');
}

async function findCommit({ path }: Repository, ref: string): Promise<Commit | undefined> {
  const sha = await resolveCommit(path, ref);
  return sha === undefined ? undefined : await readCommit(path, sha);
}

/** @see https://docs.gitlab.com/api/branches/#retrieve-a-repository-branch */
async function toBranchJson(origin: string, repository: Repository, name: string): Promise<Json | undefined> {
  const sha = await resolveObject(repository.path, `refs/heads/${name}`, 'commit');
  if (sha === undefined) return undefined;
  return {
    name,
    merged: false,
    protected: isProtected(repository, name),
    default: name === repository.defaultBranch,
    web_url: `${origin}/${repository.fullName}/-/tree/${name}`,
    commit: toCommitJson(origin, repository, await readCommit(repository.path, sha)),
  };
}

/** @see https://docs.gitlab.com/api/tags/#retrieve-a-repository-tag */
async function toTagJson(origin: string, repository: Repository, name: string): Promise<Json | undefined> {
  const target = await resolveObject(repository.path, `refs/tags/${name}`, 'object');
  if (target === undefined) return undefined;
  const sha = await resolveObject(repository.path, target, 'commit');
  const commit = sha === undefined ? null : toCommitJson(origin, repository, await readCommit(repository.path, sha));
  return { name, message: '', target, commit, release: null, protected: false };
}

/** @see https://docs.gitlab.com/api/commits/#retrieve-a-commit */
function toCommitJson(origin: string, { fullName }: Repository, commit: Commit): Json {
  const { sha, message, timestamp, author, committer } = commit;
  return {
    id: sha,
    short_id: sha.slice(0, 8),
    created_at: timestamp,
    parent_ids: [],
    title: message.split('\n', 1)[0],
    message,
    author_name: author.name,
    author_email: author.email,
    authored_date: timestamp,
    committer_name: committer.name,
    committer_email: committer.email,
    committed_date: timestamp,
    web_url: `${origin}/${fullName}/-/commit/${sha}`,
  };
}

/** Lists the branches and tags that have a commit. */
async function listCommitRefs({ repository, captures: [sha = ''], query }: RouteCall): Promise<RouteAnswer> {
  if ((await resolveCommit(repository.path, sha)) === undefined) return notFound('Commit');
  const wanted = query.get('type') ?? 'all';
  const kinds = (['branch', 'tag'] as const).filter((kind) => wanted === 'all' || wanted === kind);
  const lists = kinds.map(async (type) => {
    const names = await listRefs(repository, `--contains=${sha}`, type === 'tag' ? 'refs/tags' : 'refs/heads');
    return names.map((name) => ({ type, name }));
  });
  return toPage((await Promise.all(lists)).flat(), query);
}

/** @see https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits */
async function compare(origin: string, { repository, query }: RouteCall): Promise<RouteAnswer> {
  const { path } = repository;
  const [from, to] = ['from', 'to'].map((name) => query.get(name));
  if (!from || !to) return refuseParameters(`${from ? 'to' : 'from'} is missing`);
  const [base, head] = await Promise.all([resolveCommit(path, from), resolveCommit(path, to)]);
  if (base === undefined || head === undefined) return notFound('Ref');
  const isStraight = query.get('straight') === 'true';
  const start = isStraight ? base : await tryGit(path, ['merge-base', base, head]);
  if (start === undefined) return notFound('Merge base');
  const list = await tryGit(path, ['rev-list', '--reverse', `${base}..${head}`, '--']);
  const shas = (list ?? '').split('\n').filter((sha) => sha !== '');
  const commits = await Promise.all(
    shas.map(async (sha) => toCommitJson(origin, repository, await readCommit(path, sha))),
  );
  const diffs = await listFiles(path, start, head);
  const isCut = diffs.length > MAX_FILES;
  return {
    status: 200,
    body: {
      commit: commits.at(-1) ?? null,
      commits,
      diffs: diffs.slice(0, MAX_FILES),
      compare_timeout: isCut,
      compare_same_ref: base === head,
    },
  };
}

/** Lists the files that differ, with their renames, without the changes. */
async function listFiles(path: string, from: string, to: string): Promise<readonly Json[]> {
  const output = await runGit(path, ['diff-tree', '--name-status', '--find-renames', '-r', '-z', from, to]);
  const fields = output.toString('utf8').split('\0');
  const files: Json[] = [];
  while (fields.length > 1) {
    const state = fields.shift() ?? '';
    const oldPath = fields.shift();
    const newPath = state.startsWith('R') ? fields.shift() : oldPath;
    files.push({
      old_path: oldPath,
      new_path: newPath,
      diff: '',
      new_file: state === 'A',
      renamed_file: state.startsWith('R'),
      deleted_file: state === 'D',
    });
  }
  return files;
}

/** @see https://docs.gitlab.com/api/repository_files/#retrieve-a-raw-file-from-a-repository */
async function readFile({ repository, captures: [path = ''], query }: RouteCall): Promise<RouteAnswer> {
  const commit = await resolveCommit(repository.path, query.get('ref') ?? repository.defaultBranch);
  if (commit === undefined) return notFound('Commit');
  const object = await readObject(repository.path, `${commit}:${path}`, GIT_ENVIRONMENT);
  if (object?.type !== 'blob') return notFound('File');
  return { status: 200, body: object.bytes, contentType: 'text/plain; charset=utf-8' };
}

function get(pattern: RegExp, handle: Route['handle']): Route {
  return { method: 'GET', pattern, permission: 'read', handle };
}
