import { type BuildTarget, formatRef, type Ref } from '../../build/index.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof, Repository } from '../forge.ts';
import { type Access, type Head, type ProveOptions, proveRef, RECENT_MS, refuse, type Refusal } from '../prove-ref.ts';
import { orUnknown, toDiagnosis, type RestApi } from '../rest-api.ts';

/** A tag can point at a tag, which can point at another tag. Longer chains are not useful. */
const MAX_TAG_DEPTH = 4;

/** Proves a build target. GitHub serves the commits of every fork through its parent. */
export async function prove(api: RestApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const { ref } = target;
  const { signal } = options;
  const facts = {
    readAccess: () => readAccess(api, signal),
    readHead: () => (ref.kind === 'branch' ? readBranch(api, ref, signal) : readTag(api, ref, signal)),
    wasPushed: () => wasPushed(api, target, signal),
  };
  return await proveRef(facts, target, options);
}

/** Returns why the token may not push; undefined if it may. */
export async function checkAccess(api: RestApi, signal: AbortSignal): Promise<string | undefined> {
  const access = await readAccess(api, signal);
  return access.kind === 'refused' ? access.message : undefined;
}

/** @see https://docs.github.com/en/rest/repos/repos#get-a-repository */
async function readAccess(api: RestApi, signal: AbortSignal): Promise<Access> {
  const scope = formatScope(api.scope);
  const response = await api.get('', signal, { isLate: ({ status }) => status === 404 });
  const moved = refuse(`${scope} was renamed or moved; seal the token for its new name`);
  if ([301, 307, 308].includes(response.status)) return moved;
  if (response.status !== 200) {
    return refuse(`the token cannot see ${scope}: ${toDiagnosis(response)}`);
  }
  const repository = readObject(parseJson(response.body));
  const fullName = repository['full_name'];
  if (typeof fullName !== 'string' || fullName.toLowerCase() !== `${api.scope.owner}/${api.scope.name}`) {
    return moved;
  }
  // GitHub reports the user's right, not the token's. The first status shows whether the token may set statuses.
  if (readObject(repository['permissions'])['push'] !== true) {
    return refuse(`the token may not push to ${scope}`);
  }
  return { kind: 'granted', defaultBranch: repository['default_branch'] };
}

/** @see https://docs.github.com/en/rest/branches/branches#get-a-branch */
async function readBranch(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head> {
  const response = await api.get(`/branches/${ref.name}`, signal);
  if (response.status !== 200) return toNoHead(ref, response.status, toDiagnosis(response));
  const branch = readObject(parseJson(response.body));
  const sha = readObject(branch['commit'])['sha'];
  // GitHub answers a request for a renamed branch with the branch's new name.
  if (branch['name'] !== ref.name || typeof sha !== 'string') return toNoHead(ref, 404, '');
  return { kind: 'head', sha, isProtected: branch['protected'] === true };
}

/** Reads the newest commit of a branch. Returns undefined if there is no such branch. */
export async function readBranchHead(api: RestApi, name: string, signal: AbortSignal): Promise<string | undefined> {
  const head = await readBranch(api, { kind: 'branch', name }, signal);
  return head.kind === 'head' ? head.sha : undefined;
}

/**
 * Finds the commit that a tag points at. Requests the exact ref, because the commit API also accepts a branch named
 * `tags/NAME`. GitHub does not say whether a tag is protected, so a tag never counts as protected.
 *
 * @see https://docs.github.com/en/rest/git/refs#get-a-reference
 * @see https://docs.github.com/en/rest/git/tags#get-a-tag
 */
async function readTag(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head> {
  let path = `/git/ref/tags/${ref.name}`;
  for (let depth = 0; depth <= MAX_TAG_DEPTH; depth += 1) {
    const response = await api.get(path, signal);
    if (response.status !== 200) return toNoHead(ref, response.status, toDiagnosis(response));
    const found = readObject(parseJson(response.body));
    // Older versions of GitHub answer with a tag whose name starts with the requested one.
    if (depth === 0 && found['ref'] !== formatRef(ref)) return toNoHead(ref, 404, '');
    const { sha, type } = readObject(found['object']);
    if (typeof sha !== 'string' || type !== 'tag') {
      return type === 'commit' && typeof sha === 'string'
        ? { kind: 'head', sha, isProtected: false }
        : refuse(`ref ${formatRef(ref)} does not point at a commit`);
    }
    path = `/git/tags/${sha}`;
  }
  return refuse(`ref ${formatRef(ref)} points at a chain of more than ${MAX_TAG_DEPTH} tags`);
}

function toNoHead(ref: Ref, status: number, diagnosis: string): Refusal {
  return status === 404 || status === 301
    ? refuse(`ref ${formatRef(ref)} no longer exists`)
    : refuse(`the forge does not show ref ${formatRef(ref)}: ${diagnosis}`);
}

/**
 * Returns whether the forge's log of pushes says that the commit was the head of the branch in the last hour, and that
 * the branch was neither deleted nor reset since. A forge without this log proves only the head. The log has no tags.
 *
 * @see https://docs.github.com/en/rest/repos/repos#list-repository-activities
 */
async function wasPushed(api: RestApi, { ref, sha }: BuildTarget, signal: AbortSignal): Promise<boolean> {
  for (const { after, activity_type: type, timestamp } of await readPushLog(api, ref, signal)) {
    if (Date.now() - Date.parse(readString(timestamp) ?? '') > RECENT_MS) return false;
    if (after === sha) return true;
    if (type === 'force_push' || type === 'branch_creation' || type === 'branch_deletion') return false;
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
    const push = (await readPushLog(api, ref, signal)).find(({ after }) => after === sha);
    const before = readString(push?.['before']);
    return before === undefined ? undefined : { before: /^0+$/.test(before) ? undefined : before };
  });
}

/** Lists the changes of a ref in the last month, at most 100, the newest first. */
async function readPushLog(api: RestApi, ref: Ref, signal: AbortSignal): Promise<readonly UnknownObject[]> {
  const name = formatRef(ref);
  const query = { ref: name, time_period: 'month', per_page: '100' };
  const response = await api.get('/activity', signal, { query });
  const log = response.status === 200 ? readArray(parseJson(response.body)) : [];
  return log.map(readObject).filter((entry) => entry['ref'] === name);
}
