import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { createUser, type User } from '../../dev/demo/user.ts';
import { useFixture } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { openTarget } from './target.ts';
import { deadline } from '../time-limits.ts';

/** A Lease that its holder does not renew is taken over after 30 s (src/kube). */

describe('two c3 on a real Kubernetes', () => {
  const fixture = useFixture(openTarget);
  let second: C3Process;
  let user: User;
  let url: string;
  let secret: string;
  let k8s: string;
  let number = 0;

  beforeEach(async () => {
    second = await startC3(fixture.world.settings);
    number += 1;
    const name = `twice${number}`;
    await fixture.world.forge.createRepository({ owner: 'acme', name, isPrivate: true });
    user = await createUser(fixture.world, { owner: 'acme', name });
    [url = '', secret = ''] = (await user.seal('hook', fixture.world.owner.token)).split('\n');
    k8s = await user.seal('k8s', fixture.target.kubeconfig);
  });
  afterEach(async () => {
    second.kill('SIGCONT');
    second.kill('SIGKILL');
    await second.exited;
  });

  /** Pushes to a branch, and sends the webhook to one c3. The forge has no webhook. */
  async function push(steps: string, branch: string, to: string): Promise<string> {
    const source = formatPipeline(fixture.target, k8s, steps).replace('name: shop', `name: job${number}`);
    const sha = await user.tree.commit({ 'c3.yaml': source }, `for ${branch}`);
    await user.tree.git('push', '--quiet', '--force', user.cloneUrl, `HEAD:refs/heads/${branch}`);
    const body = JSON.stringify({
      ref: `refs/heads/${branch}`,
      before: '0'.repeat(40),
      after: sha,
      created: true,
      deleted: false,
      forced: false,
      repository: { full_name: user.fullName },
      head_commit: { id: sha, message: branch, author: { name: 'ann' } },
      pusher: { name: 'ann' },
    });
    const answer = await fixture.deliver(url.replace(new URL(url).origin, to), secret, body);
    expect(answer).toMatchObject({ status: 202 });
    return sha;
  }

  async function look(script: string): Promise<string> {
    const pod = (await fixture.pods.names()).find((one) => one.startsWith(`job${number}-`));
    return pod === undefined ? '' : await fixture.pods.run(pod, 'main', ['sh', '-c', script]);
  }

  it('use one Pod for one build at a time', async () => {
    const steps = `- main: |
    echo begin $C3_BUILD_ID >> /c3/story
    sleep 1
    echo end $C3_BUILD_ID >> /c3/story`;
    const shas: string[] = [];
    for (const [index, to] of [fixture.world.c3.url, second.url, fixture.world.c3.url, second.url].entries())
      shas.push(await push(steps, `topic${index}`, to));
    for (const sha of shas) expect(await user.waitForEnd(sha)).toMatchObject({ state: 'success' });
    const lines = (await look('cat /c3/story')).trim().split('\n');
    expect(lines).toHaveLength(8);
    for (let index = 0; index < 8; index += 2) expect(lines[index + 1]).toBe(lines[index]?.replace('begin', 'end'));
  });

  it('never run in one Pod at the same time, even if a c3 resumes after its Lease was taken over', async () => {
    const hold = `- main: |
    echo first >> /c3/story; until [ -e /c3/go ]; do sleep 0.1; done; echo first end >> /c3/story
  name: hold
- main: echo stale >> /c3/story`;
    const stale = await push(hold, 'stale', second.url);
    await expect.poll(() => look('cat /c3/story')).toBe('first\n');
    second.kill('SIGSTOP');
    const fresh = await push('- main: echo second >> /c3/story', 'fresh', fixture.world.c3.url);
    const end = await fixture.world.forge.waitFor(
      () => fixture.world.forge.statuses.findLast((one) => one.sha === fresh && one.state !== 'pending'),
      deadline(),
    );
    expect(end).toMatchObject({ state: 'success' });
    second.kill('SIGCONT');
    expect(await user.waitForEnd(stale)).toMatchObject({
      state: 'error',
      description: expect.stringMatching(/another c3|taken over/),
    });
    // The processes of the suspended c3's build ended before the next build began, and no other one started
    // afterwards.
    expect(await look('cat /c3/story')).toBe('first\nsecond\n');
  });
});
