import { type BuildTarget, formatRef, type Ref } from '../../build/index.ts';
import { parseJson, readArray, readInteger, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof, Repository } from '../forge.ts';
import type { HttpResponse } from '../http-client.ts';
import { type Access, type Head, type ProveOptions, proveRef, RECENT_MS, refuse } from '../prove-ref.ts';
import { orUnknown, toDiagnosis, type RestApi } from '../rest-api.ts';
import { getSegments } from './api.ts';
import { isAncestor } from './commits.ts';

/** The lowest role that may push. @see https://docs.gitlab.com/api/access_requests/#valid-access-levels */
export const DEVELOPER = 30;

export async function prove(api: RestApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const { signal } = options;
  const facts = {
    readAccess: () => readAccess(api, signal),
    readHead: () => readHead(api, target.ref, signal),
    wasPushed: (head: string) => wasPushed(api, target, { head, signal }),
  };
  return await proveRef(facts, target, options);
}

/** Returns why the token may not push; undefined if it may. */
export async function checkAccess(api: RestApi, signal: AbortSignal): Promise<string | undefined> {
  const access = await readAccess(api, signal);
  return access.kind === 'refused' ? access.message : undefined;
}

/** @see https://docs.gitlab.com/api/projects/#retrieve-a-project */
export async function readProject(api: RestApi, signal: AbortSignal): Promise<HttpResponse> {
  return await api.get('', signal, { isLate: ({ status }) => status === 404 });
}

/** GitLab redirects from the old path of a project that was renamed or moved. */
async function readAccess(api: RestApi, signal: AbortSignal): Promise<Access> {
  const scope = formatScope(api.scope);
  const response = await readProject(api, signal);
  const moved = refuse(`${scope} was renamed or moved; seal the token for its new name`);
  if ([301, 302, 307, 308].includes(response.status)) return moved;
  if (response.status !== 200) return refuse(`the token cannot see ${scope}: ${toDiagnosis(response)}`);
  const project = readObject(parseJson(response.body));
  const path = readString(project['path_with_namespace']);
  if (path?.toLowerCase() !== `${api.scope.owner}/${api.scope.name}`) return moved;
  if (project['archived'] === true) return refuse(`${scope} is archived`);
  const { project_access: ofProject, group_access: ofGroup } = readObject(project['permissions']);
  const levels = [ofProject, ofGroup].map((access) => readInteger(readObject(access)['access_level']) ?? 0);
  if (Math.max(...levels) < DEVELOPER) {
    return refuse(`the token may not push to ${scope}: its role is lower than Developer`);
  }
  return { kind: 'granted', defaultBranch: project['default_branch'] };
}

/**
 * Reads the commit that a branch or a tag points at. `commit` of an annotated tag is what its tag object points at.
 *
 * @see https://docs.gitlab.com/api/branches/#retrieve-a-repository-branch
 * @see https://docs.gitlab.com/api/tags/#retrieve-a-repository-tag
 */
async function readHead(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head> {
  const list = ref.kind === 'tag' ? 'tags' : 'branches';
  const response = await getSegments(api, ['repository', list, ref.name], signal);
  const { status } = response;
  const found = status === 200 ? readObject(parseJson(response.body)) : {};
  if (status === 404 || (status === 200 && found['name'] !== ref.name)) {
    return refuse(`ref ${formatRef(ref)} no longer exists`);
  }
  if (status !== 200) return refuse(`the forge does not show ref ${formatRef(ref)}: ${toDiagnosis(response)}`);
  const sha = readObject(found['commit'])['id'];
  if (typeof sha !== 'string') return refuse(`ref ${formatRef(ref)} does not point at a commit`);
  return { kind: 'head', sha, isProtected: found['protected'] === true };
}

/** Reads the newest commit of a branch. Returns undefined if there is no such branch. */
export async function readBranchHead(api: RestApi, name: string, signal: AbortSignal): Promise<string | undefined> {
  const head = await readHead(api, { kind: 'branch', name }, signal);
  return head.kind === 'head' ? head.sha : undefined;
}

/**
 * Returns whether the log of pushes says that the commit was the head of the branch in the last hour, and that the
 * branch was neither deleted nor reset since. The log does not show a reset: the commit must be an ancestor of the head.
 */
async function wasPushed(
  api: RestApi,
  { ref, sha }: BuildTarget,
  { head, signal }: { readonly head: string; readonly signal: AbortSignal },
): Promise<boolean> {
  for (const { data, createdAt } of await readPushLog(api, ref.name, signal)) {
    if (!(Date.now() - createdAt <= RECENT_MS)) return false;
    if (data['commit_to'] === sha) return await isAncestor(api, sha, { sha: head, signal });
    if (data['action'] !== 'pushed') return false;
  }
  return false;
}

/** See {@link Repository.readPush}. */
export async function readPush(
  api: RestApi,
  { ref, sha }: BuildTarget,
  signal: AbortSignal,
): ReturnType<Repository['readPush']> {
  return await orUnknown(async () => {
    const push = (await readPushLog(api, ref.name, signal)).find(({ data }) => data['commit_to'] === sha);
    if (push === undefined) return undefined;
    const before = readString(push.data['commit_from']) ?? '';
    return { before: /^0*$/.test(before) ? undefined : before };
  });
}

interface LoggedPush {
  readonly data: UnknownObject;
  /** NaN if it is not known. */
  readonly createdAt: number;
}

/**
 * Lists the newest changes of a branch, at most 100 of the whole project, the newest first. A push of more than three
 * refs has one entry without their names.
 *
 * @see https://docs.gitlab.com/api/events/#list-all-visible-events-for-a-project
 */
async function readPushLog(api: RestApi, branch: string, signal: AbortSignal): Promise<readonly LoggedPush[]> {
  const query = { action: 'pushed', sort: 'desc', per_page: '100' };
  const response = await api.get('/events', signal, { query });
  const log = response.status === 200 ? readArray(parseJson(response.body)) : [];
  return log
    .map(readObject)
    .map(({ push_data: data, created_at: time }) => ({
      data: readObject(data),
      createdAt: Date.parse(readString(time) ?? ''),
    }))
    .filter(({ data }) => data['ref_type'] === 'branch' && data['ref'] === branch);
}
