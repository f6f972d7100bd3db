import {
  countCommits,
  GIT_ENVIRONMENT,
  readCommit,
  resolveCommit,
  resolveObject,
  runGit,
  tryGit,
  type Commit,
} from '../git.ts';
import { readObject } from '../object-reader.ts';
import type { Repository } from '../repositories.ts';
import { refuse, toPage } from './answers.ts';
import { type Route, type RouteAnswer, type RouteCall } from '../route.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');
/** GitHub's page of commits in a comparison. */
const MAX_COMMITS = 250;
/** GitHub's maximum number of files in a comparison. */
const MAX_FILES = 300;

/** The routes that read a repository: branches, refs, tags, commits, comparisons, files. */
export function createContentRoutes(): Route[] {
  return [
    get(/^\/branches$/, listBranches),
    get(/^\/branches\/(.+)$/, readBranch),
    get(/^\/activity$/, listActivity),
    get(/^\/git\/ref\/((?:heads|tags)\/.+)$/, readRef),
    get(/^\/git\/tags\/([0-9a-f]{40})$/, readTag),
    get(/^\/commits\/((?:(?!\/status(?:es)?$).)+)$/, async ({ repository, captures: [ref = ''] }) => {
      const sha = await resolveCommit(repository.path, ref);
      return sha === undefined
        ? refuse(422, `No commit found for SHA: ${ref}`)
        : { status: 200, body: toCommitJson(await readCommit(repository.path, sha)) };
    }),
    get(/^\/compare\/(.+?)\.\.\.(.+)$/, compare),
    get(/^\/contents\/(.+)$/, readContents),
  ];
}

async function listBranches({ repository }: RouteCall): Promise<RouteAnswer> {
  const list = await tryGit(repository.path, ['for-each-ref', '--format=%(refname:lstrip=2)', 'refs/heads']);
  const names = (list ?? '').split('\n').filter((name) => name !== '');
  return { status: 200, body: await Promise.all(names.map((name) => toBranchJson(repository, name))) };
}

/** @see https://docs.github.com/en/rest/branches/branches#get-a-branch */
async function readBranch({ repository, captures: [name = ''] }: RouteCall): Promise<RouteAnswer> {
  const body = await toBranchJson(repository, name);
  return body === undefined ? refuse(404, 'Branch not found') : { status: 200, body };
}

async function toBranchJson(repository: Repository, name: string): Promise<Record<string, unknown> | undefined> {
  const sha = await resolveObject(repository.path, `refs/heads/${name}`, 'commit');
  const isProtected = repository.protectedBranches.has(name);
  return sha === undefined ? undefined : { name, commit: { sha }, protected: isProtected };
}

const PERIODS_MS: Readonly<Record<string, number>> = { day: 864e5, week: 6048e5, month: 2678400e3 };
const NO_COMMIT = '0'.repeat(40);

/**
 * Lists the changes of branches, the newest first.
 *
 * @see https://docs.github.com/en/rest/repos/repos#list-repository-activities
 */
function listActivity({ repository, query }: RouteCall): RouteAnswer {
  const [ref, period] = [query.get('ref'), query.get('time_period')];
  const since = period === null ? 0 : Date.now() - (PERIODS_MS[period] ?? Infinity);
  const entries = repository.pushLog
    .filter(
      (entry) =>
        entry.at >= since && (ref === null || [entry.ref, entry.ref.slice('refs/heads/'.length)].includes(ref)),
    )
    .map(({ before, after, ref: changed, at, pusher }, index) => ({
      id: index + 1,
      before,
      after,
      ref: changed,
      timestamp: new Date(at).toISOString(),
      activity_type: before === NO_COMMIT ? 'branch_creation' : after === NO_COMMIT ? 'branch_deletion' : 'push',
      actor: pusher === undefined ? null : { login: pusher },
    }));
  return { status: 200, body: toPage(entries.toReversed(), query) };
}

/** @see https://docs.github.com/en/rest/git/refs#get-a-reference */
async function readRef({ repository, captures: [ref = ''] }: RouteCall): Promise<RouteAnswer> {
  const sha = await resolveObject(repository.path, `refs/${ref}`, 'object');
  if (sha === undefined) {
    return NOT_FOUND;
  }
  const type = await tryGit(repository.path, ['cat-file', '-t', sha]);
  return { status: 200, body: { ref: `refs/${ref}`, object: { sha, type } } };
}

