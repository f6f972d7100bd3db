import { hasPermission } from '../accounts.ts';
import { GIT_ENVIRONMENT, readCommit, resolveCommit, resolveObject, runGit, tryGit } from '../git.ts';
import { readObject } from '../object-reader.ts';
import type { PushLogEntry, Repository } from '../repositories.ts';
import type { ApiState, Route, RouteAnswer, RouteCall } from '../route.ts';
import { NOT_FOUND, refuse, toPage } from './answers.ts';
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
      return sha === undefined ? NOT_FOUND : { status: 200, body: await toCommitJson(repository.path, sha, true) };
    }),
    get(/^\/compare\/(.+?)\.\.\.(.+)$/, compare),
    get(/^\/raw\/(.+)$/, readRaw),
    get(/^\/git\/trees\/(.+)$/, readTree),
    get(/^\/git\/blobs\/([0-9a-f]{40})$/, readBlob),
    get(/^\/activities\/feeds$/, async ({ repository, query }) => {
      const entries = await Promise.all(repository.pushLog.map((entry) => toActivities(origin, repository, entry)));
      return toPage(entries.flat().toReversed(), query);
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

/** `id` is the tag object. `commit` is what it points at, even if that is another tag. */
async function readTag({ repository, captures: [name = ''] }: RouteCall): Promise<RouteAnswer> {
  const tag = await readObject(repository.path, `refs/tags/${name}`, GIT_ENVIRONMENT);
  if (tag === undefined) return NOT_FOUND;
  const [, target] = tag.type === 'tag' ? (/^object ([0-9a-f]+)$/m.exec(tag.bytes.toString('utf8')) ?? []) : [];
  return { status: 200, body: { name, message: '', id: tag.sha, commit: { sha: target ?? tag.sha } } };
}

/** Without a common ancestor, there are no commits in the answer. */
async function compare(call: RouteCall): Promise<RouteAnswer> {
  const { path } = call.repository;
  const [base, head] = await Promise.all(call.captures.map((ref) => resolveCommit(path, ref)));
  if (base === undefined || head === undefined) return NOT_FOUND;
  const mergeBase = await tryGit(path, ['merge-base', base, head]);
  const list = mergeBase && (await tryGit(path, ['rev-list', `${mergeBase}..${head}`, '--']));
  const shas = (list ?? '').split('\n').filter((sha) => sha !== '');
  const hasFiles = call.query.get('files') !== 'false';
  const commits = await Promise.all(shas.map((sha) => toCommitJson(path, sha, hasFiles)));
  return { status: 200, body: { total_commits: shas.length, commits } };
}

/** A branch or a tag comes before a commit, also if its name is the id of a commit. */
async function readRaw({ repository, captures: [path = ''], query }: RouteCall): Promise<RouteAnswer> {
  const ref = query.get('ref') ?? repository.defaultBranch;
  const commit =
    (await resolveObject(repository.path, `refs/heads/${ref}`, 'commit')) ??
    (await resolveObject(repository.path, `refs/tags/${ref}`, 'commit')) ??
    (await resolveCommit(repository.path, ref));
  const object = commit && (await readObject(repository.path, `${commit}:${path}`, GIT_ENVIRONMENT));
  if (!object || object.type !== 'blob') return NOT_FOUND;
  return { status: 200, body: object.bytes, contentType: 'text/plain; charset=utf-8' };
}

/** The longest page of a directory, with default settings. */
const MAX_TREE_PAGE = 1000;

/** Lists a directory by the id of a tree or a commit. */
async function readTree({ repository, captures: [id = ''], query }: RouteCall): Promise<RouteAnswer> {
  const output = await tryGit(repository.path, ['ls-tree', '-z', '--long', id]);
  if (output === undefined) return refuse(400, `sha not found [${id}]`);
  const entries = output
    .split('\0')
    .map((line) => /^(\d+) (\w+) ([0-9a-f]+) +(\d+|-)\t(.+)$/s.exec(line))
    .flatMap((match) => (match ? [match.slice(1)] : []))
    .map(([mode, type, sha, size, path]) => ({ path, mode, type, size: Number(size) || 0, sha }));
  const length = Math.min(Math.max(Number(query.get('per_page') ?? MAX_TREE_PAGE), 1), MAX_TREE_PAGE);
  const page = Math.max(Number(query.get('page') ?? 1), 1);
  const end = page * length;
  const tree = entries.slice(end - length, end);
  return { status: 200, body: { sha: id, tree, truncated: end < entries.length, page, total_count: entries.length } };
}

async function readBlob({ repository, captures: [id = ''] }: RouteCall): Promise<RouteAnswer> {
  const object = await readObject(repository.path, id, GIT_ENVIRONMENT);
  if (object?.type !== 'blob') return refuse(400, `object does not exist [id: ${id}, rel_path: ]`);
  const { sha, bytes } = object;
  return { status: 200, body: { sha, size: bytes.length, encoding: 'base64', content: bytes.toString('base64') } };
}

/** The files are those that differ from the first parent. A change of a file's type is not listed. */
async function toCommitJson(path: string, id: string, hasFiles: boolean): Promise<Json> {
  const { sha, message, author, committer } = await readCommit(path, id);
  const format = ['-m', '--first-parent', '--name-status', '--no-renames', '-z', '--format=%P'];
  const [parents = '', ...fields] = (await runGit(path, ['log', '-1', ...format, sha])).toString('utf8').split('\0');
  const states: Readonly<Record<string, string>> = { A: 'added', D: 'removed', M: 'modified' };
  const files = fields.flatMap((state, index) => {
    const status = states[state.trim()];
    return status === undefined || index % 2 === 1 ? [] : [{ filename: fields[index + 1], status }];
  });
  return {
    sha,
    commit: { message, author, committer },
    parents: parents
      .split(' ')
      .filter((parent) => parent !== '')
      .map((parent) => ({ sha: parent })),
    ...(hasFiles ? { files } : {}),
  };
}

const NO_COMMIT = /^0+$/;

/** Only so many commits of a new branch are read. The parent of the oldest is shown as the commit before. */
const MAX_NEW_COMMITS = 10;

/**
 * The entries of the activity log for a push, the oldest first. The content is JSON with the names of Go's fields. A new
 * branch also has an entry without a content.
 */
async function toActivities(origin: string, repository: Repository, entry: PushLogEntry): Promise<Json[]> {
  const { ref, before, after, at, pusher } = entry;
  const common = {
    act_user: toUserJson(origin, pusher ?? repository.owner),
    repo_id: repository.id,
    ref_name: ref,
    created: new Date(at).toISOString(),
  };
  if (NO_COMMIT.test(after)) return [{ ...common, op_type: 'delete_branch', content: '' }];
  const isNew = NO_COMMIT.test(before);
  const shown = isNew
    ? await tryGit(repository.path, ['rev-parse', '--verify', `${after}~${MAX_NEW_COMMITS}`])
    : before;
  const link = `${repository.fullName}/compare/${shown ?? repository.defaultBranch}...${after}`;
  const content = { Commits: [{ Sha1: after }], HeadCommit: { Sha1: after }, CompareURL: link, Len: 1 };
  const push = { ...common, op_type: 'commit_repo', content: JSON.stringify(content) };
  return isNew ? [{ ...common, op_type: 'commit_repo', content: '' }, push] : [push];
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
