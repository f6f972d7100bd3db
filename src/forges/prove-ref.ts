import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildTarget, Ref } from '../build/index.ts';
import { parseJson, readObject, readString, type UnknownObject } from '../json.ts';
import { formatScope } from '../sealing/scope.ts';
import type { Proof, Repository } from './forge.ts';
import type { HttpResponse } from './http-client.ts';
import { orUnknown, toDiagnosis, type RestApi } from './rest-api.ts';

export type Refusal = Extract<Proof, { kind: 'refused' }>;
/** Where a ref points now. */
export type Head = { readonly kind: 'head'; readonly sha: string; readonly isProtected: boolean } | Refusal;

/** A change of a branch in the forge's log of pushes. */
export interface LoggedPush {
  /** The commit after it. Undefined if it is not known. */
  readonly after: string | undefined;
  /** The commit before it. Undefined for a new branch, and if it is not known. */
  readonly before: string | undefined;
  /** Epoch milliseconds. NaN if it is not known. */
  readonly at: number;
  /** Whether the branch was created, deleted or reset. Commits of older changes need not be in it. */
  readonly isReset: boolean;
}

/** What a proof needs from one kind of forge. */
export interface ProofKind {
  /** The field of a repository that has its path, `OWNER/NAME`. */
  readonly pathField: string;
  /** The answers for a repository that was renamed or moved. */
  readonly moved: readonly number[];
  /** Returns why the token may not push, by what the forge shows of the repository; undefined if it may. */
  findRefusal(repository: UnknownObject, scope: string): string | undefined;
  /** Reads where a ref points now. */
  readHead(api: RestApi, ref: Ref, signal: AbortSignal): Promise<Head>;
  /** Lists the newest changes of a branch, the newest first. Some can be missing. */
  readPushLog(api: RestApi, ref: Ref, signal: AbortSignal): Promise<readonly LoggedPush[]>;
  /** Returns whether a commit is an ancestor of `sha`. Undefined: the log of pushes shows each reset. */
  readonly isAncestor?: (
    api: RestApi,
    ancestor: string,
    options: { readonly sha: string; readonly signal: AbortSignal },
  ) => Promise<boolean | undefined>;
}

export interface ProveOptions {
  readonly signal: AbortSignal;
  /**
   * The pauses before a refusal is checked again. A webhook can arrive before the API's database replica has the push.
   * While the replica still shows the ref as it was before the push, all pauses are used, else only the first.
   */
  readonly lagPausesMs: readonly number[];
}

/** The calls of a repository that {@link createProofCalls} makes. */
export interface ProofCalls {
  prove(api: RestApi, target: BuildTarget, options: ProveOptions): ReturnType<Repository['prove']>;
  checkAccess(api: RestApi, signal: AbortSignal): ReturnType<Repository['checkAccess']>;
  readPush(api: RestApi, target: BuildTarget, signal: AbortSignal): ReturnType<Repository['readPush']>;
  /** Reads the newest commit of a branch. Returns undefined if there is no such branch. */
  readBranchHead(api: RestApi, name: string, signal: AbortSignal): Promise<string | undefined>;
}

/** Deliveries of quick pushes come within seconds, or minutes if c3 was away. An older head needs its sealed link. */
const RECENT_MS = 3_600_000;

/**
 * Creates the calls that prove. A proof asks the forge two questions at the same time: whether the token may push, and
 * whether the commit is the head of the ref or was pushed as its head (A2). An ancestor of the head proves nothing: a
 * merge brings commits into a branch that never were its head. A request for the commit alone proves nothing either: it
 * can be a fork's.
 */
