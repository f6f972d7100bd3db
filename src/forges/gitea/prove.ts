import { type BuildTarget, formatRef, type Ref } from '../../build/index.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof, Repository } from '../forge.ts';
import { type Access, type Head, type ProveOptions, proveRef, RECENT_MS, refuse, type Refusal } from '../prove-ref.ts';
import { orUnknown, toDiagnosis, type RestApi } from '../rest-api.ts';
import { PAGE_LENGTH } from './api.ts';
import { isAncestor } from './commits.ts';

export async function prove(api: RestApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const { ref } = target;
  const { signal } = options;
  const facts = {
    readAccess: () => readAccess(api, signal),
    readHead: () => (ref.kind === 'branch' ? readBranch(api, ref, signal) : readTag(api, ref, signal)),
    wasPushed: (head: string) => wasPushed(api, target, { head, signal }),
  };
  return await proveRef(facts, target, options);
}

/** Returns why the token may not push; undefined if it may. */
export async function checkAccess(api: RestApi, signal: AbortSignal): Promise<string | undefined> {
  const access = await readAccess(api, signal);
  return access.kind === 'refused' ? access.message : undefined;
}

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

async function readBranch(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head> {
  const response = await api.get(`/branches/${ref.name}`, signal);
  if (response.status !== 200) return toNoHead(ref, response.status, toDiagnosis(response));
  const branch = readObject(parseJson(response.body));
  const sha = readObject(branch['commit'])['id'];
  // A request for a renamed branch may get the branch with its new name.
  if (branch['name'] !== ref.name || typeof sha !== 'string') return toNoHead(ref, 404, '');
  return { kind: 'head', sha, isProtected: branch['protected'] === true };
}

/** Reads the newest commit of a branch. Returns undefined if there is no such branch. */
export async function readBranchHead(api: RestApi, name: string, signal: AbortSignal): Promise<string | undefined> {
  const head = await readBranch(api, { kind: 'branch', name }, signal);
  return head.kind === 'head' ? head.sha : undefined;
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
  return await orUnknown(async () => {
    const push = (await readPushLog(api, ref, signal)).find(({ after }) => after === sha);
    return push && { before: push.before };
  });
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
