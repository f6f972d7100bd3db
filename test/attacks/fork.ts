import { expect } from 'vitest';
import { createUser, type User } from '../../dev/demo/user.ts';
import type { World } from '../../dev/demo/world.ts';
import type { Pull, Repository, Status } from '../../dev/forge/index.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { deadline } from '../time-limits.ts';
import type { Outsider } from './outsider.ts';

/** The settings of a c3 that builds commits of forks. */
export const FORKS: Readonly<Record<string, string>> = { C3_FORKS: 'approve', C3_RATE_LIMIT_NEW: '3000' };
export const PULLS = 'when: {event: pull_request}\n';
export const STEP = "- main: 'echo honest; sh ./test.sh'";

/** A pull request from a fork. Ann owns the repository, Mallory the fork. */
export interface Forked {
  readonly hook: SetUp;
  readonly fork: Repository;
  readonly pull: Pull;
  readonly sha: string;
  /** Commits to the fork. */
  readonly mallory: User;
}

export interface ForkOptions {
  /** What follows `job` in the c3.yaml of the base branch. */
  readonly steps?: string;
  readonly extra?: string;
  /** The files of the fork's commit, besides those of the base branch. */
  readonly files?: Readonly<Record<string, string>>;
  /** The branch of the fork; default `main`, as the protected one is called. */
  readonly branch?: string;
  readonly isPrivate?: boolean;
  readonly isDraft?: boolean;
}

/** What people do with pull requests from forks, for tests of attacks. */
export interface ForkActions {
  forge(): World['forge'];
  /** Waits until the newest status `c3/pr` of a commit is the wanted one; default: any. */
  findStatus(sha: string, isWanted?: (status: Status) => boolean): Promise<Status>;
  /** Commits to the fork on top of what it has, and pushes to a branch. Returns the commit. */
  commit(mallory: User, fork: Repository, files: Readonly<Record<string, string>>, branch?: string): Promise<string>;
  openFork(options?: ForkOptions): Promise<Forked>;
  /** Waits for c3's answer to the newest webhook of an event with this text. */
  waitForAnswer(event: string, text: string): Promise<string>;
  /** Writes a comment. Returns c3's answer. */
  say(pull: Pull, author: string, text: string): Promise<string>;
  /** Approves the commit as its owner, and waits for the end of its build. */
  approve(forked: Forked): Promise<Status>;
  /** Waits until c3 asks for the approval of the commit. */
  waitForRequest(forked: Pick<Forked, 'sha'>): Promise<Status>;
  /** Runs `act`, and expects that nothing of the commit ran: it still needs its approval. */
  expectNothing(forked: Forked, act: () => Promise<void>): Promise<void>;
}

export function usePulls(outsider: Outsider): ForkActions {
  const { fixture } = outsider;
  const forge = (): World['forge'] => fixture.world.forge;

  function findStatus(sha: string, isWanted: (status: Status) => boolean = () => true): Promise<Status> {
    const find = (): Status | undefined => {
      const last = forge().statuses.findLast((status) => status.sha === sha && status.context.startsWith('c3/pr'));
      return last && isWanted(last) ? last : undefined;
    };
    return forge().waitFor(find, deadline());
  }

  async function commit(
    mallory: User,
    fork: Repository,
    files: Readonly<Record<string, string>>,
    branch = 'main',
  ): Promise<string> {
    const sha = await mallory.tree.commit(files, 'a helpful change');
    await mallory.tree.git('push', '--quiet', '--force', fork.path, `HEAD:refs/heads/${branch}`);
    return sha;
  }

  async function openFork(options: ForkOptions = {}): Promise<Forked> {
    const { steps = STEP, extra = '', files = {}, branch = 'main', isPrivate = false, isDraft = false } = options;
    const hook = await fixture.setUp({ isPublic: !isPrivate });
    const source = formatPipeline(fixture.target, hook.k8s, steps, PULLS + extra);
    const { sha: base } = await hook.user.push({ 'c3.yaml': source, 'test.sh': 'echo base\n' }, 'base');
    await hook.user.waitForAnswer(base);
    const fork = await forge().createFork(hook.repository, `mallory${hook.repository.id}`);
    forge().setUser({ login: 'mallory', token: 'mallory-token', permissions: { [fork.fullName]: 'admin' } });
    const mallory = await createUser(fixture.world, { owner: fork.owner, name: fork.name, remote: fork.path });
    await mallory.tree.git('pull', '--quiet', hook.repository.path, 'main');
    const sha = await commit(mallory, fork, { 'test.sh': 'echo evil\n', ...files }, branch);
    const head = { repository: fork, branch };
    const pull = await forge().pulls.open({ repository: hook.repository, head, author: 'mallory', isDraft });
    return { hook, fork, pull, sha, mallory };
  }

  function waitForAnswer(event: string, text: string): Promise<string> {
    return forge().waitFor(() => {
      const delivery = forge().deliveries.findLast((one) => one.event === event && one.request.body.includes(text));
      return delivery?.answer?.kind === 'answered' ? delivery.answer.body.trimEnd() : undefined;
    }, deadline());
  }

  async function say(pull: Pull, author: string, text: string): Promise<string> {
    const { id } = await forge().pulls.comment(pull, author, text);
    return await waitForAnswer('issue_comment', `/comments/${id}"`);
  }

  async function approve({ pull, sha }: Forked): Promise<Status> {
    expect(await say(pull, 'ann', `/ok-to-test ${sha.slice(0, 7)}`)).toMatch(/^build /);
    return await findStatus(sha, ({ state }) => state !== 'pending');
  }

  const waitForRequest = ({ sha }: Pick<Forked, 'sha'>): Promise<Status> =>
    findStatus(sha, ({ description }) => description?.startsWith('needs approval') === true);

  async function expectNothing(forked: Forked, act: () => Promise<void>): Promise<void> {
    await outsider.spare(act);
    const newest = forge().statuses.findLast(({ sha }) => sha === forked.sha);
    expect(newest).toMatchObject({ state: 'pending', description: expect.stringMatching(/^needs approval: /) });
  }

  return { forge, findStatus, commit, openFork, waitForAnswer, say, approve, waitForRequest, expectNothing };
}
