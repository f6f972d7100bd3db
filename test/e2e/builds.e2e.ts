import { createHmac } from 'node:crypto';
import { parseDocument } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startC3, type C3Process } from '../../dev/demo/c3-process.ts';
import { createUser, type User } from '../../dev/demo/user.ts';
import { createWorld, type World } from '../../dev/demo/world.ts';
import type { Repository } from '../../dev/forge/index.ts';
import { openPods, type Pods } from './pods.ts';
import { formatPipeline, type Target } from './target.ts';

/** One push of a repository that is set up as a user would, and what came of it. */
interface Outcome {
  readonly sha: string;
  readonly answer: { status: number; body: string };
  readonly status: { state: string; description: string | null };
  readonly text: string;
}

/** From a push to its end over HTTP, against any cluster: what passes, and each thing that can be wrong with its sentence. */
export function describeBuilds(name: string, getTarget: () => Promise<Target>): void {
  describe(`a push to a repository whose builds run on ${name}`, { timeout: 180_000 }, () => {
    let target: Target;
    let world: World;
    let pods: Pods;
    let number = 0;

    beforeAll(async () => {
      target = await getTarget();
      // Twenty builds a minute in one group are more than Telegram takes; what c3 does then is told in its reporter's tests.
      world = await createWorld({ forgeHost: target.forgeHost, hasLimits: false });
      pods = await openPods(target.kubeconfig);
    }, 60_000);
    afterAll(async () => {
      await world.close();
      await pods.clear();
      await pods.close();
    });

    /** `c3`: another one of the same settings, to which the webhook goes. */
    async function setUp(
      options: { token?: string; c3?: C3Process } = {},
    ): Promise<{ user: User; k8s: string; url: string; secret: string; repository: Repository }> {
      number += 1;
      const repository = await world.forge.createRepository({ owner: 'acme', name: `shop${number}`, isPrivate: true });
      const user = await createUser(world, { owner: 'acme', name: `shop${number}` });
      const [url = '', secret = ''] = (await user.seal('hook', options.token ?? world.owner.token)).split('\n');
      await user.createHook(options.c3 ? url.replace(world.c3.url, options.c3.url) : url, secret);
      return { user, url, secret, repository, k8s: await user.seal('k8s', target.kubeconfig) };
    }

    async function push(user: User, files: Record<string, string>, ref?: string): Promise<Outcome> {
      const { sha } = await user.push(files, `Change ${user.fullName}`, ref);
      const answer = await user.waitForAnswer(sha);
      const [status, { text }] = await Promise.all([user.waitForEnd(sha), user.waitForMessage(sha)]);
      return { sha, answer, status, text };
    }

    it('passes, sets pending and then success, and runs every step at the pushed revision', async () => {
      const { user, k8s } = await setUp();
      const steps =
        '- git: git log --oneline | cat\n- main: cat file && test "$(cat file)" = one && test "$PWD" = /c3/project';
      const { sha, answer, status, text } = await push(user, {
        'c3.yaml': formatPipeline(target, k8s, steps),
        file: 'one',
      });
      expect(answer).toEqual({ status: 202, body: expect.stringMatching(/^build [0-9a-f]{12}$/) });
      expect(status).toMatchObject({ state: 'success', description: expect.stringMatching(/^passed in /) });
      expect(world.forge.statuses.filter((one) => one.sha === sha).map(({ state }) => state)).toEqual([
        'pending',
        'success',
      ]);
      expect(text).toMatch(/^✅ Passed · acme\/shop\d+ · main · [0-9a-f]{7}\n/);
      expect(text).toMatch(/✅ checkout.*\n✅ git.*\n✅ main/);
      expect(text).toContain('cold');
    });

    it('finds the Pod warm at the second push, with a clean work tree at the new revision', async () => {
      const { user, k8s } = await setUp();
      const steps =
        '- main: test ! -e left-over && touch left-over && test "$(cat file)" = "$(git log -1 --format=%s 2> /dev/null || cat file)"';
      await push(user, { 'c3.yaml': formatPipeline(target, k8s, steps), file: 'one' });
      const before = await pods.names();
      const second = await push(user, {
        'c3.yaml': formatPipeline(target, k8s, '- main: test ! -e left-over && grep two file'),
        file: 'two',
      });
      expect(second.status).toMatchObject({ state: 'success' });
      expect(second.text).toContain('warm');
      expect(await pods.names()).toEqual(before);
    });

    it('builds a tag', async () => {
      const { user, k8s } = await setUp();
      const source = formatPipeline(target, k8s, '- main: test "$C3_TAG" = v1.0 && test "$C3_EVENT" = tag');
      expect(await push(user, { 'c3.yaml': source }, 'refs/tags/v1.0')).toMatchObject({ status: { state: 'success' } });
    });

    it('ignores the deletion of a branch, with the reason', async () => {
      const { user } = await setUp();
      await user.push({ file: 'one' }, 'first', 'refs/heads/old');
      await user.tree.git('push', '--quiet', user.cloneUrl, ':refs/heads/old');
      const answer = await world.forge.waitFor(() => {
        const delivery = world.forge.deliveries.find(
          ({ repository, request }) => repository === user.fullName && request.body.includes('"deleted":true'),
        );
        return delivery?.answer;
      }, AbortSignal.timeout(20_000));
      expect(answer).toMatchObject({ status: 200, body: expect.stringMatching(/^ignored: .*delete/) });
    });

    it('gives git steps the means to reach the forge, and leaves no trace of the token', async () => {
      const { user, k8s } = await setUp();
      const library = await setUp();
      await library.user.push({ code: 'from the library' }, 'library');
      const steps = `- git: |
    git -c protocol.file.allow=never clone -q ${library.user.cloneUrl} library
    grep library library/code
- main: "! grep -rq 'Authorizatio[n]' /c3/project/.git /c3/.c3 && ! env | grep -q 'Authorizatio[n]'"`;
      const { status, text } = await push(user, { 'c3.yaml': formatPipeline(target, k8s, steps) });
      expect(text).toMatch(/^✅ Passed/);
      expect(text).not.toContain(world.owner.token);
      expect(status).toMatchObject({ state: 'success' });
    });

    it('fails with the step, its exit code and the end of its output, and skips what follows', async () => {
      const { user, k8s } = await setUp();
      const steps = '- main: echo about to break; exit 3\n  name: test\n- main: echo never\n  name: deploy';
      const { status, text } = await push(user, { 'c3.yaml': formatPipeline(target, k8s, steps) });
      expect(status).toMatchObject({
        state: 'failure',
        description: expect.stringMatching(/^failed at test after .*: exit code 3$/),
      });
      expect(text).toMatch(/^❌ Failed/);
      expect(text).toContain('about to break');
      expect(text).toMatch(/deploy · skipped/);
    });

    it('masks secrets in what it reports', async () => {
      const { user, k8s } = await setUp();
      const secret = await user.seal('secret:DEPLOY_KEY', 'correct horse battery');
      const source = formatPipeline(
        target,
        k8s,
        '- main: echo "<$DEPLOY_KEY>"; exit 1',
        `secrets: {DEPLOY_KEY: ${secret}}\n`,
      );
      const { text } = await push(user, { 'c3.yaml': source });
      expect(text).toContain('<***>');
      expect(text).not.toContain('horse');
    });

    describe('with one thing wrong', () => {
      /** Nothing hangs, nothing runs: the sentence arrives, and no Pod is made. */
      async function expectNoPod(act: () => Promise<void>): Promise<void> {
        const before = await pods.names();
        await act();
        expect(await pods.names()).toEqual(before);
      }

      async function deliver(url: string, secret: string, body: string): Promise<{ status: number; text: string }> {
        const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
        const answer = await fetch(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'x-github-event': 'push',
            'x-github-delivery': 'd',
            'x-hub-signature-256': signature,
          },
          body,
        });
        return { status: answer.status, text: (await answer.text()).trimEnd() };
      }

      async function recordDelivery(user: User): Promise<string> {
        const { sha } = await user.push({ file: String(number) }, 'to be delivered again');
        await user.waitForEnd(sha);
        const delivery = world.forge.deliveries.find(
          ({ event, request }) => event === 'push' && request.body.includes(sha),
        );
        return delivery?.request.body ?? '';
      }

      it('refuses a payload of another repository than the key is of', async () => {
        const [mine, other] = [await setUp(), await setUp()];
        const body = await recordDelivery(other.user);
        await expectNoPod(async () => {
          const { status, text } = await deliver(mine.url, mine.secret, body);
          expect(status).toBe(403);
          expect(text).toBe(
            `The hook key is of ${mine.user.scope}, but the event is of ${other.user.scope}\nmake a key for this repository with c3 encrypt --for hook`,
          );
        });
      });

      it('refuses a key that was sealed for another repository', async () => {
        const [mine, other] = [await setUp(), await setUp()];
        const url = new URL(mine.url);
        url.searchParams.set('key', new URL(other.url).searchParams.get('key') ?? '');
        await expectNoPod(async () => {
          const { status, text } = await deliver(url.href, mine.secret, '{}');
          expect(status).toBe(401);
          expect(text).toMatch(/^The key in the hook URL does not open for/);
        });
      });

      it('refuses a delivery whose signature is missing or wrong', async () => {
        const { url, user } = await setUp();
        const body = await recordDelivery(user);
        await expectNoPod(async () => {
          expect(await deliver(url, 'not the secret', body)).toMatchObject({
            status: 401,
            text: expect.stringMatching(/signature/i),
          });
          const bare = await fetch(url, { method: 'POST', headers: { 'x-github-event': 'push' }, body });
          expect(bare.status).toBe(401);
          expect(await bare.text()).toMatch(/signature/i);
        });
      });

      it('says that there is no c3.yaml', async () => {
        const { user } = await setUp();
        await expectNoPod(async () => {
          const { sha, status, text } = await push(user, { file: 'one' });
          expect(status).toMatchObject({
            state: 'error',
            description: `config error: There is no c3.yaml at ${sha.slice(0, 7)}`,
          });
          expect(text).toMatch(/^🛠 Config error/);
        });
      });

      it('shows broken YAML with its line', async () => {
        const { user, k8s } = await setUp();
        await expectNoPod(async () => {
          const source = formatPipeline(target, k8s, '- main: [echo');
          const { status, text } = await push(user, { 'c3.yaml': source });
          expect(status).toMatchObject({
            state: 'error',
            description: expect.stringMatching(/^config error: c3\.yaml:\d+:\d+ error: /),
          });
          expect(text).toContain('- main: [echo');
          expect(text).not.toContain(k8s);
        });
      });

      it('names the container that a step means', async () => {
        const { user, k8s } = await setUp();
        await expectNoPod(async () => {
          const { status, text } = await push(user, { 'c3.yaml': formatPipeline(target, k8s, '- mian: echo') });
          expect(status).toMatchObject({
            state: 'error',
            description: expect.stringMatching(/c3\.yaml:\d+:3 error: .*"mian"/),
          });
          expect(text).toContain('did you mean "main"?');
        });
      });

      it('refuses a kubeconfig by the name of what it must not hold', async () => {
        const { user } = await setUp();
        const document = parseDocument(target.kubeconfig);
        document.setIn(['clusters', 0, 'cluster', 'proxy-url'], 'http://127.0.0.1:1');
        const k8s = await user.seal('k8s', document.toString());
        await expectNoPod(async () => {
          const { status } = await push(user, { 'c3.yaml': formatPipeline(target, k8s, '- main: echo') });
          expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/proxy-url/) });
        });
      });

      it('refuses a k8s value that was copied from another repository', async () => {
        const [mine, other] = [await setUp(), await setUp()];
        await expectNoPod(async () => {
          const { status } = await push(mine.user, { 'c3.yaml': formatPipeline(target, other.k8s, '- main: echo') });
          expect(status).toMatchObject({
            state: 'error',
            description: expect.stringMatching(/^config error: c3\.yaml: k8s: /),
          });
        });
      });

      it('says that the cluster cannot be reached', async () => {
        const { user } = await setUp();
        const k8s = await user.seal('k8s', target.kubeconfig.replace(/https:\/\/[^\s"'}]+/, 'https://127.0.0.1:1'));
        const { status, text } = await push(user, { 'c3.yaml': formatPipeline(target, k8s, '- main: echo') });
        expect(status).toMatchObject({
          state: 'error',
          description: expect.stringMatching(/^infrastructure error after .*127\.0\.0\.1:1/),
        });
        expect(text).toMatch(/^💥 Infrastructure error/);
      });

      it("says in the cluster's words why an image cannot be pulled", async () => {
        const { user, k8s } = await setUp();
        const source = formatPipeline(
          { ...target, images: { ...target.images, main: 'registry.invalid/no-such-image:1' } },
          k8s,
          '- main: echo',
        );
        const { status, text } = await push(user, { 'c3.yaml': source });
        expect(status).toMatchObject({ state: 'error', description: expect.stringMatching(/^infrastructure error/) });
        expect(text).toContain('registry.invalid/no-such-image:1');
        expect(text).toMatch(/container "main"/);
      });

      it("says in the cluster's words why the job is refused", async () => {
        const { user, k8s } = await setUp();
        const source = formatPipeline(target, k8s, '- main: echo').replace(
          'volumes: [{name: c3, emptyDir: {}}]',
          'volumes: [{name: other, emptyDir: {}}]',
        );
        await expectNoPod(async () => {
          const { status, text } = await push(user, { 'c3.yaml': source });
          expect(status).toMatchObject({
            state: 'error',
            description: expect.stringMatching(/^infrastructure error .*The cluster refused Pod shop-/),
          });
          expect(text).toMatch(/volumeMounts\[0\]\.name.*Not found.*"c3"/);
        });
      });

      it('shows at once what keeps a Pod from being scheduled, and is cancelled by a second signal', async () => {
        const c3 = await startC3(world.settings);
        const { user, k8s } = await setUp({ c3 });
        const source = formatPipeline(target, k8s, '- main: echo').replace(
          'restartPolicy: Never',
          'restartPolicy: Never\n    nodeSelector: {no-such: label}',
        );
        const { sha } = await user.push({ 'c3.yaml': source }, 'unschedulable');
        const message = await world.telegram.waitFor((one) => {
          const text = one.versions.at(-1)?.text ?? '';
          return text.includes(sha.slice(0, 7)) && text.includes('nodes are available');
        }, AbortSignal.timeout(15_000));
        expect(message.versions.at(-1)?.text).toMatch(/^⏳ Preparing/);
        c3.kill('SIGTERM');
        await expect.poll(() => c3.log.some((line) => line.includes('shutting down')), { timeout: 10_000 }).toBe(true);
        c3.kill('SIGTERM');
        expect(await c3.exited).toBe(0);
        expect(await user.waitForEnd(sha)).toMatchObject({
          state: 'error',
          description: expect.stringMatching(/^cancelled/),
        });
      });

      it('opens nothing for a token that may not push', async () => {
        const token = 'github_pat_of_somebody_who_only_reads';
        world.forge.setUser({ login: 'bob', token, permissions: { '*': 'read' } });
        const { user, k8s } = await setUp({ token });
        await expectNoPod(async () => {
          const { sha } = await user.push({ 'c3.yaml': formatPipeline(target, k8s, '- main: echo') }, 'by a reader');
          const { text } = await user.waitForMessage(sha);
          expect(text).toMatch(/^⛔ Refused/);
          expect(text).toMatch(/may not push/);
          expect(world.forge.statuses.filter((one) => one.sha === sha)).toEqual([]);
        });
      });

      it('opens nothing for a commit that is not on the ref, though the forge serves it', async () => {
        const { user, k8s, url, secret, repository } = await setUp();
        const body = await recordDelivery(user);
        // As on GitHub, a fork's commits can be read through its parent by anyone who knows their sha.
        const fork = await world.forge.createFork(repository, 'mallory');
        const stray = await user.tree.commit(
          { 'c3.yaml': formatPipeline(target, k8s, '- main: echo stray') },
          'never pushed to main',
        );
        await user.tree.git(
          'push',
          '--quiet',
          `${world.forge.origin}/${fork.fullName}.git`,
          `${stray}:refs/heads/main`,
        );
        const payload = JSON.parse(body) as { after: string; head_commit: { id: string } };
        payload.after = stray;
        payload.head_commit.id = stray;
        const { status } = await deliver(url, secret, JSON.stringify(payload));
        expect(status).toBe(202);
        const message = await world.telegram.waitFor(
          (one) =>
            one.versions.at(-1)?.text.startsWith('⛔ Refused') === true &&
            one.versions.at(-1)?.text.includes(stray.slice(0, 7)) === true,
          AbortSignal.timeout(30_000),
        );
        expect(message.versions.at(-1)?.text).toContain('is not reachable from refs/heads/main');
        expect(world.forge.statuses.filter(({ sha, state }) => sha === stray && state === 'pending')).toEqual([]);
      });

      it('finishes the build when Telegram refuses', async () => {
        const c3 = await startC3({ ...world.settings, C3_TELEGRAM_CHAT: '-100999' });
        try {
          const { user, k8s } = await setUp({ c3 });
          const { sha } = await user.push({ 'c3.yaml': formatPipeline(target, k8s, '- main: echo') }, 'unheard');
          expect(await user.waitForEnd(sha)).toMatchObject({ state: 'success' });
          await expect
            .poll(() => c3.log.join('\n'), { timeout: 10_000 })
            .toMatch(/Gave up reporting to Telegram: .*chat not found/i);
          expect(c3.log.join('\n')).not.toContain(world.bot);
        } finally {
          await c3.stop();
        }
      });
    });
  });
}
