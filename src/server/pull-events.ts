import { formatCount, hasBegun, toPullRef, toPullRequest, type Build } from '../build/index.ts';
import { Cancelled, FORKS_OFF, readOfRef, wasBuilt } from '../engine/index.ts';
import { C3Error } from '../errors.ts';
import type { PullComment, PullFacts, Repository } from '../forges/forge.ts';
import type { Scope } from '../sealing/index.ts';
import type { Builds, NewBuild } from './builds.ts';
import { toBuildId } from './build-id.ts';
import { textResponse } from './responses.ts';

/** Where an event of a pull request comes from, and with what its builds run. */
export interface PullContext extends Omit<NewBuild, 'build'> {
  readonly scope: Scope;
  readonly builds: Builds;
  readonly forks: 'off' | 'approve';
}

/** GitHub waits ten seconds for the response to a webhook. */
const ASK_MS = 8_000;

/** Handles the end of a pull request: its builds are cancelled, if the forge says that it is closed. */
export async function handleClosed(number: number, { repository, scope, builds }: PullContext): Promise<Response> {
  const isOfPull = ({ pull }: Build): boolean => pull?.number === number;
  const facts = await askForge((signal) => repository.readPull(number, signal));
  if (facts?.isOpen === true) return textResponse(200, `ignored: pull request #${number} is open again`);
  const count = builds.cancelWhere(scope, isOfPull, new Cancelled(`the end of pull request #${number}`));
  return textResponse(200, `cancelled ${formatCount(count, 'build')} of pull request #${number}`);
}

interface Command {
  readonly name: 'ok-to-test' | 'retest' | 'cancel';
  /** The beginning of a commit's hash. Only `ok-to-test` has one. */
  readonly argument: string;
}

/** Reads the first line of a comment that is a command. */
export function parseCommand(text: string): Command | undefined {
  const [, name, argument = ''] = /^\/(ok-to-test|retest|cancel)(?:[ \t]+(\S+))?[ \t]*\r?$/m.exec(text) ?? [];
  return name === undefined ? undefined : { name: name as Command['name'], argument: argument.toLowerCase() };
}

/**
 * Handles a comment on a pull request. A command counts only if the forge says that its author may push (A3). A comment
 * that is delivered again does nothing new: the ids of its builds come from its own, and it cancels no later build.
 */
export async function handleComment(comment: PullComment, context: PullContext): Promise<Response> {
  const command = parseCommand(comment.text);
  if (command === undefined) return ignore('the comment has no command for c3');
  const { repository } = context;
  return await askForge(async (signal) => {
    const refusal = await repository.mayApprove(comment, signal);
    if (refusal !== undefined) return ignore(refusal);
    const facts = await repository.readPull(comment.pull, signal);
    if (facts?.isOpen !== true) return ignore(`pull request #${comment.pull} is closed`);
    const order = { comment, command, facts };
    switch (command.name) {
      case 'cancel':
        return cancel(order, context);
      case 'retest':
        return await retest(order, context, signal);
      case 'ok-to-test':
        return await approve(order, context, signal);
    }
  });
}

interface CommandOrder {
  readonly comment: PullComment;
  readonly command: Command;
  readonly facts: PullFacts;
}

/** The clocks of c3 and of the forge may differ by this much. */
const CLOCK_DIFFERENCE_MS = 5_000;

/** Cancels what was started before the comment: the builds of the pull request, and of pushes to its branch. */
function cancel({ comment, facts }: CommandOrder, { builds, scope }: PullContext): Response {
  const isOfPull = ({ pull, event, ref }: Build, startedAt: number): boolean =>
    startedAt <= comment.createdAt + CLOCK_DIFFERENCE_MS &&
    (pull?.number === facts.number || (event === 'push' && !facts.isFork && ref.name === facts.head));
  const count = builds.cancelWhere(scope, isOfPull, new Cancelled('a comment on its pull request'));
  return textResponse(200, `cancelled ${formatCount(count, 'build')}`);
}

/** Builds again what was built of the newest commit. */
async function retest({ comment, facts }: CommandOrder, context: PullContext, signal: AbortSignal): Promise<Response> {
  const candidates = toBuilds(facts, comment, context);
  const built = await findBuilt(candidates, facts, context.repository, signal);
  if (built.length === 0) {
    return ignore(
      facts.isFork
        ? `commit ${facts.sha.slice(0, 7)} is not approved: review it, and write /ok-to-test ${facts.sha.slice(0, 7)}`
        : `nothing of commit ${facts.sha.slice(0, 7)} was built`,
    );
  }
  return start(built, context);
}

/** Builds a commit of a fork. The approval is for this commit only. */
async function approve(
  { comment, command, facts }: CommandOrder,
  context: PullContext,
  signal: AbortSignal,
): Promise<Response> {
  const short = facts.sha.slice(0, 7);
  if (!facts.isFork) return ignore('only commits of forks need an approval');
  if (context.forks !== 'approve') return ignore(FORKS_OFF);
  if (!/^[0-9a-f]{7,64}$/.test(command.argument) || !facts.sha.startsWith(command.argument)) {
    return ignore(`pull request #${facts.number} is at ${short} now: review it, and write /ok-to-test ${short}`);
  }
  const candidates = toBuilds(facts, comment, context);
  const statuses = await Array.fromAsync(context.repository.listStatuses(facts.sha, signal));
  // The build of this comment itself continues if another process began it and ended.
  return candidates.some((build) => wasBuilt(statuses, build))
    ? ignore(`${short} was approved before; write /retest to build it again`)
    : start(candidates, context);
}

/** Makes the builds that a comment can start. */
function toBuilds(facts: PullFacts, comment: PullComment, { hook, scope }: PullContext): readonly Build[] {
  const { sha, commit, head, isFork } = facts;
  const shared = { scope, sha, commit, before: undefined, cause: 'comment', trust: undefined } as const;
  const toId = (event: string): string => toBuildId(hook.id, `comment ${comment.id} ${event}`);
  const pull = toPullRequest(facts);
  const ofPull: Build = { ...shared, id: toId('pull_request'), event: 'pull_request', ref: toPullRef(pull), pull };
  const ref = { kind: 'branch', name: head } as const;
  return isFork ? [ofPull] : [ofPull, { ...shared, id: toId('push'), event: 'push', ref }];
}

/** Returns those builds of whose ref or pull request the commit has the status of a build that had begun. */
async function findBuilt(
  builds: readonly Build[],
  { sha }: PullFacts,
  repository: Repository,
  signal: AbortSignal,
): Promise<readonly Build[]> {
  const statuses = await Array.fromAsync(repository.listStatuses(sha, signal));
  return builds.filter((build) => readOfRef(statuses, build).some(hasBegun));
}

function start(started: readonly Build[], { builds, ...context }: PullContext): Response {
  const results = started.map((build) => builds.start({ ...context, build }));
  const ids = started.map(({ id }) => `build ${id}`).join(', ');
  if (results.every((result) => result === 'ended')) return ignore(`${ids} has ended already`);
  return textResponse(202, ids);
}

function ignore(reason: string): Response {
  return textResponse(200, `ignored: ${reason}`);
}

/** @throws {C3Error} FORGE_UNREACHABLE if the forge takes too long */
async function askForge<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const tooLate = AbortSignal.timeout(ASK_MS);
  try {
    return await ask(tooLate);
  } catch (error) {
    if (!tooLate.aborted) throw error;
    throw new C3Error('FORGE_UNREACHABLE', 'The forge did not answer in time', { hint: 'deliver the webhook again' });
  }
}
