import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildTarget } from '../build/index.ts';
import type { Proof } from './forge.ts';

export type Refusal = Extract<Proof, { kind: 'refused' }>;
/** Where a ref points now. */
export type Head = { readonly kind: 'head'; readonly sha: string; readonly isProtected: boolean } | Refusal;
/** Whether the token may push. */
export type Access = { readonly kind: 'granted'; readonly defaultBranch: unknown } | Refusal;

/** What a kind of forge answers to the questions of one proof. */
export interface RefFacts {
  readAccess(): Promise<Access>;
  /** Reads where the ref of the target points now. */
  readHead(): Promise<Head>;
  /**
   * Returns whether the forge's log of pushes says that the commit was the head of the branch in the last hour, and that
   * the branch was neither deleted nor reset since. `head`: the newest commit of the branch.
   */
  wasPushed(head: string): Promise<boolean>;
}

export interface ProveOptions {
  readonly signal: AbortSignal;
  /**
   * The pauses before a refusal is checked again. A webhook can arrive before the API's database replica has the push.
   * While the replica still shows the ref as it was before the push, all pauses are used, else only the first.
   */
  readonly lagPausesMs: readonly number[];
}

/** Deliveries of quick pushes come within seconds, or minutes if c3 was away. An older head needs its sealed link. */
export const RECENT_MS = 3_600_000;

/**
 * Asks the forge two questions at the same time: whether the token may push, and whether the commit is the head of the
 * ref or was pushed as its head (A2). An ancestor of the head proves nothing: a merge brings commits into a branch
 * that never were its head. A request for the commit alone proves nothing either: it can be a fork's.
 */
export async function proveRef(facts: RefFacts, target: BuildTarget, options: ProveOptions): Promise<Proof> {
  const [access, pushed] = await Promise.all([facts.readAccess(), provePushed(facts, target, options)]);
  if (access.kind === 'refused' || pushed.kind === 'refused') return access.kind === 'refused' ? access : pushed;
  const isDefault = target.ref.kind === 'branch' && target.ref.name === access.defaultBranch;
  return isDefault ? { ...pushed, trust: 'protected' } : pushed;
}

async function provePushed(
  facts: RefFacts,
  target: BuildTarget,
  { signal, lagPausesMs }: ProveOptions,
): Promise<Proof> {
  let answer = await proveOnce(facts, target);
  for (const [index, pauseMs] of lagPausesMs.entries()) {
    if (answer.proof.kind === 'proven' || (index > 0 && !answer.isOld)) break;
    await sleep(pauseMs, undefined, { signal });
    answer = await proveOnce(facts, target);
  }
  return answer.proof;
}

/** `isOld`: the forge shows the ref as it was before the push. */
async function proveOnce(
  facts: RefFacts,
  target: BuildTarget,
): Promise<{ readonly proof: Proof; readonly isOld: boolean }> {
  const { ref, sha, before } = target;
  const head = await facts.readHead();
  if (head.kind === 'refused') return { proof: head, isOld: before === undefined };
  const isHead = head.sha === sha;
  if (isHead || (ref.kind === 'branch' && (await facts.wasPushed(head.sha)))) {
    return { proof: { kind: 'proven', trust: head.isProtected ? 'protected' : 'other', isHead }, isOld: false };
  }
  return { proof: refuse(`${ref.name} has moved on to ${head.sha.slice(0, 7)}`), isOld: head.sha === before };
}

export function refuse(message: string): Refusal {
  return { kind: 'refused', message };
}
