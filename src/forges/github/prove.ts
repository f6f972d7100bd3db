import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildTarget, formatRef } from '../../build/index.ts';
import { parseJson, readObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof } from '../forge.ts';
import { toDiagnosis, type GithubApi } from './api.ts';
import type { CommitOptions } from './commits.ts';

/** A tag can point at a tag, which can point at another tag. Longer chains are not useful. */
const MAX_TAG_DEPTH = 4;

type Refusal = Extract<Proof, { kind: 'refused' }>;
type Head = { kind: 'head'; sha: string; isProtected: boolean } | Refusal;

/**
 * Asks the forge two questions at the same time: whether the token may push, and whether the commit is reachable from
 * the ref (A2).
 *
 * @see https://docs.github.com/en/rest/repos/repos#get-a-repository
 */
export async function prove(api: GithubApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const permission = proveMayPush(api, options.signal);
  const [refusal, reachable] = await Promise.all([permission, proveReachable(api, target, options)]);
  return refusal ?? reachable;
}

export interface ProveOptions {
  readonly signal: AbortSignal;
  /** The delay before the second attempt. A webhook can arrive before the API's database replica has the commit. */
  readonly lagMs: number;
}

/** Returns the refusal; undefined if the token may push. */
async function proveMayPush(api: GithubApi, signal: AbortSignal): Promise<Refusal | undefined> {
  const scope = formatScope(api.scope);
  const response = await api.get('', signal);
  const moved = refuse(`${scope} was renamed or moved; seal the token for its new name`);
  if ([301, 307, 308].includes(response.status)) return moved;
  if (response.status !== 200) {
    return refuse(`the token sealed in the hook key cannot see ${scope}: ${toDiagnosis(response)}`);
  }
  const repository = readObject(parseJson(response.body));
  const fullName = repository['full_name'];
  if (typeof fullName !== 'string' || fullName.toLowerCase() !== `${api.scope.owner}/${api.scope.name}`) {
    return moved;
  }
  // GitHub reports the user's right, not the token's. The first status shows whether the token may set statuses.
  if (readObject(repository['permissions'])['push'] !== true) {
    return refuse(`the token sealed in the hook key may not push to ${scope}`);
  }
  return undefined;
}

/**
 * Proves that a commit is the ref's head or an ancestor of it. A request for the commit alone proves nothing: GitHub
 * serves the commits of every fork through its parent. A refusal is checked again after `lagMs`.
 */
async function proveReachable(api: GithubApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const proof = await proveOnce(api, target, options.signal);
  if (proof.kind === 'proven') return proof;
  await sleep(options.lagMs, undefined, { signal: options.signal });
  return proveOnce(api, target, options.signal);
}

async function proveOnce(api: GithubApi, target: BuildTarget, signal: AbortSignal): Promise<Proof> {
  const head =
    target.ref.kind === 'branch' ? await readBranch(api, target, signal) : await readTag(api, target, signal);
  if (head.kind === 'refused') return head;
  if (head.sha === target.sha || (await isAncestor(api, head.sha, { sha: target.sha, signal }))) {
    return { kind: 'proven', trust: head.isProtected ? 'protected' : 'other' };
  }
  return refuse(`commit ${target.sha.slice(0, 12)} is not reachable from ${formatRef(target.ref)}`);
}

/** @see https://docs.github.com/en/rest/branches/branches#get-a-branch */
async function readBranch(api: GithubApi, target: BuildTarget, signal: AbortSignal): Promise<Head> {
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
async function readTag(api: GithubApi, target: BuildTarget, signal: AbortSignal): Promise<Head> {
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

/**
 * Returns whether `sha` is in the history of `head`. The response is short then, because there are no commits and no
 * files to list. A longer response is cut, so it is not JSON and proves nothing.
 *
 * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
 */
async function isAncestor(api: GithubApi, head: string, { sha, signal }: CommitOptions): Promise<boolean> {
  const response = await api.get(`/compare/${head}...${sha}`, signal);
  const { status } = response.status === 200 ? readObject(parseJson(response.body)) : {};
  return status === 'behind' || status === 'identical';
}

function refuse(message: string): Refusal {
  return { kind: 'refused', message };
}
