import { formatRef, type Ref } from '../../build/index.ts';
import { parseJson, readArray, readInteger, readObject, readString, type UnknownObject } from '../../json.ts';
import { createProofCalls, type Head, type LoggedPush, type ProofCalls, refuse } from '../prove-ref.ts';
import { toDiagnosis, type RestApi } from '../rest-api.ts';
import { getSegments } from './api.ts';
import { isAncestor } from './commits.ts';

/** The lowest role that may push. @see https://docs.gitlab.com/api/access_requests/#valid-access-levels */
export const DEVELOPER = 30;

/** @see https://docs.gitlab.com/api/projects/#retrieve-a-project */
function findRefusal(project: UnknownObject, scope: string): string | undefined {
  if (project['archived'] === true) return `${scope} is archived`;
  const { project_access: ofProject, group_access: ofGroup } = readObject(project['permissions']);
  const levels = [ofProject, ofGroup].map((access) => readInteger(readObject(access)['access_level']) ?? 0);
  return Math.max(...levels) < DEVELOPER
    ? `the token may not push to ${scope}: its role is lower than Developer`
    : undefined;
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

/**
 * Lists the newest changes of a branch, at most 100 of the whole project. A push of more than three refs has one entry
 * without their names. The log does not show a reset.
 *
 * @see https://docs.gitlab.com/api/events/#list-all-visible-events-for-a-project
 */
async function readPushLog(api: RestApi, { name }: Ref, signal: AbortSignal): Promise<readonly LoggedPush[]> {
  const query = { action: 'pushed', sort: 'desc', per_page: '100' };
  const response = await api.get('/events', signal, { query });
  const log = response.status === 200 ? readArray(parseJson(response.body)).map(readObject) : [];
  return log.flatMap(({ push_data: data, created_at: time }) => {
    const { ref_type: type, ref, commit_from: from, commit_to: to, action } = readObject(data);
    if (type !== 'branch' || ref !== name) return [];
    const before = readString(from) ?? '';
    return {
      after: readString(to),
      // The commit before a new branch is missing, or written as zeros.
      before: /^0*$/.test(before) ? undefined : before,
      at: Date.parse(readString(time) ?? ''),
      isReset: action !== 'pushed',
    };
  });
}

export const proofCalls: ProofCalls = createProofCalls({
  pathField: 'path_with_namespace',
  moved: [301, 302, 307, 308],
  findRefusal,
  readHead,
  readPushLog,
  isAncestor,
});
