import { formatRef, type Ref } from '../../build/index.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { findHubRefusal } from '../hub-pulls.ts';
import { createProofCalls, type Head, type LoggedPush, type ProofCalls, refuse, type Refusal } from '../prove-ref.ts';
import { toDiagnosis, type RestApi } from '../rest-api.ts';
import { PAGE_LENGTH } from './api.ts';
import { isAncestor } from './commits.ts';

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

/**
 * Lists the newest pushes of a branch in the activity log, since the branch was deleted, newest first. Users can hide
 * their activity, so pushes can be missing. The log does not show a reset.
 */
async function readPushLog(api: RestApi, ref: Ref, signal: AbortSignal): Promise<readonly LoggedPush[]> {
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
function toPush({ op_type: type, content, created }: UnknownObject): readonly LoggedPush[] {
  if (type !== 'commit_repo') return [];
  const { HeadCommit: head, CompareURL: link } = readObject(parseJson(readString(content) ?? ''));
  const after = readString(readObject(head)['Sha1']);
  const [, before] = /\/compare\/([0-9a-f]{40,64})\.\.\.[0-9a-f]{40,64}$/.exec(readString(link) ?? '') ?? [];
  return after === undefined ? [] : [{ after, before, at: Date.parse(readString(created) ?? ''), isReset: false }];
}

export const proofCalls: ProofCalls = createProofCalls({
  pathField: 'full_name',
  moved: [301, 302, 307, 308],
  findRefusal: findHubRefusal,
  readHead: (api, ref, signal) => (ref.kind === 'branch' ? readBranch(api, ref, signal) : readTag(api, ref, signal)),
  readPushLog,
  isAncestor,
});
