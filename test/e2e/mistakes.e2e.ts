import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { startC3 } from '../../dev/demo/c3-process.ts';
import type { ForgeKind } from '../../dev/forge/index.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline, type Target } from './target.ts';
import { deadline } from '../time-limits.ts';

/** Tests one mistake at a time, with its message, on any cluster. No build hangs, and no forbidden step runs. */
export function describeMistakes(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`with one mistake, a repository on ${kind} and builds on ${name}, c3`, () => {
    const fixture = useFixture(getTarget, { kind });

    it('refuses a payload of a repository other than that of the key', async () => {
      const [mine, other] = [await fixture.setUp(), await fixture.setUp()];
      const { body } = await fixture.recordDelivery(other.user);
      await fixture.expectNoPod(async () => {
        const { status, text } = await fixture.deliver(mine.url, mine.secret, body);
        expect(status).toBe(403);
        expect(text).toBe(
          `The hook key is of ${mine.user.scope}, but the event is of ${other.user.scope}\nmake a key for this repository with c3 encrypt --for hook`,
        );
      });
    });

    it('refuses a key that was sealed for another repository', async () => {
      const [mine, other] = [await fixture.setUp(), await fixture.setUp()];
      const url = new URL(mine.url);
      url.searchParams.set('key', new URL(other.url).searchParams.get('key') ?? '');
      await fixture.expectNoPod(async () => {
        const { status, text } = await fixture.deliver(url.href, mine.secret, '{}');
        expect(status).toBe(401);
        expect(text).toMatch(/^The key in the hook URL does not open for/);
      });
    });

    it('refuses a delivery whose signature is missing or wrong', async () => {
      const { url, user } = await fixture.setUp();
      const { body } = await fixture.recordDelivery(user);
      await fixture.expectNoPod(async () => {
        expect(await fixture.deliver(url, 'not the secret', body)).toMatchObject({
          status: 401,
          text: expect.stringMatching(/signature/i),
        });
        expect(await fixture.deliver(url, undefined, body)).toMatchObject({
          status: 401,
          text: expect.stringMatching(/signature/i),
        });
      });
    });

    it('reports a missing c3.yaml', async () => {
      const { user } = await fixture.setUp();
      await fixture.expectNoPod(async () => {
        const { sha, status, text } = await fixture.push(user, { file: 'one' });
        expect(status).toMatchObject({
          state: fixture.faultState,
          description: expect.stringContaining(`config error: There is no c3.yaml at ${sha.slice(0, 7)} (main, build`),
        });
        expect(text).toMatch(/^🛠 Config error/);
      });
    });

    it('reports the position of a YAML error, without the content of the file', async () => {
      const { user, k8s } = await fixture.setUp();
      await fixture.expectNoPod(async () => {
        const source = formatPipeline(fixture.target, k8s, '- main: [echo');
        const { status, text } = await fixture.push(user, { 'c3.yaml': source });
        expect(status).toMatchObject({
          state: fixture.faultState,
          description: expect.stringMatching(/^config error: c3\.yaml:\d+:\d+ error: /),
        });
        expect(text).toMatch(/c3\.yaml:\d+:\d+ error: the \[ is not closed/);
        expect(text).not.toContain('- main');
        expect(text).not.toContain(k8s);
      });
    });

    it('suggests the container for a misspelt one', async () => {
      const { user, k8s } = await fixture.setUp();
      await fixture.expectNoPod(async () => {
        const { status, text } = await fixture.push(user, {
          'c3.yaml': formatPipeline(fixture.target, k8s, '- mian: echo'),
        });
        expect(status).toMatchObject({
          state: fixture.faultState,
          description: expect.stringMatching(/c3\.yaml:\d+:3 error: .*"mian"/),
        });
        expect(text).toContain('did you mean "main"?');
      });
    });

    it('refuses a kubeconfig with the name of its forbidden field', async () => {
      const { user } = await fixture.setUp();
      const document = parseDocument(fixture.target.kubeconfig);
      document.setIn(['clusters', 0, 'cluster', 'proxy-url'], 'http://127.0.0.1:1');
      const k8s = await user.seal('k8s', document.toString());
      await fixture.expectNoPod(async () => {
        const { status } = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo') });
        expect(status).toMatchObject({ state: fixture.faultState, description: expect.stringMatching(/proxy-url/) });
      });
    });

    it('refuses a k8s value that was copied from another repository', async () => {
      const [mine, other] = [await fixture.setUp(), await fixture.setUp()];
      await fixture.expectNoPod(async () => {
        const { status } = await fixture.push(mine.user, {
          'c3.yaml': formatPipeline(fixture.target, other.k8s, '- main: echo'),
        });
        expect(status).toMatchObject({
          state: fixture.faultState,
          description: expect.stringMatching(/^config error: c3\.yaml: k8s: /),
        });
      });
    });

    it('reports a cluster that it cannot reach', async () => {
      const { user } = await fixture.setUp();
      const k8s = await user.seal(
        'k8s',
        fixture.target.kubeconfig.replace(/https:\/\/[^\s"'}]+/, 'https://127.0.0.1:1'),
      );
      const { status, text } = await fixture.push(user, {
        'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo'),
      });
      expect(status).toMatchObject({
        state: fixture.faultState,
        description: expect.stringMatching(/^infrastructure error before its first step: .*127\.0\.0\.1:1/),
      });
      expect(text).toMatch(/^💥 Infrastructure error/);
    });

    it("reports the cluster's reason when an image cannot be pulled", async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(
        { ...fixture.target, images: { ...fixture.target.images, main: 'registry.invalid/no-such-image:1' } },
        k8s,
        '- main: echo',
      );
      const { status, text } = await fixture.push(user, { 'c3.yaml': source });
      expect(status).toMatchObject({
        state: fixture.faultState,
        description: expect.stringMatching(/^infrastructure error/),
      });
      expect(text).toContain('registry.invalid/no-such-image:1');
      expect(text).toMatch(/container "main"/);
    });

    it("reports the cluster's reason when the job is refused", async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(fixture.target, k8s, '- main: echo').replace(
        'restartPolicy: Never',
        'restartPolicy: Sometimes',
      );
      await fixture.expectNoPod(async () => {
        const { status, text } = await fixture.push(user, { 'c3.yaml': source });
        expect(status).toMatchObject({
          state: fixture.faultState,
          description: expect.stringMatching(/^infrastructure error .*The cluster refused Pod shop-/),
        });
        expect(text).toMatch(/spec\.restartPolicy.*Unsupported value.*"Sometimes"/);
      });
    });

    it('reports at once why a Pod is not scheduled, and cancels the build at a second signal', async () => {
      const c3 = await startC3(fixture.world.settings);
      const { user, k8s } = await fixture.setUp({ c3 });
      const source = formatPipeline(fixture.target, k8s, '- main: echo').replace(
        'restartPolicy: Never',
        'restartPolicy: Never\n    nodeSelector: {no-such: label}',
      );
      const { sha } = await user.push({ 'c3.yaml': source }, 'unschedulable');
      const message = await fixture.world.telegram.waitFor((one) => {
        const text = one.versions.at(-1)?.text ?? '';
        return text.includes(sha.slice(0, 7)) && text.includes('nodes are available');
      }, deadline());
      expect(message.versions.at(-1)?.text).toMatch(/^⏳ Preparing/);
      c3.kill('SIGTERM');
      await expect.poll(() => c3.log.some((line) => line.includes('shutting down'))).toBe(true);
      c3.kill('SIGTERM');
      expect(await c3.exited).toBe(0);
      expect(await user.waitForEnd(sha)).toMatchObject({
        state: 'error',
        description: expect.stringMatching(/^cancelled/),
      });
    });

    it('says at once that Telegram does not answer, and ends at a second signal', async () => {
      const c3 = await startC3({ ...fixture.world.settings, C3_TELEGRAM_API: 'http://127.0.0.1:9' });
      const { user } = await fixture.setUp({ c3 });
      const { sha } = await user.push({ 'c3.yaml': 'wrong: true\n' }, 'wrong');
      expect(await user.waitForEnd(sha)).toMatchObject({ state: fixture.faultState });
      const said = (text: string): boolean => c3.log.some((line) => line.includes(text));
      await expect.poll(() => said('Telegram does not have the end of the build yet')).toBe(true);
      c3.kill('SIGTERM');
      await expect.poll(() => said('its reports are not delivered yet')).toBe(true);
      c3.kill('SIGTERM');
      expect(await c3.exited).toBe(0);
      expect(said('gave up the reports of the build')).toBe(true);
    });

    it('opens nothing for a token that may not push', async () => {
      const token = 'github_pat_of_somebody_who_only_reads';
      fixture.world.forge.setUser({ login: 'bob', token, permissions: { '*': 'read' } });
      const { user, k8s } = await fixture.setUp({ token });
      await fixture.expectNoPod(async () => {
        const { sha } = await user.push(
          { 'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo') },
          'by a reader',
        );
        const { text } = await user.waitForMessage(sha);
        expect(text).toMatch(/^⛔ Refused/);
        expect(text).toMatch(/may not push/);
        expect(fixture.world.forge.statuses.filter((one) => one.sha === sha)).toEqual([]);
      });
    });

    it('opens nothing for a commit that is not on the ref, even if the forge serves it', async () => {
      const { user, k8s, url, secret, repository } = await fixture.setUp();
      const { sha, body } = await fixture.recordDelivery(user);
      // As on GitHub, the parent serves a fork's commits by sha.
      const fork = await fixture.world.forge.createFork(repository, 'mallory');
      const stray = await user.tree.commit(
        { 'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo stray') },
        'never pushed to main',
      );
      await user.tree.git(
        'push',
        '--quiet',
        `${fixture.world.forge.origin}/${fork.fullName}.git`,
        `${stray}:refs/heads/main`,
      );
      const { status } = await fixture.deliver(url, secret, body.replaceAll(sha, stray));
      expect(status).toBe(202);
      const message = await fixture.world.telegram.waitFor(
        (one) =>
          one.versions.at(-1)?.text.startsWith('⛔ Refused') === true &&
          one.versions.at(-1)?.text.includes(stray.slice(0, 7)) === true,
        deadline(),
      );
      expect(message.versions.at(-1)?.text).toContain('… has moved on to ');
      expect(fixture.world.forge.statuses.filter(({ sha, state }) => sha === stray && state === 'pending')).toEqual([]);
    });

    it('finishes the build when Telegram refuses', async () => {
      const c3 = await startC3({ ...fixture.world.settings, C3_TELEGRAM_CHAT: '-100999' });
      try {
        const { user, k8s } = await fixture.setUp({ c3 });
        const { sha } = await user.push({ 'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo') }, 'unheard');
        expect(await user.waitForEnd(sha)).toMatchObject({ state: 'success' });
        await expect.poll(() => c3.log.join('\n')).toMatch(/Gave up reporting to Telegram: .*chat not found/i);
        expect(c3.log.join('\n')).not.toContain(fixture.world.bot);
      } finally {
        await c3.stop();
      }
    });
  });
}
