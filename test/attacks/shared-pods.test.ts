import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/kube/client.ts';
import { parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { useOutsider } from './outsider.ts';

describe('A3 A build that prepares the Pod of a more trusted one', () => {
  const outsider = useOutsider();
  const { fixture } = outsider;

  async function run(hook: SetUp, script: string, ref?: string): Promise<string> {
    const { status } = await fixture.push(
      hook.user,
      { 'c3.yaml': formatPipeline(fixture.target, hook.k8s, `- main: |\n    ${script}`) },
      ref,
    );
    return status.state;
  }

  it('leaves nothing of an unprotected branch for a build of a protected one', async () => {
    const hook = await fixture.setUp();
    fixture.world.forge.protectBranch(hook.repository, 'main');
    expect(await run(hook, 'touch /c3/poison; echo evil > /tmp/poison', 'refs/heads/topic')).toBe('success');
    expect(await run(hook, 'test ! -e /c3/poison', 'refs/heads/main')).toBe('success');
    expect(await run(hook, 'test -e /c3/poison', 'refs/heads/topic')).toBe('success');
  });

  it('leaves nothing of a branch that a pattern protects for the default branch', async () => {
    const hook = await fixture.setUp();
    fixture.world.forge.protectBranch(hook.repository, 'release/evil');
    expect(await run(hook, 'touch /c3/poison', 'refs/heads/release/evil')).toBe('success');
    expect(await run(hook, 'test ! -e /c3/poison', 'refs/heads/main')).toBe('success');
    expect(await run(hook, 'test -e /c3/poison', 'refs/heads/release/evil')).toBe('success');
  });

  it('gives a tag a new Pod, and leaves none behind', async () => {
    const hook = await fixture.setUp();
    expect(await run(hook, 'touch /c3/poison', 'refs/heads/topic')).toBe('success');
    expect(await run(hook, 'touch /c3/poison', 'refs/heads/main')).toBe('success');
    const before = outsider.cluster.pods().map(({ metadata }) => metadata.name);
    expect(await run(hook, 'test ! -e /c3/poison; touch /c3/poison', 'refs/tags/v1')).toBe('success');
    expect(await run(hook, 'test ! -e /c3/poison', 'refs/tags/v2')).toBe('success');
    const names = (): (string | undefined)[] => outsider.cluster.pods().map(({ metadata }) => metadata.name);
    await expect.poll(names).toEqual(before);
  });

  it('gives each branch its own Pod if c3.yaml does not share it', async () => {
    const hook = await fixture.setUp();
    const build = async (script: string, ref: string): Promise<string> => {
      const source = formatPipeline(fixture.target, hook.k8s, `- main: |\n    ${script}`, 'pod: {share: false}\n');
      return (await fixture.push(hook.user, { 'c3.yaml': source }, ref)).status.state;
    };
    expect(await build('touch /c3/poison', 'refs/heads/one')).toBe('success');
    expect(await build('test ! -e /c3/poison', 'refs/heads/two')).toBe('success');
    expect(await build('test -e /c3/poison', 'refs/heads/one')).toBe('success');
  });

  it('treats a tag as not protected, because the forge does not report protection of tags', async () => {
    const hook = await fixture.setUp();
    fixture.world.forge.protectBranch(hook.repository, 'main');
    expect(await run(hook, 'touch /c3/poison', 'refs/tags/main')).toBe('success');
    expect(await run(hook, 'test ! -e /c3/poison', 'refs/heads/main')).toBe('success');
  });

  it('gives no repository the warm Pod of another, even if job and cluster are the same', async () => {
    const [one, two] = [await fixture.setUp(), await fixture.setUp()];
    expect(await run(one, 'touch /c3/poison')).toBe('success');
    expect(await run(two, 'test ! -e /c3/poison')).toBe('success');
  });

  it('runs nothing for other events of a repository', async () => {
    const hook = await fixture.setUp();
    const { sha } = await hook.user.push({ file: 'x' }, 'x');
    await hook.user.waitForEnd(sha);
    await outsider.spare(async () => {
      for (const event of [
        'pull_request_target',
        'pull_request_review',
        'issues',
        'merge_group',
        'workflow_run',
        'status',
        'create',
        'fork',
        'release',
      ]) {
        const payload = {
          action: 'opened',
          number: 1,
          pull_request: { head: { sha, ref: 'evil', repo: { fork: true } } },
          repository: { full_name: hook.user.fullName },
        };
        const answer = await outsider.deliver(hook, payload, { 'x-github-event': event });
        expect(answer).toMatchObject({ status: 200, text: expect.stringMatching(/^ignored: /) });
      }
    });
  });

  it('runs nothing for a push to the refs of pull requests', async () => {
    const hook = await fixture.setUp();
    await outsider.spare(async () => {
      for (const ref of ['refs/pull/1/head', 'refs/pull/1/merge', 'refs/notes/x', 'refs/replace/x', 'refs/forks/a/b']) {
        const payload = { ref, after: '1'.repeat(40), repository: { full_name: hook.user.fullName } };
        expect(await outsider.deliver(hook, payload)).toMatchObject({
          status: 200,
          text: expect.stringMatching(/^ignored: /),
        });
      }
    });
  });

  it('uses no Pod with the right name that c3 did not create', async () => {
    const hook = await fixture.setUp();
    expect(await run(hook, 'true')).toBe('success');
    const known = outsider.cluster.pods().at(-1);
    const access = parseKubeconfig(fixture.target.kubeconfig);
    const client = createClient({ ...access, lookup: undefined } as never);
    const path = `/api/v1/namespaces/default/pods`;
    const name = known?.metadata.name ?? '';
    await client.request({ method: 'DELETE', path: `${path}/${name}`, query: { gracePeriodSeconds: '0' } });
    const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: known?.spec };
    await expect.poll(async () => (await client.request({ method: 'POST', path, body })).kind).toBe('ok');
    const planted = outsider.cluster.pods().find(({ metadata }) => metadata.name === name)?.metadata.uid;
    expect(await run(hook, 'true')).toBe('success');
    const used = outsider.cluster.pods().find(({ metadata }) => metadata.name === name)?.metadata.uid;
    expect(planted).toBeDefined();
    expect(used).not.toBe(planted);
    await client.close();
  });

  it('ignores what a job claims under c3.build/', async () => {
    const hook = await fixture.setUp();
    const forged = 'annotations: {c3.build/spec-hash: forged, c3.build/state: idle}, labels: {c3.build/scope: victim}';
    const source = formatPipeline(fixture.target, hook.k8s, '- main: echo').replace(
      '{name: shop}',
      `{name: shop, ${forged}}`,
    );
    expect((await fixture.push(hook.user, { 'c3.yaml': source })).text).toMatch(/^✅/);
    const { metadata } = outsider.cluster.pods().at(-1) ?? {};
    expect(JSON.stringify(metadata)).not.toMatch(/forged|victim/);
  });
});
