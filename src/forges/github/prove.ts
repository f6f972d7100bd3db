import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildTarget, formatRef, type Ref } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof, Repository } from '../forge.ts';
import { toDiagnosis, type RestApi } from '../rest-api.ts';

/** A tag can point at a tag, which can point at another tag. Longer chains are not useful. */
const MAX_TAG_DEPTH = 4;

type Refusal = Extract<Proof, { kind: 'refused' }>;
type Head = { kind: 'head'; sha: string; isProtected: boolean } | Refusal;

/**
 * Asks the forge two questions at the same time: whether the token may push, and whether the commit is the head of the
 * ref or was pushed as its head (A2). An ancestor of the head proves nothing: a merge brings commits into a branch
 * that never were its head.
 *
 * @see https://docs.github.com/en/rest/repos/repos#get-a-repository
 */
export async function prove(api: RestApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const [access, pushed] = await Promise.all([readAccess(api, options.signal), provePushed(api, target, options)]);
  if (access.kind === 'refused' || pushed.kind === 'refused') return access.kind === 'refused' ? access : pushed;
  const isDefault = target.ref.kind === 'branch' && target.ref.name === access.defaultBranch;
  return isDefault ? { ...pushed, trust: 'protected' } : pushed;
}

export interface ProveOptions {
  readonly signal: AbortSignal;
  /**
   * The pauses before a refusal is checked again. A webhook can arrive before the API's database replica has the push.
   * While the replica still shows the ref as it was before the push, all pauses are used, else only the first.
   */
  readonly lagPausesMs: readonly number[];
}

/** Returns why the token may not push; undefined if it may. */
export async function checkAccess(api: RestApi, signal: AbortSignal): Promise<string | undefined> {
  const access = await readAccess(api, signal);
  return access.kind === 'refused' ? access.message : undefined;
}

type Access = { kind: 'granted'; defaultBranch: unknown } | Refusal;

/** Returns whether the token may push. */
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

/**
 * Proves that a commit is or was the head of the ref. A request for the commit alone proves nothing: GitHub serves the
 * commits of every fork through its parent.
 */
async function provePushed(api: RestApi, target: BuildTarget, { signal, lagPausesMs }: ProveOptions): Promise<Proof> {
  let answer = await proveOnce(api, target, signal);
  for (const [index, pauseMs] of lagPausesMs.entries()) {
    if (answer.proof.kind === 'proven' || (index > 0 && !answer.isOld)) break;
    await sleep(pauseMs, undefined, { signal });
    answer = await proveOnce(api, target, signal);
  }
  return answer.proof;
}

/** `isOld`: the forge shows the ref as it was before the push. */
async function proveOnce(
  api: RestApi,
  target: BuildTarget,
  signal: AbortSignal,
): Promise<{ readonly proof: Proof; readonly isOld: boolean }> {
  const { ref, sha, before } = target;
  const head = ref.kind === 'branch' ? await readBranch(api, target, signal) : await readTag(api, target, signal);
  if (head.kind === 'refused') return { proof: head, isOld: before === undefined };
  const isHead = head.sha === sha;
  if (isHead || (ref.kind === 'branch' && (await wasPushed(api, target, signal)))) {
    return { proof: { kind: 'proven', trust: head.isProtected ? 'protected' : 'other', isHead }, isOld: false };
  }
  return { proof: refuse(`${ref.name} has moved on to ${head.sha.slice(0, 7)}`), isOld: head.sha === before };
}

/** @see https://docs.github.com/en/rest/branches/branches#get-a-branch */
async function readBranch(api: RestApi, target: BuildTarget, signal: AbortSignal): Promise<Head> {
  const response = await api.get(`/branches/${target.ref.name}`, signal);
  if (response.status !== 200) return toNoHead(target, response.status, toDiagnosis(response));
  const branch = readObject(parseJson(response.body));
  const sha = readObject(branch['commit'])['sha'];
  // GitHub answers a request for a renamed branch with the branch's new name.
  if (branch['name'] !== target.ref.name || typeof sha !== 'string') return toNoHead(target, 404, '');
  return { kind: 'head', sha, isProtected: branch['protected'] === true };
}

/**
 * Finds the commit that a tag points at. Requests the exact ref, because the commit API also accepts a branch named
 * `tags/NAME`. GitHub does not say whether a tag is protected, so a tag never counts as protected.
 *
 * @see https://docs.github.com/en/rest/git/refs#get-a-reference
 * @see https://docs.github.com/en/rest/git/tags#get-a-tag
 */
async function readTag(api: RestApi, target: BuildTarget, signal: AbortSignal): Promise<Head> {
  let path = `/git/ref/tags/${target.ref.name}`;
  for (let depth = 0; depth <= MAX_TAG_DEPTH; depth += 1) {
    const response = await api.get(path, signal);
    if (response.status !== 200) return toNoHead(target, response.status, toDiagnosis(response));
    const found = readObject(parseJson(response.body));
    // Older versions of GitHub answer with a tag whose name starts with the requested one.
    if (depth === 0 && found['ref'] !== formatRef(target.ref)) return toNoHead(target, 404, '');
    const { sha, type } = readObject(found['object']);
    if (typeof sha !== 'string' || type !== 'tag') {
      return type === 'commit' && typeof sha === 'string'
        ? { kind: 'head', sha, isProtected: false }
        : refuse(`ref ${formatRef(target.ref)} does not point at a commit`);
    }
    path = `/git/tags/${sha}`;
  }
  return refuse(`ref ${formatRef(target.ref)} points at a chain of more than ${MAX_TAG_DEPTH} tags`);
}

function toNoHead(target: BuildTarget, status: number, diagnosis: string): Refusal {
  return status === 404 || status === 301
    ? refuse(`ref ${formatRef(target.ref)} no longer exists`)
    : refuse(`the forge does not show ref ${formatRef(target.ref)}: ${diagnosis}`);
}

/** Deliveries of quick pushes come within seconds, or minutes if c3 was away. An older head needs its sealed link. */
const RECENT_MS = 3_600_000;

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
  try {
    const push = (await readPushLog(api, ref, signal)).find(({ after }) => after === sha);
    const before = readString(push?.['before']);
    return before === undefined ? undefined : { before: /^0+$/.test(before) ? undefined : before };
  } catch (error) {
    if (error instanceof C3Error && error.code === 'FORGE_UNREACHABLE') return undefined;
    throw error;
  }
}

/** Lists the changes of a ref in the last month, at most 100, the newest first. */
async function readPushLog(api: RestApi, ref: Ref, signal: AbortSignal): Promise<readonly UnknownObject[]> {
  const name = formatRef(ref);
  const query = { ref: name, time_period: 'month', per_page: '100' };
  const response = await api.get('/activity', signal, { query });
  const log = response.status === 200 ? readArray(parseJson(response.body)) : [];
  return log.map(readObject).filter((entry) => entry['ref'] === name);
}

function refuse(message: string): Refusal {
  return { kind: 'refused', message };
}
