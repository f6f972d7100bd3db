import { formatRef, type Ref } from '../../build/index.ts';
import { parseJson, readArray, readObject, readString, type UnknownObject } from '../../json.ts';
import { findHubRefusal } from '../hub-pulls.ts';
import { createProofCalls, type Head, type LoggedPush, type ProofCalls, refuse, type Refusal } from '../prove-ref.ts';
import { toDiagnosis, type RestApi } from '../rest-api.ts';

/** A tag can point at a tag, which can point at another tag. Longer chains are not useful. */
const MAX_TAG_DEPTH = 4;

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
 * Lists the changes of a ref in the last month, at most 100. The log shows each reset, and has no tags.
 *
 * @see https://docs.github.com/en/rest/repos/repos#list-repository-activities
 */
async function readPushLog(api: RestApi, ref: Ref, signal: AbortSignal): Promise<readonly LoggedPush[]> {
  const name = formatRef(ref);
  const query = { ref: name, time_period: 'month', per_page: '100' };
  const response = await api.get('/activity', signal, { query });
  const log = response.status === 200 ? readArray(parseJson(response.body)) : [];
  return log
    .map(readObject)
    .filter((entry) => entry['ref'] === name)
    .map(toLoggedPush);
}

const RESETS: readonly unknown[] = ['force_push', 'branch_creation', 'branch_deletion'];

function toLoggedPush({ after, before, timestamp, activity_type: type }: UnknownObject): LoggedPush {
  const from = readString(before) ?? '';
  return {
    after: readString(after),
    // The commit before a new branch is written as zeros.
    before: /^0*$/.test(from) ? undefined : from,
    at: Date.parse(readString(timestamp) ?? ''),
    isReset: RESETS.includes(type),
  };
}

/** GitHub serves the commits of every fork through its parent. */
export const proofCalls: ProofCalls = createProofCalls({
  pathField: 'full_name',
  moved: [301, 307, 308],
  findRefusal: findHubRefusal,
  readHead: (api, ref, signal) => (ref.kind === 'branch' ? readBranch(api, ref, signal) : readTag(api, ref, signal)),
  readPushLog,
});
