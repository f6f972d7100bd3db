import { parseObject, parsePerson } from '../commit-object.ts';
import { GIT_ENVIRONMENT, isAncestor, resolveCommit, resolveObject, tryGit } from '../git.ts';
import { readObject } from '../object-reader.ts';
import type { ApiState, Route, RouteAnswer, RouteCall } from '../route.ts';
import { refuse, toList, toPage } from './answers.ts';
import { readCommits, readWholeCommit } from './commit-json.ts';
import { toApiUrl, toTime, toUserJson, type Json } from './repository-json.ts';

const NOT_FOUND: RouteAnswer = refuse(404, 'Not Found');

/** The routes that read a repository: branches, the log of pushes, refs, tags, commits. */
export function createContentRoutes({ origin }: Pick<ApiState, 'origin'>): Route[] {
  return [
    get(/^\/branches$/, (call) => listBranches(origin, call)),
    get(/^\/branches\/(.+)$/, (call) => readBranch(origin, call)),
    get(/^\/activity$/, (call) => listActivity(origin, call)),
    get(/^\/git\/ref\/((?:heads|tags)\/.+)$/, (call) => readRef(origin, call)),
    get(/^\/git\/tags\/([0-9a-f]{40})$/, (call) => readTag(origin, call)),
    get(/^\/commits\/((?:(?!\/status(?:es)?$).)+)$/, async ({ repository, captures: [ref = ''] }) => {
      const sha = await resolveCommit(repository.path, ref);
      return sha === undefined
        ? refuse(422, `No commit found for SHA: ${ref}`)
        : { status: 200, body: await readWholeCommit({ origin, repository }, sha) };
    }),
  ];
}

async function listBranches(origin: string, call: RouteCall): Promise<RouteAnswer> {
  const { repository, query } = call;
  const output = await tryGit(repository.path, ['for-each-ref', '--format=%(refname:lstrip=2)', 'refs/heads']);
  const names = (output ?? '').split('\n').filter((name) => name !== '');
  const isProtected = (name: string): boolean => repository.protectedBranches.has(name);
  const wanted = query.get('protected');
  const shown = names.filter((name) => wanted === null || String(isProtected(name)) === wanted);
  return await toList(shown, call, async (name) => {
    const sha = await resolveObject(repository.path, `refs/heads/${name}`, 'commit');
    const commit = { sha, url: `${toApiUrl(origin, repository)}/commits/${sha}` };
    return { name, commit, protected: isProtected(name) };
  });
}

/** @see https://docs.github.com/en/rest/branches/branches#get-a-branch */
async function readBranch(origin: string, { repository, captures: [name = ''] }: RouteCall): Promise<RouteAnswer> {
  const sha = await resolveObject(repository.path, `refs/heads/${name}`, 'commit');
  if (sha === undefined) return refuse(404, 'Branch not found');
  const [commit] = await readCommits({ origin, repository }, [sha]);
  const url = `${toApiUrl(origin, repository)}/branches/${name}`;
  const isProtected = repository.protectedBranches.has(name);
  const checks = {
    enforcement_level: isProtected ? 'non_admins' : 'off',
    contexts: [],
    checks: [],
  };
  const body = {
    name,
    commit,
    _links: { self: url, html: `${origin}/${repository.fullName}/tree/${name}` },
    protected: isProtected,
    protection: { enabled: isProtected, required_status_checks: checks },
    protection_url: `${url}/protection`,
  };
  return { status: 200, body };
}

const PERIODS_MS: Readonly<Record<string, number>> = {
  day: 864e5,
  week: 6048e5,
  month: 2678400e3,
  quarter: 7948800e3,
  year: 31622400e3,
};
const NO_COMMIT = '0'.repeat(40);

/**
 * Lists the changes of branches, the newest first.
 *
 * @see https://docs.github.com/en/rest/repos/repos#list-repository-activities
 */
async function listActivity(origin: string, { repository, query }: RouteCall): Promise<RouteAnswer> {
  const [ref, period] = [query.get('ref'), query.get('time_period')];
  const since = period === null ? 0 : Date.now() - (PERIODS_MS[period] ?? Infinity);
  const entries = repository.pushLog
    .filter(
      (entry) =>
        entry.at >= since && (ref === null || [entry.ref, entry.ref.slice('refs/heads/'.length)].includes(ref)),
    )
    .map((entry, index) => ({ ...entry, id: index + 1 }))
    .toReversed();
  const shown = toPage(entries, query).map(async ({ id, before, after, ref: changed, at, pusher }) => ({
    id,
    node_id: `PSH_${id}`,
    before,
    after,
    ref: changed,
    timestamp: toTime(at),
    activity_type: await toActivityType(repository.path, before, after),
    actor: pusher === undefined ? null : toUserJson(origin, pusher),
  }));
  return { status: 200, body: await Promise.all(shown) };
}

async function toActivityType(path: string, before: string, after: string): Promise<string> {
  if (before === NO_COMMIT) return 'branch_creation';
  if (after === NO_COMMIT) return 'branch_deletion';
  return (await isAncestor(path, before, after)) ? 'push' : 'force_push';
}

/** @see https://docs.github.com/en/rest/git/refs#get-a-reference */
async function readRef(origin: string, { repository, captures: [ref = ''] }: RouteCall): Promise<RouteAnswer> {
  const object = await readObject(repository.path, `refs/${ref}`, GIT_ENVIRONMENT);
  if (object === undefined) return NOT_FOUND;
  const api = `${toApiUrl(origin, repository)}/git`;
  const body = {
    ref: `refs/${ref}`,
    node_id: `REF_${ref}`,
    url: `${api}/refs/${ref}`,
    object: toObjectJson(api, object),
  };
  return { status: 200, body };
}

/** @see https://docs.github.com/en/rest/git/tags#get-a-tag */
async function readTag(origin: string, { repository, captures: [sha = ''] }: RouteCall): Promise<RouteAnswer> {
  const tag = await readObject(repository.path, sha, GIT_ENVIRONMENT);
  if (tag?.type !== 'tag') return NOT_FOUND;
  const { headers, message } = parseObject(tag.bytes);
  const [[target = ''] = [], [type = ''] = [], [name = ''] = []] = ['object', 'type', 'tag'].map((key) =>
    headers.get(key),
  );
  const api = `${toApiUrl(origin, repository)}/git`;
  const body = {
    node_id: `TA_${sha}`,
    sha,
    url: `${api}/tags/${sha}`,
    tagger: parsePerson(headers.get('tagger')?.[0]),
    object: toObjectJson(api, { sha: target, type }),
    tag: name,
    message: message.trimEnd(),
  };
  return { status: 200, body };
}

function toObjectJson(api: string, { sha, type }: { readonly sha: string; readonly type: string }): Json {
  return { sha, type, url: `${api}/${type}s/${sha}` };
}

function get(pattern: RegExp, handle: Route['handle']): Route {
  return { method: 'GET', pattern, permission: 'read', handle };
}
