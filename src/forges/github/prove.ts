import { setTimeout as sleep } from 'node:timers/promises';
import { type BuildTarget, formatRef } from '../../build/index.ts';
import { parseJson, readObject } from '../../json.ts';
import { formatScope } from '../../sealing/scope.ts';
import type { Proof } from '../forge.ts';
import { toDiagnosis, type GithubApi } from './api.ts';

/** A tag may point at a tag that points at a tag; nobody does it on purpose. */
const MAX_TAG_DEPTH = 4;

type Head = { kind: 'head'; sha: string; isProtected: boolean } | { kind: 'no'; message: string };

/**
 * Asks whether the token may push and whether the commit is reachable from the ref, at the same time.
 *
 * @see https://docs.github.com/en/rest/repos/repos#get-a-repository
 */
export async function prove(api: GithubApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const [permission, reachable] = await Promise.all([
    proveMayPush(api, options.signal),
    proveReachable(api, target, options),
  ]);
  return permission ?? reachable;
}

export interface ProveOptions {
  readonly signal: AbortSignal;
  /** How long to wait before a "no" is asked for once more: the webhook may be faster than the copy the API reads from. */
  readonly lagMs: number;
}

/** `undefined`: it may. */
async function proveMayPush(api: GithubApi, signal: AbortSignal): Promise<Proof | undefined> {
  const scope = formatScope(api.scope);
  const answer = await api.get('', signal);
  if (answer.status === 301 || answer.status === 307 || answer.status === 308) {
    return refuse(`${scope} was renamed or moved; seal the token for its new name`);
  }
  if (answer.status !== 200) {
    return refuse(`the token sealed in the hook key cannot see ${scope}: ${toDiagnosis(answer)}`);
  }
  const repository = readObject(parseJson(answer.body));
  const fullName = repository['full_name'];
  if (typeof fullName !== 'string' || fullName.toLowerCase() !== `${api.scope.owner}/${api.scope.name}`) {
    return refuse(`${scope} was renamed or moved; seal the token for its new name`);
  }
  // The user's right, not the token's: a token that lacks the right to set statuses is found out by the first status.
  if (readObject(repository['permissions'])['push'] !== true) {
    return refuse(`the token sealed in the hook key may not push to ${scope}`);
  }
  return undefined;
}

/**
 * Proves that a commit is the ref's head or an ancestor of it. Asking for the commit alone proves nothing: GitHub serves
 * the commits of every fork through its parent. A "no" is asked for once more after `lagMs`.
 */
async function proveReachable(api: GithubApi, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const proof = await proveOnce(api, target, options.signal);
  if (proof.kind === 'proven') {
    return proof;
  }
  await sleep(options.lagMs, undefined, { signal: options.signal });
  return proveOnce(api, target, options.signal);
}

async function proveOnce(api: GithubApi, target: BuildTarget, signal: AbortSignal): Promise<Proof> {
  const head =
    target.ref.kind === 'branch' ? await readBranch(api, target, signal) : await readTag(api, target, signal);
  if (head.kind === 'no') {
    return refuse(head.message);
  }
  if (head.sha === target.sha || (await isAncestor(api, head.sha, { sha: target.sha, signal }))) {
    return { kind: 'proven', trust: head.isProtected ? 'protected' : 'other' };
  }
  return refuse(`commit ${target.sha.slice(0, 12)} is not reachable from ${formatRef(target.ref)}`);
}

/** @see https://docs.github.com/en/rest/branches/branches#get-a-branch */
async function readBranch(api: GithubApi, target: BuildTarget, signal: AbortSignal): Promise<Head> {
  const answer = await api.get(`/branches/${target.ref.name}`, signal);
  if (answer.status !== 200) {
    return toNoHead(target, answer.status, toDiagnosis(answer));
  }
  const branch = readObject(parseJson(answer.body));
  const sha = readObject(branch['commit'])['sha'];
  // A renamed branch is answered under its new name.
  if (branch['name'] !== target.ref.name || typeof sha !== 'string') {
    return toNoHead(target, 404, '');
  }
  return { kind: 'head', sha, isProtected: branch['protected'] === true };
}

/**
 * The commit that a tag points at. The exact ref is asked for, since the commit API would also take a branch called
 * `tags/NAME`. Tags have no `protected` of their own, so a tag never counts as protected.
 *
 * @see https://docs.github.com/en/rest/git/refs#get-a-reference
 * @see https://docs.github.com/en/rest/git/tags#get-a-tag
 */
async function readTag(api: GithubApi, target: BuildTarget, signal: AbortSignal): Promise<Head> {
  let path = `/git/ref/tags/${target.ref.name}`;
  for (let depth = 0; depth <= MAX_TAG_DEPTH; depth += 1) {
    const answer = await api.get(path, signal);
    if (answer.status !== 200) {
      return toNoHead(target, answer.status, toDiagnosis(answer));
    }
    const found = readObject(parseJson(answer.body));
    // An older way of asking answered a tag that begins with this one's name.
    if (depth === 0 && found['ref'] !== formatRef(target.ref)) {
      return toNoHead(target, 404, '');
    }
    const { sha, type } = readObject(found['object']);
    if (typeof sha !== 'string' || type !== 'tag') {
      return type === 'commit' && typeof sha === 'string'
        ? { kind: 'head', sha, isProtected: false }
        : { kind: 'no', message: `ref ${formatRef(target.ref)} does not point at a commit` };
    }
    path = `/git/tags/${sha}`;
  }
  return { kind: 'no', message: `ref ${formatRef(target.ref)} points at a tag of a tag of a tag` };
}

function toNoHead(target: BuildTarget, status: number, diagnosis: string): Head {
  return status === 404 || status === 301
    ? { kind: 'no', message: `ref ${formatRef(target.ref)} does not exist any more` }
    : { kind: 'no', message: `the forge does not show ref ${formatRef(target.ref)}: ${diagnosis}` };
}

/**
 * Whether `sha` is in the history of `head`. Of such a commit there are no commits and no files to list, so the answer is
 * short; one that is cut off is about another commit.
 *
 * @see https://docs.github.com/en/rest/commits/commits#compare-two-commits
 */
async function isAncestor(
  api: GithubApi,
  head: string,
  commit: { readonly sha: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const answer = await api.get(`/compare/${head}...${commit.sha}`, commit.signal);
  const { status } = answer.status === 200 ? readObject(parseJson(answer.body)) : {};
  return status === 'behind' || status === 'identical';
}

function refuse(message: string): Proof {
  return { kind: 'refused', message };
}
