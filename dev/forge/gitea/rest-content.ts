import { hasPermission } from '../accounts.ts';
import { GIT_ENVIRONMENT, readCommit, resolveCommit, resolveObject, runGit, tryGit, type Commit } from '../git.ts';
import { readObject } from '../object-reader.ts';
import type { PushLogEntry, Repository } from '../repositories.ts';
import type { ApiState, Route, RouteAnswer, RouteCall } from '../route.ts';
import { NOT_FOUND, toPage } from './answers.ts';
import { toUserJson } from './payloads.ts';

type Json = Record<string, unknown>;

/** The routes that read a repository: branches, tags, commits, comparisons, files, activities. */
export function createContentRoutes({ origin }: Pick<ApiState, 'origin'>): Route[] {
  return [
    get(/^\/branches$/, async ({ repository, user, query }) => {
      const list = await tryGit(repository.path, ['for-each-ref', '--format=%(refname:lstrip=2)', 'refs/heads']);
      const names = (list ?? '').split('\n').filter((name) => name !== '');
      return toPage(await Promise.all(names.map((name) => toBranchJson({ repository, user }, name))), query);
    }),
    get(/^\/branches\/(.+)$/, async (call) => {
      const body = await toBranchJson(call, call.captures[0] ?? '');
      return body === undefined ? NOT_FOUND : { status: 200, body };
    }),
    get(/^\/tags\/(.+)$/, readTag),
    get(/^\/git\/commits\/(.+)$/, async ({ repository, captures: [ref = ''] }) => {
      const sha = await resolveCommit(repository.path, ref);
      return sha === undefined
        ? NOT_FOUND
        : { status: 200, body: toCommitJson(await readCommit(repository.path, sha), true) };
    }),
    get(/^\/compare\/(.+?)\.\.\.(.+)$/, compare),
    get(/^\/raw\/(.+)$/, readRaw),
    get(/^\/activities\/feeds$/, ({ repository, query }) => {
      const entries = repository.pushLog.map((entry, index) => toActivityJson(origin, repository, { ...entry, index }));
      return toPage(entries.toReversed(), query);
    }),
  ];
}

async function toBranchJson(
  { repository, user }: Pick<RouteCall, 'repository' | 'user'>,
  name: string,
): Promise<Json | undefined> {
  const sha = await resolveObject(repository.path, `refs/heads/${name}`, 'commit');
  if (sha === undefined) return undefined;
  const { message } = await readCommit(repository.path, sha);
  const isProtected = repository.protectedBranches.has(name);
  const user_can_push = hasPermission(user, repository, isProtected ? 'admin' : 'write');
  return { name, commit: { id: sha, message }, protected: isProtected, user_can_push, user_can_merge: user_can_push };
}

/** `commit` is the commit that the tag points at, `id` the tag object. */
async function readTag({ repository, captures: [name = ''] }: RouteCall): Promise<RouteAnswer> {
  const [id, sha] = await Promise.all([
    resolveObject(repository.path, `refs/tags/${name}`, 'object'),
    resolveObject(repository.path, `refs/tags/${name}`, 'commit'),
  ]);
  return id === undefined || sha === undefined
    ? NOT_FOUND
    : { status: 200, body: { name, message: '', id, commit: { sha } } };
}

async function compare(call: RouteCall): Promise<RouteAnswer> {
  const { path } = call.repository;
  const [base, head] = await Promise.all(call.captures.map((ref) => resolveCommit(path, ref)));
  if (base === undefined || head === undefined) return NOT_FOUND;
  const mergeBase = await tryGit(path, ['merge-base', base, head]);
  if (mergeBase === undefined) return NOT_FOUND;
  const list = (await tryGit(path, ['rev-list', `${mergeBase}..${head}`, '--'])) ?? '';
  const shas = list.split('\n').filter((sha) => sha !== '');
  const hasFiles = call.query.get('files') !== 'false';
  const commits = await Promise.all(shas.map(async (sha) => toCommitJson(await readCommit(path, sha), hasFiles)));
  return { status: 200, body: { total_commits: shas.length, commits } };
}

async function readRaw({ repository, captures: [path = ''], query }: RouteCall): Promise<RouteAnswer> {
  const commit = await resolveCommit(repository.path, query.get('ref') ?? repository.defaultBranch);
  const object = commit && (await readObject(repository.path, `${commit}:${path}`, GIT_ENVIRONMENT));
  if (!object || object.type !== 'blob') return NOT_FOUND;
  return { status: 200, body: object.bytes, contentType: 'text/plain; charset=utf-8' };
}

function toCommitJson({ sha, message, author, committer, ...files }: Commit, hasFiles: boolean): Json {
  const states = { added: files.added, removed: files.removed, modified: files.modified };
  const list = Object.entries(states).flatMap(([status, names]) => names.map((filename) => ({ filename, status })));
  return { sha, commit: { message, author, committer }, ...(hasFiles ? { files: list } : {}) };
}

const NO_COMMIT = /^0+$/;

/** An entry of the activity log. Its content is JSON with the names of Go's fields. */
function toActivityJson(
  origin: string,
  repository: Repository,
  { ref, before, after, at, pusher, index }: PushLogEntry & { readonly index: number },
): Json {
  const isDeleted = NO_COMMIT.test(after);
  const link = NO_COMMIT.test(before) ? '' : `${repository.fullName}/compare/${before}...${after}`;
  const content = { Commits: [{ Sha1: after }], HeadCommit: { Sha1: after }, CompareURL: link, Len: 1 };
  return {
    id: index + 1,
    op_type: isDeleted ? 'delete_branch' : 'commit_repo',
    act_user: toUserJson(origin, pusher ?? repository.owner),
    repo_id: repository.id,
    ref_name: ref,
    content: isDeleted ? '' : JSON.stringify(content),
    created: new Date(at).toISOString(),
  };
}

/** Lists the files that differ between two commits, with renames. */
export async function listFiles(path: string, base: string, head: string): Promise<Json[]> {
  const output = await runGit(path, ['diff-tree', '--name-status', '--find-renames', '-r', '-z', base, head]);
  const fields = output.toString('utf8').split('\0');
  const states: Readonly<Record<string, string>> = { A: 'added', D: 'deleted', M: 'changed', R: 'renamed' };
  const files: Json[] = [];
  while (fields.length > 1) {
    const state = (fields.shift() ?? '').slice(0, 1);
    const previous = state === 'R' ? { previous_filename: fields.shift() } : {};
    files.push({ filename: fields.shift(), status: states[state], ...previous });
  }
  return files;
}

function get(pattern: RegExp, handle: Route['handle']): Route {
  return { method: 'GET', pattern, permission: 'read', handle };
}
