import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createUser, type User } from '../../dev/demo/user.ts';
import { createWorld, type World } from '../../dev/demo/world.ts';
import type { ForgeKind, Repository, Status } from '../../dev/forge/index.ts';
import { deadline, WAIT_MS } from '../time-limits.ts';
import { OWNERS } from './fixture.ts';
import { openPods, type Pods } from './pods.ts';
import { formatPipeline, type Target } from './target.ts';

/** Tests what differs between kinds of forges, from the webhook to the commit status: a push, a tag, pull requests. */
export function describeForge(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`a repository on ${kind} whose builds run on ${name}`, () => {
    let target: Target;
    let world: World;
    let pods: Pods;
    let repository: Repository;
    let user: User;

    beforeAll(async () => {
      target = await getTarget();
      pods = await openPods(target.kubeconfig);
      const settings = { C3_FORKS: 'approve' };
      const { forgeHost } = target;
      world = await createWorld({ kind, forgeHost, hasLimits: false, deliveryTimeoutMs: WAIT_MS, settings });
      const names = { owner: OWNERS[kind], name: 'shop' };
      repository = await world.forge.createRepository(names);
      user = await createUser(world, names);
      const [url = '', secret = ''] = (await user.seal('hook', world.owner.token)).split('\n');
      await user.createHook(url, secret);
    });
    afterAll(async () => {
      await world.close();
      await pods.clear();
      await pods.close();
    });

    /** Resolves with the last status of a commit in a context, when its build has ended. */
    function waitFor(sha: string, context: string, state?: Status['state']): Promise<Status> {
      const isEnd = (one: Status): boolean => (state === undefined ? one.state !== 'pending' : one.state === state);
      return world.forge.waitFor(
        () => world.forge.statuses.findLast((one) => one.sha === sha && one.context === context && isEnd(one)),
        deadline(),
      );
    }

    /** Resolves with c3's answer to the webhook that contains a text. */
    function waitForAnswer(text: string): Promise<string> {
      return world.forge.waitFor(() => {
        const delivery = world.forge.deliveries.findLast(({ request }) => request.body.includes(text));
        return delivery?.answer?.kind === 'answered' ? delivery.answer.body.trimEnd() : undefined;
      }, deadline());
    }

    it('builds a push, a tag and a pull request, each with its own status', async () => {
      const k8s = await user.seal('k8s', target.kubeconfig);
      const when = 'when: {event: [push, tag, pull_request]}\n';
      const files = { 'c3.yaml': formatPipeline(target, k8s, '- main: test -e good', when), good: '' };
      const { sha } = await user.push(files, 'Begin');
      expect(await user.waitForAnswer(sha)).toMatchObject({ status: 202 });
      expect(await waitFor(sha, 'c3/push')).toMatchObject({ state: 'success' });
      const states = world.forge.statuses.filter((one) => one.sha === sha).map(({ state }) => state);
      expect(states).toEqual(['pending', 'success']);

      await user.tree.git('tag', '--annotate', '--message', 'one', 'v1', sha);
      await user.tree.git('push', '--quiet', user.cloneUrl, 'v1');
      expect((await waitFor(sha, 'c3/tag')).description).toMatch(/^passed in .* \(v1, build /);

      await user.tree.git('rm', '--quiet', 'good');
      const bad = await user.push({ other: '' }, 'Break it', 'refs/heads/topic/a');
      expect(await waitFor(bad.sha, 'c3/push')).toMatchObject({ state: 'failure' });
      const head = { repository, branch: 'topic/a' };
      const pull = await world.forge.pulls.open({ repository, head, author: world.owner.login });
      const { description } = await waitFor(bad.sha, 'c3/pr');
      expect(description).toMatch(new RegExp(`^failed at main .* \\(#${pull.number}, build `));
    });

    it("builds a fork's commit after somebody who may push has approved it", async () => {
      const fork = await world.forge.createFork(repository, 'mallory');
      await user.tree.git('switch', '--quiet', '--detach', 'v1');
      const sha = await user.tree.commit({ 'c3.yaml': 'steps: [{main: echo evil}]\n' }, 'Steal');
      await user.tree.git('push', '--quiet', fork.path, `${sha}:refs/heads/evil`);
      // The forge has processed the push before it opens the pull request.
      await vi.waitUntil(() => fork.pushLog.length === 1, WAIT_MS);
      const head = { repository: fork, branch: 'evil' };
      const pull = await world.forge.pulls.open({ repository, head, author: 'mallory' });
      const waiting = await waitFor(sha, 'c3/pr', 'pending');
      expect(waiting.description).toMatch(new RegExp(`^needs approval: ${sha.slice(0, 7)}`));
      const { id } = await world.forge.pulls.comment(pull, 'mallory', `/ok-to-test ${sha.slice(0, 7)}`);
      expect(await waitForAnswer(`"id":${id},`)).toBe('ignored: mallory may not push');
      await world.forge.pulls.comment(pull, world.owner.login, `/ok-to-test ${sha.slice(0, 7)}`);
      expect((await waitFor(sha, 'c3/pr')).description).toMatch(/^passed in /);
    });

    it('receives no request that it does not know', () => {
      expect(world.forge.requests.filter(({ isUnexpected }) => isUnexpected)).toEqual([]);
    });
  });
}
