import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildTarget, formatRef, type Ref } from '../../build/index.ts';
import { C3Error } from '../../errors.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof, Repository } from '../forge.ts';
import { toDiagnosis, type RestApi } from '../rest-api.ts';
import { PAGE_LENGTH } from './api.ts';
import { isAncestor } from './commits.ts';

type Refusal = Extract<Proof, { kind: 'refused' }>;
type Head = { kind: 'head'; sha: string; isProtected: boolean } | Refusal;

export interface ProveOptions {
  readonly signal: AbortSignal;
  /** The pauses before a refusal is checked again: all of them while the forge shows the ref as it was before the push. */
  readonly lagPausesMs: readonly number[];
}

/**
 * Asks the forge two questions at the same time: whether the token may push, and whether the commit is the head of the
 * ref or was pushed as its head (A2). An ancestor of the head proves nothing: a merge brings commits into a branch
 * that never were its head.
 */
export async function prove(api: RestApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const [access, pushed] = await Promise.all([readAccess(api, options.signal), provePushed(api, target, options)]);
  if (access.kind === 'refused' || pushed.kind === 'refused') return access.kind === 'refused' ? access : pushed;
  const isDefault = target.ref.kind === 'branch' && target.ref.name === access.defaultBranch;
  return isDefault ? { ...pushed, trust: 'protected' } : pushed;
}

/** Returns why the token may not push; undefined if it may. */
export async function checkAccess(api: RestApi, signal: AbortSignal): Promise<string | undefined> {
  const access = await readAccess(api, signal);
  return access.kind === 'refused' ? access.message : undefined;
}

type Access = { kind: 'granted'; defaultBranch: unknown } | Refusal;

async function readAccess(api: RestApi, signal: AbortSignal): Promise<Access> {
  const scope = formatScope(api.scope);
  const response = await api.get('', signal, { isLate: ({ status }) => status === 404 });
  const moved = refuse(`${scope} was renamed or moved; seal the token for its new name`);
  if ([301, 302, 307, 308].includes(response.status)) return moved;
  if (response.status !== 200) return refuse(`the token cannot see ${scope}: ${toDiagnosis(response)}`);
  const repository = readObject(parseJson(response.body));
  if (readString(repository['full_name'])?.toLowerCase() !== `${api.scope.owner}/${api.scope.name}`) return moved;
  // The right is the user's. The first status shows whether the token's scopes suffice.
  if (readObject(repository['permissions'])['push'] !== true) return refuse(`the token may not push to ${scope}`);
  return { kind: 'granted', defaultBranch: repository['default_branch'] };
}

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
  const head = ref.kind === 'branch' ? await readBranch(api, ref, signal) : await readTag(api, ref, signal);
  if (head.kind === 'refused') return { proof: head, isOld: before === undefined };
  const isHead = head.sha === sha;
  if (isHead || (ref.kind === 'branch' && (await wasPushed(api, target, { head: head.sha, signal })))) {
    return { proof: { kind: 'proven', trust: head.isProtected ? 'protected' : 'other', isHead }, isOld: false };
  }
  return { proof: refuse(`${ref.name} has moved on to ${head.sha.slice(0, 7)}`), isOld: head.sha === before };
}

async function readBranch(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head> {
  const response = await api.get(`/branches/${ref.name}`, signal);
  if (response.status !== 200) return toNoHead(ref, response.status, toDiagnosis(response));
  const branch = readObject(parseJson(response.body));
  const sha = readObject(branch['commit'])['id'];
  // A request for a renamed branch may get the branch with its new name.
  if (branch['name'] !== ref.name || typeof sha !== 'string') return toNoHead(ref, 404, '');
  return { kind: 'head', sha, isProtected: branch['protected'] === true };
}

/** Reads the commit that a tag points at. The forge does not say whether a tag is protected, so a tag never counts as such. */
async function readTag(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head> {
  const response = await api.get(`/tags/${ref.name}`, signal);
  if (response.status !== 200) return toNoHead(ref, response.status, toDiagnosis(response));
  const tag = readObject(parseJson(response.body));
  const sha = readObject(tag['commit'])['sha'];
  if (tag['name'] !== ref.name || typeof sha !== 'string') return toNoHead(ref, 404, '');
  return { kind: 'head', sha, isProtected: false };
}

function toNoHead(ref: Ref, status: number, diagnosis: string): Refusal {
  return [301, 302, 307, 404].includes(status)
    ? refuse(`ref ${formatRef(ref)} no longer exists`)
    : refuse(`the forge does not show ref ${formatRef(ref)}: ${diagnosis}`);
}

/** Deliveries of quick pushes come within seconds, or minutes if c3 was away. An older head needs its sealed link. */
const RECENT_MS = 3_600_000;

/**
 * Returns whether the forge's activity log says that the commit was pushed as the head of the branch in the last hour,
 * and the branch still contains it: so it was not reset since.
 */
async function wasPushed(
  api: RestApi,
  { ref, sha }: BuildTarget,
  { head, signal }: { readonly head: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const push = (await readPushLog(api, ref, signal)).find(({ after }) => after === sha);
  if (push === undefined || Date.now() - push.at > RECENT_MS) return false;
  return (await isAncestor(api, sha, { sha: head, signal })) === true;
}

/** See {@link Repository.readPush}. */
export async function readPush(
  api: RestApi,
  { ref, sha }: BuildTarget,
  signal: AbortSignal,
): ReturnType<Repository['readPush']> {
  try {
    const push = (await readPushLog(api, ref, signal)).find(({ after }) => after === sha);
    return push && { before: push.before };
  } catch (error) {
    if (error instanceof C3Error && error.code === 'FORGE_UNREACHABLE') return undefined;
    throw error;
  }
}

interface PushEntry {
  readonly after: string;
  /** Undefined for a new branch, and if it is not known. */
  readonly before: string | undefined;
  /** Epoch milliseconds. */
  readonly at: number;
}

/**
 * Lists the newest pushes of a branch in the activity log, since the branch was deleted, newest first. Users can hide
 * their activity, so pushes can be missing.
 */
async function readPushLog(api: RestApi, ref: Ref, signal: AbortSignal): Promise<readonly PushEntry[]> {
  const response = await api.get('/activities/feeds', signal, { query: { limit: String(PAGE_LENGTH) } });
  const log = response.status === 200 ? readArray(parseJson(response.body)).map(readObject) : [];
  const ofRef = log.filter((entry) => entry['ref_name'] === formatRef(ref));
  const deleted = ofRef.findIndex((entry) => entry['op_type'] === 'delete_branch');
  const pushes = ofRef.slice(0, deleted === -1 ? undefined : deleted).flatMap(toPush);
  // For a new branch, the forge writes any older commit as the one before.
  return pushes.map((push, index) =>
    pushes[index + 1]?.after === push.before ? push : { ...push, before: undefined },
  );
}

/** The content is JSON with the new head, and a link to the comparison with the old one. A new branch has an empty one too. */
function toPush({ op_type: type, content, created }: UnknownObject): readonly PushEntry[] {
  if (type !== 'commit_repo') return [];
  const { HeadCommit: head, CompareURL: link } = readObject(parseJson(readString(content) ?? ''));
  const after = readString(readObject(head)['Sha1']);
  const [, before] = /\/compare\/([0-9a-f]{40,64})\.\.\.[0-9a-f]{40,64}$/.exec(readString(link) ?? '') ?? [];
  return after === undefined ? [] : [{ after, before, at: Date.parse(readString(created) ?? '') || 0 }];
}

function refuse(message: string): Refusal {
  return { kind: 'refused', message };
}
