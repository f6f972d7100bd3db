import { describe, expect, it } from 'vitest';
import { createUser } from '../../dev/demo/user.ts';
import type { SetUp } from '../e2e/fixture.ts';
import { formatPipeline } from '../e2e/target.ts';
import { FORKS, PULLS, STEP, usePulls, type Forked } from './fork.ts';
import { useOutsider, type Answer } from './outsider.ts';

describe('A3 A pull request from a fork', () => {
  const outsider = useOutsider(FORKS);
  const { fixture } = outsider;
  const { forge, findStatus, commit, openFork, waitForAnswer, say, approve, waitForRequest, expectNothing } =
    usePulls(outsider);

  it('runs nothing before its approval', async () => {
    await outsider.spare(async () => {
      const { sha, hook } = await openFork();
      const { description, state } = await waitForRequest({ sha });
      const short = sha.slice(0, 7);
      expect(state).toBe('pending');
      expect(description).toContain(`needs approval: ${short}: comment "/ok-to-test ${short}" to run it`);
      expect(hook.user.scope).toContain('acme/');
    });
  });

  it.each([
    ['steps', ({ hook }: SourceOptions) => toSource(hook, "- main: 'echo poisoned'")],
    ['job', ({ hook }: SourceOptions) => toSource(hook, STEP).replace('name: shop', 'name: poisoned')],
    ['kubeconfig', ({ hook }: SourceOptions) => toSource({ ...hook, k8s: 'aa.bb.cc.dd' }, STEP)],
    ['checkout', ({ hook }: SourceOptions) => toSource(hook, STEP, 'checkout: {path: /c3/poisoned}\n')],
    ['validity', () => 'this: [is no pipeline'],
  ])('changes nothing with a c3.yaml of its own that has other %s', async (_, toFile) => {
    const steps = `${STEP}\n- main: 'pwd; cat c3.yaml'`;
    const forked = await openFork({ steps });
    const sha = await commit(forked.mallory, forked.fork, { 'c3.yaml': toFile(forked) });
    const moved = { ...forked, sha };
    await waitForRequest(moved);
    expect(await approve(moved)).toMatchObject({ state: 'success' });
    const names = outsider.cluster.pods().map(({ metadata }) => metadata.name ?? '');
    expect(names.filter((name) => name.startsWith('poisoned'))).toEqual([]);
  });

  interface SourceOptions {
    readonly hook: Pick<SetUp, 'k8s'>;
  }

  function toSource(hook: Pick<SetUp, 'k8s'>, steps: string, extra = '', when = PULLS): string {
    return formatPipeline(fixture.target, hook.k8s, steps, when + extra);
  }

  it('gets no secret, no token, no account and no branch', async () => {
    const hook = await fixture.setUp({ isPublic: true });
    const secret = await hook.user.seal('secret:DEPLOY_KEY', 'the-deploy-key');
    expect(secret).not.toBe('');
    const forked = await openFork({
      files: {
        'test.sh': [
          'env > /c3/env',
          '! grep -q -e DEPLOY_KEY -e C3_BRANCH -e C3_TAG -e github_pat_ /c3/env',
          'test ! -e /var/run/secrets/kubernetes.io',
          '! grep -rq github_pat_ /c3/project/.git',
          '[ "$C3_REF" = refs/pull/1/head ] && [ "$C3_HEAD_BRANCH" = main ]',
        ].join(' &&\n'),
      },
    });
    await waitForRequest(forked);
    expect(await approve(forked)).toMatchObject({ state: 'success' });
  });

  it('ends before anything runs if a step names a secret', async () => {
    const forked = await openFork({
      steps: `- main: 'echo "$DEPLOY_KEY"'`,
      extra: 'secrets: {DEPLOY_KEY: aa.bb.cc.dd}\n',
    });
    await waitForRequest(forked);
    await outsider.spare(async () => {
      expect(await approve(forked)).toMatchObject({
        state: 'error',
        description: expect.stringContaining('the build of a fork gets no secrets'),
      });
    });
  });

  it.each([
    ['a Secret of the cluster', '{name: s, secret: {secretName: x}}'],
    ['a volume of other builds', '{name: s, persistentVolumeClaim: {claimName: cache}}'],
    ['a directory of the node', '{name: s, hostPath: {path: /}}'],
    ['a token of a service account', '{name: s, projected: {sources: [{serviceAccountToken: {path: t}}]}}'],
  ])('gets no Pod with %s', async (_, volume) => {
    const hook = await fixture.setUp({ isPublic: true });
    const source = formatPipeline(fixture.target, hook.k8s, STEP, PULLS).replace('volumes: [', `volumes: [${volume}, `);
    await hook.user.push({ 'c3.yaml': source, 'test.sh': 'true' }, 'base');
    const fork = await forge().createFork(hook.repository, `mallory${hook.repository.id}`);
    const mallory = await createUser(fixture.world, { owner: fork.owner, name: fork.name, remote: fork.path });
    await mallory.tree.git('pull', '--quiet', hook.repository.path, 'main');
    const sha = await commit(mallory, fork, { x: 'y' });
    const pull = await forge().pulls.open({
      repository: hook.repository,
      head: { repository: fork, branch: 'main' },
      author: 'mallory',
    });
    await waitForRequest({ sha }).catch(() => undefined);
    await outsider.spare(async () => {
      await say(pull, 'ann', `/ok-to-test ${sha}`);
      expect(await findStatus(sha, ({ state }) => state !== 'pending')).toMatchObject({ state: 'error' });
    });
  });

  it('leaves no Pod behind, and gets none of another build', async () => {
    const forked = await openFork({ files: { 'test.sh': 'test ! -e /c3/poison && touch /c3/poison' } });
    await waitForRequest(forked);
    const before = outsider.cluster.pods().map(({ metadata }) => metadata.name);
    expect(await approve(forked)).toMatchObject({ state: 'success' });
    expect(await say(forked.pull, 'ann', '/retest')).toMatch(/^build /);
    await expect.poll(() => outsider.cluster.pods().map(({ metadata }) => metadata.name)).toEqual(before);
    const source = toSource(forked.hook, "- main: 'test ! -e /c3/poison'", '', 'when: {event: push}\n');
    const { sha } = await forked.hook.user.push({ 'c3.yaml': source }, 'main');
    expect(await forked.hook.user.waitForEnd(sha)).toMatchObject({ state: 'success' });
  });

  it('is refused if the repository is private', async () => {
    await outsider.spare(async () => {
      const forked = await openFork({ isPrivate: true });
      await outsider.waitForRefusal(forked.sha, /a fork of a private repository is not built/);
      expect(await say(forked.pull, 'ann', `/ok-to-test ${forked.sha}`)).toMatch(/^build /);
    });
  });

  it('runs after its fork was deleted only with an approval', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    await expectNothing(forked, async () => {
      forge().deleteRepository(forked.fork);
      await forge().pulls.reopen(await forge().pulls.close(forked.pull));
      await waitForAnswer('pull_request', '"action":"reopened"');
    });
    expect(await approve(forked)).toMatchObject({ state: 'success' });
  });

  it('is not built after it was closed', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    await expectNothing(forked, async () => {
      await forge().pulls.close(forked.pull);
      expect(await say(forked.pull, 'ann', `/ok-to-test ${forked.sha}`)).toContain('is closed');
    });
  });

  it('is not built as a draft that c3.yaml excludes, whatever the webhook says', async () => {
    const forked = await openFork({ extra: '', isDraft: true, steps: `${STEP}\n  when: {draft: false}` });
    await outsider.spare(async () => {
      const answer = await deliverPull(forked, { draft: false });
      expect(answer.status).toBe(202);
    });
    expect(forge().statuses.filter(({ sha }) => sha === forked.sha)).toEqual([]);
  });

  /** Sends a webhook about the pull request that differs from what the forge says. */
  function deliverPull({ hook, pull, sha, fork }: Forked, changes: object): Promise<Answer> {
    const message = {
      action: 'synchronize',
      number: pull.number,
      pull_request: {
        number: pull.number,
        draft: false,
        title: String(Math.random()),
        user: { login: 'mallory' },
        head: { sha, ref: 'main', repo: { full_name: fork.fullName } },
        base: { ref: 'main' },
        ...changes,
      },
      repository: { full_name: hook.user.fullName },
    };
    return outsider.deliver(hook, message, { 'x-github-event': 'pull_request' });
  }

  it.each([
    [
      'is of the same repository',
      (forked: Forked) => ({ head: { sha: forked.sha, ref: 'main', repo: { full_name: forked.hook.user.fullName } } }),
    ],
    [
      'has an older head',
      (forked: Forked) => ({ head: { sha: 'd'.repeat(40), ref: 'main', repo: { full_name: forked.fork.fullName } } }),
    ],
  ])('runs nothing for a webhook that says it %s', async (_, toChanges) => {
    const forked = await openFork();
    await waitForRequest(forked);
    await expectNothing(forked, async () => {
      expect(await deliverPull(forked, toChanges(forked))).toMatchObject({ status: 202 });
      await outsider.waitForRefusal(toChanges(forked).head.sha, /pull request #\d+ /);
    });
  });

  it('between two forks builds nothing in either of them', async () => {
    const forked = await openFork();
    await waitForRequest(forked);
    const other = await forge().createFork(forked.hook.repository, `eve${forked.hook.repository.id}`);
    await outsider.spare(async () => {
      await forge().pulls.open({
        repository: other,
        head: { repository: forked.fork, branch: 'main' },
        author: 'mallory',
      });
      const message = { pull_request: { number: 1 }, repository: { full_name: other.fullName } };
      const answer = await outsider.deliver(forked.hook, message, { 'x-github-event': 'pull_request' });
      expect(answer.status).toBeGreaterThanOrEqual(400);
    });
  });
});

describe('A3 Where forks are off', () => {
  const outsider = useOutsider();
  const { openFork, waitForAnswer, say } = usePulls(outsider);

  it('a pull request from a fork starts nothing, and cannot be approved', async () => {
    await outsider.spare(async () => {
      const { pull, sha } = await openFork();
      expect(await waitForAnswer('pull_request', sha)).toMatch(/^ignored: this c3 builds no pull requests from forks/);
      expect(await say(pull, 'ann', `/ok-to-test ${sha}`)).toMatch(
        /^ignored: this c3 builds no pull requests from forks/,
      );
    });
  });
});