export function createProofCalls(kind: ProofKind): ProofCalls {
  return {
    async prove(api, target, options) {
      const [access, pushed] = await Promise.all([
        readAccess(kind, api, options.signal),
        provePushed(kind, { api, target }, options),
      ]);
      if (access.kind === 'refused' || pushed.kind === 'refused') return access.kind === 'refused' ? access : pushed;
      const isDefault = target.ref.kind === 'branch' && target.ref.name === access.defaultBranch;
      return isDefault ? { ...pushed, trust: 'protected' } : pushed;
    },
    async checkAccess(api, signal) {
      const access = await readAccess(kind, api, signal);
      return access.kind === 'refused' ? access.message : undefined;
    },
    async readPush(api, { ref, sha }, signal) {
      return await orUnknown(async () => {
        const push = (await kind.readPushLog(api, ref, signal)).find(({ after }) => after === sha);
        return push && { before: push.before };
      });
    },
    async readBranchHead(api, name, signal) {
      const head = await kind.readHead(api, { kind: 'branch', name }, signal);
      return head.kind === 'head' ? head.sha : undefined;
    },
  };
}

/** Requests the repository itself. */
export async function readRepository(api: RestApi, signal: AbortSignal): Promise<HttpResponse> {
  return await api.get('', signal, { isLate: ({ status }) => status === 404 });
}

type Access = { readonly kind: 'granted'; readonly defaultBranch: unknown } | Refusal;

/** Asks whether the token may push. */
async function readAccess(kind: ProofKind, api: RestApi, signal: AbortSignal): Promise<Access> {
  const scope = formatScope(api.scope);
  const response = await readRepository(api, signal);
  const moved = refuse(`${scope} was renamed or moved; seal the token for its new name`);
  if (kind.moved.includes(response.status)) return moved;
  if (response.status !== 200) return refuse(`the token cannot see ${scope}: ${toDiagnosis(response)}`);
  const repository = readObject(parseJson(response.body));
  const path = readString(repository[kind.pathField]);
  if (path?.toLowerCase() !== `${api.scope.owner}/${api.scope.name}`) return moved;
  const message = kind.findRefusal(repository, scope);
  return message === undefined ? { kind: 'granted', defaultBranch: repository['default_branch'] } : refuse(message);
}

interface ProofOrder {
  readonly api: RestApi;
  readonly target: BuildTarget;
}

async function provePushed(kind: ProofKind, order: ProofOrder, { signal, lagPausesMs }: ProveOptions): Promise<Proof> {
  let answer = await proveOnce(kind, order, signal);
  for (const [index, pauseMs] of lagPausesMs.entries()) {
    if (answer.proof.kind === 'proven' || (index > 0 && !answer.isOld)) break;
    await sleep(pauseMs, undefined, { signal });
    answer = await proveOnce(kind, order, signal);
  }
  return answer.proof;
}

/** `isOld`: the forge shows the ref as it was before the push. */
async function proveOnce(
  kind: ProofKind,
  order: ProofOrder,
  signal: AbortSignal,
): Promise<{ readonly proof: Proof; readonly isOld: boolean }> {
  const { ref, sha, before } = order.target;
  const head = await kind.readHead(order.api, ref, signal);
  if (head.kind === 'refused') return { proof: head, isOld: before === undefined };
  const isHead = head.sha === sha;
  if (isHead || (ref.kind === 'branch' && (await wasPushed(kind, order, { head: head.sha, signal })))) {
    return { proof: { kind: 'proven', trust: head.isProtected ? 'protected' : 'other', isHead }, isOld: false };
  }
  return { proof: refuse(`${ref.name} has moved on to ${head.sha.slice(0, 7)}`), isOld: head.sha === before };
}

/**
 * Returns whether the forge's log of pushes says that the commit was the head of the branch in the last hour, and that
 * the branch was neither deleted nor reset since. A forge without this log proves only the head. The log has no tags.
 */
async function wasPushed(
  { readPushLog, isAncestor }: ProofKind,
  { api, target: { ref, sha } }: ProofOrder,
  { head, signal }: { readonly head: string; readonly signal: AbortSignal },
): Promise<boolean> {
  for (const { after, at, isReset } of await readPushLog(api, ref, signal)) {
    if (!(Date.now() - at <= RECENT_MS)) return false;
    if (after === sha) return isAncestor === undefined || (await isAncestor(api, sha, { sha: head, signal })) === true;
    if (isReset) return false;
  }
  return false;
}

export function refuse(message: string): Refusal {
  return { kind: 'refused', message };
}
