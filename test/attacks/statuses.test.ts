import { describe, expect, it } from 'vitest';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { useOutsider } from './outsider.ts';

describe('A2 A build that hides how a commit ended on another ref', () => {
  const { fixture } = useOutsider();

  /** Pushes a commit to main whose build fails. Resolves with the commit when its status is final. */
  async function fail(hook: SetUp, rest = ''): Promise<string> {
    const source = formatPipeline(fixture.target, hook.k8s, '- main: test "$C3_BRANCH" != main', rest);
    const { sha, status } = await fixture.push(hook.user, { 'c3.yaml': source });
    expect(status.state).toBe('failure');
    return sha;
  }

  function ofContext(sha: string, context = 'c3/push'): string[] {
    return fixture.world.forge.statuses
      .filter((status) => status.sha === sha && status.context === context)
      .map(({ state }) => state);
  }

  async function pushTo(hook: SetUp, sha: string, ref: string): Promise<void> {
    await hook.user.tree.git('push', '--quiet', hook.user.cloneUrl, `${sha}:${ref}`);
  }

  async function waitForBuild(ref: string, ending: string): Promise<void> {
    const find = (): boolean =>
      fixture.world.c3.log.some((line) => line.includes(`"ref":"${ref}"`) && line.includes(`"ending":"${ending}"`));
    await expect.poll(find).toBe(true);
  }

  it('does not replace a failure by the success of another branch', async () => {
    const hook = await fixture.setUp();
    const sha = await fail(hook);
    await pushTo(hook, sha, 'refs/heads/good');
    await waitForBuild('refs/heads/good', 'passed');
    expect(ofContext(sha)).toEqual(['pending', 'failure']);
  });

  it.each([
    ['a branch that when excludes', 'refs/heads/excluded', 'when: {branch: [main]}\n'],
    [
      'a branch of a merge queue that when excludes',
      'refs/heads/gh-readonly-queue/main/pr-1-abc',
      'when: {branch: [main]}\n',
    ],
    ['a tag that when excludes', 'refs/tags/v-excluded', 'when: {event: push}\n'],
  ])('sets no status for %s', async (_, ref, rest) => {
    const hook = await fixture.setUp();
    const sha = await fail(hook, rest);
    await pushTo(hook, sha, ref);
    await waitForBuild(ref, 'skipped');
    expect(ofContext(sha)).toEqual(['pending', 'failure']);
    expect(ofContext(sha, 'c3/tag')).toEqual([]);
  });

  it('keeps the status of a tag apart from that of a branch', async () => {
    const hook = await fixture.setUp();
    const sha = await fail(hook);
    await pushTo(hook, sha, 'refs/tags/v-apart');
    await expect.poll(() => ofContext(sha, 'c3/tag')).toEqual(['pending', 'success']);
    expect(ofContext(sha)).toEqual(['pending', 'failure']);
  });
});