/** @see https://docs.github.com/en/rest/git/tags#get-a-tag */
async function readTag({ repository, captures: [sha = ''] }: RouteCall): Promise<RouteAnswer> {
  const text = await tryGit(repository.path, ['cat-file', 'tag', sha]);
  const [, object, type, tag] = /^object (\S+)\ntype (\S+)\ntag (.+)$/m.exec(text ?? '') ?? [];
  return object === undefined ? NOT_FOUND : { status: 200, body: { sha, tag, object: { sha: object, type } } };
}

/** @see https://docs.github.com/en/rest/commits/commits#compare-two-commits */
async function compare(call: RouteCall): Promise<RouteAnswer> {
  const {
    repository,
    query,
    captures: [baseName = '', headName = ''],
  } = call;
  const { path } = repository;
  const [base, head] = await Promise.all([resolveCommit(path, baseName), resolveCommit(path, headName)]);
  const mergeBase =
    base === undefined || head === undefined ? undefined : await tryGit(path, ['merge-base', base, head]);
  if (base === undefined || head === undefined || mergeBase === undefined) {
    return NOT_FOUND;
  }
  const [ahead, behind] = await Promise.all([
    countCommits(path, `${base}..${head}`),
    countCommits(path, `${head}..${base}`),
  ]);
  const list = await tryGit(path, ['rev-list', '--reverse', `--max-count=${MAX_COMMITS}`, `${base}..${head}`, '--']);
  const shas = (list ?? '').split('\n').filter((sha) => sha !== '');
  const status = ahead > 0 ? (behind > 0 ? 'diverged' : 'ahead') : behind > 0 ? 'behind' : 'identical';
  return {
    status: 200,
    body: {
      status,
      ahead_by: ahead,
      behind_by: behind,
      total_commits: ahead,
      base_commit: { sha: base },
      merge_base_commit: { sha: mergeBase },
      commits: (query.has('per_page') ? toPage(shas, query) : shas).map((sha) => ({ sha })),
      files: await listFiles(path, mergeBase, head),
    },
  };
}

const FILE_STATES: Readonly<Record<string, string>> = { A: 'added', D: 'removed', M: 'modified', T: 'changed' };

/** Lists the files that differ from the common ancestor, with renames as GitHub detects them, without the diffs. */
export async function listFiles(path: string, base: string, head: string): Promise<Record<string, unknown>[]> {
  const output = await runGit(path, ['diff-tree', '--name-status', '--find-renames', '-r', '-z', base, head]);
  const fields = output.toString('utf8').split('\0');
  const files: Record<string, unknown>[] = [];
  while (fields.length > 1) {
    const state = fields.shift() ?? '';
    const isRename = state.startsWith('R');
    const previous = isRename ? { previous_filename: fields.shift() } : {};
    files.push({ filename: fields.shift(), status: isRename ? 'renamed' : FILE_STATES[state], ...previous });
  }
  return files.slice(0, MAX_FILES);
}

/** @see https://docs.github.com/en/rest/repos/contents#get-repository-content */
async function readContents({ repository, captures: [path = ''], query, accept }: RouteCall): Promise<RouteAnswer> {
  const ref = query.get('ref') ?? repository.defaultBranch;
  const commit = await resolveCommit(repository.path, ref);
  if (commit === undefined) {
    return refuse(404, `No commit found for the ref ${ref}`);
  }
  const name = `${commit}:${path}`;
  const object = await readObject(repository.path, name, GIT_ENVIRONMENT);
  if (object?.type === 'tree') {
    const names = (await runGit(repository.path, ['ls-tree', '-z', '--name-only', name])).toString('utf8');
    const entries = names.split('\0').filter((name) => name !== '');
    return { status: 200, body: entries.map((name) => ({ name, path: `${path}/${name}` })) };
  }
  if (object?.type !== 'blob') {
    return NOT_FOUND;
  }
  const { bytes } = object;
  if (/^application\/vnd\.github\.(?:v3\.)?raw(?:\+json)?$/.test(accept)) {
    return { status: 200, body: bytes, contentType: 'application/vnd.github.raw+json; charset=utf-8' };
  }
  const content = bytes.toString('base64');
  return { status: 200, body: { type: 'file', path, size: bytes.length, encoding: 'base64', content } };
}

function toCommitJson(commit: Commit): Record<string, unknown> {
  const { sha, tree, message, author, committer } = commit;
  return { sha, commit: { message, author, committer, tree: { sha: tree } } };
}

function get(pattern: RegExp, handle: Route['handle']): Route {
  return { method: 'GET', pattern, permission: 'read', handle };
}
