import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ForgeKind } from '../../dev/forge/index.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline, type Target } from './target.ts';
import { deadline } from '../time-limits.ts';

/** Tests pushes from the webhook to the end of the build, on any cluster. */
export function describeBuilds(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`a push to a repository on ${kind} whose builds run on ${name}`, () => {
    const fixture = useFixture(getTarget, { kind });

    it('passes, sets pending and then success, and runs every step at the pushed revision', async () => {
      const { user, k8s } = await fixture.setUp();
      const steps =
        '- git: git log --oneline | cat\n- main: cat file && test "$(cat file)" = one && test "$PWD" = /c3/project';
      const { sha, answer, status, text } = await fixture.push(user, {
        'c3.yaml': formatPipeline(fixture.target, k8s, steps),
        file: 'one',
      });
      expect(answer).toEqual({ status: 202, body: expect.stringMatching(/^build [0-9a-f]{12}$/) });
      expect(status).toMatchObject({ state: 'success', description: expect.stringMatching(/^passed in /) });
      expect(status.description).toMatch(new RegExp(` \\(main, ${answer.body}\\)$`));
      expect(fixture.world.forge.statuses.filter((one) => one.sha === sha).map(({ state }) => state)).toEqual([
        'pending',
        'success',
      ]);
      expect(text).toMatch(new RegExp(`^✅ Passed · ${user.fullName} · main · [0-9a-f]{7}\n`));
      expect(text).toMatch(/✅ checkout.*\n✅ git.*\n✅ main/);
      expect(text).toContain('cold');
    });

    it('reuses the Pod at the second push, with a clean work tree at the new revision', async () => {
      const { user, k8s } = await fixture.setUp();
      const steps =
        '- main: test ! -e left-over && touch left-over && test "$(cat file)" = "$(git log -1 --format=%s 2> /dev/null || cat file)"';
      await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps), file: 'one' });
      const before = await fixture.pods.names();
      const second = await fixture.push(user, {
        'c3.yaml': formatPipeline(fixture.target, k8s, '- main: test ! -e left-over && grep two file'),
        file: 'two',
      });
      expect(second.status).toMatchObject({ state: 'success' });
      expect(second.text).toContain('warm');
      expect(await fixture.pods.names()).toEqual(before);
    });

    it('brings a small commit into a warm Pod without the Pod fetching, and a large one with it', async () => {
      const { user, k8s } = await fixture.setUp();
      const pipeline = (text: string): string =>
        formatPipeline(
          fixture.target,
          k8s,
          `- git: test "$(git log -1 --format=%H)" = "$C3_SHA" && git fsck\n- main: grep -q ${text} file`,
        );
      await fixture.push(user, { 'c3.yaml': pipeline('one'), file: 'one' });
      // git in the Pod begins with this request.
      const end = fixture.world.forge.faults.add({
        match: /info\/refs\?service=git-upload-pack/,
        kind: 'status',
        status: 403,
      });
      try {
        const small = await fixture.push(user, { 'c3.yaml': pipeline('two'), file: 'two' });
        expect(small.status).toMatchObject({ state: 'success' });
        expect(small.text).toContain('warm');
      } finally {
        end();
      }
      const large = randomBytes(600_000).toString('hex');
      const { status } = await fixture.push(user, { 'c3.yaml': pipeline('three'), file: 'three', large });
      expect(status).toMatchObject({ state: 'success' });
    });

    it('clones again in a warm Pod whose clone a step has removed', async () => {
      const { user, k8s } = await fixture.setUp();
      const pipeline = (steps: string): string => formatPipeline(fixture.target, k8s, steps);
      await fixture.push(user, { 'c3.yaml': pipeline('- git: rm -rf "${TMPDIR:-/tmp}"/.c3-*'), file: 'one' });
      const second = await fixture.push(user, { 'c3.yaml': pipeline('- main: grep -q two file'), file: 'two' });
      expect(second.status).toMatchObject({ state: 'success' });
      expect(second.text).toContain('warm');
    });

    it.each(['ROOT/FULL.git', 'git@HOST:FULL.git'])(
      'lets a step fetch the submodule %s, cold and warm',
      async (form) => {
        const { user, k8s } = await fixture.setUp();
        const library = await fixture.setUp();
        const { sha } = await library.user.push({ code: 'from the library' }, 'library');
        const root = user.fullName.replaceAll(/[^/]+/g, '..');
        const names = { FULL: library.user.fullName, HOST: new URL(user.cloneUrl).host, ROOT: root };
        const url = Object.entries(names).reduce((text, [key, value]) => text.replace(key, value), form);
        await mkdir(join(user.tree.path, 'vendor', 'lib'), { recursive: true });
        await user.tree.git('update-index', '--add', '--cacheinfo', `160000,${sha},vendor/lib`);
        const steps = '- git: git submodule init && git submodule update\n- main: grep library vendor/lib/code';
        const source = formatPipeline(fixture.target, k8s, steps);
        const modules = `[submodule "lib"]\n\tpath = vendor/lib\n\turl = ${url}\n`;
        for (const file of ['one', 'two']) {
          const { status } = await fixture.push(user, { 'c3.yaml': source, '.gitmodules': modules, file });
          expect(status).toMatchObject({ state: 'success' });
        }
      },
    );

    it('builds a tag', async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(
        fixture.target,
        k8s,
        '- main: test "$C3_TAG" = v1.0 && test "$C3_EVENT" = tag\n- git: test "$(git describe --tags)" = v1.0',
      );
      expect(await fixture.push(user, { 'c3.yaml': source }, 'refs/tags/v1.0')).toMatchObject({
        status: { state: 'success' },
      });
    });

    // Gitea sends no push for it.
    it.skipIf(kind === 'gitea')('ignores the deletion of a branch, with the reason', async () => {
      const { user } = await fixture.setUp();
      await user.push({ file: 'one' }, 'first', 'refs/heads/old');
      await user.tree.git('push', '--quiet', user.cloneUrl, ':refs/heads/old');
      const answer = await fixture.world.forge.waitFor(() => {
        const delivery = fixture.world.forge.deliveries.find(
          ({ repository, request }) =>
            repository === user.fullName && request.body.includes(`"after":"${'0'.repeat(40)}"`),
        );
        return delivery?.answer;
      }, deadline());
      expect(answer).toMatchObject({ status: 200, body: expect.stringMatching(/^ignored: .*delete/) });
    });

    it('gives git steps access to the forge, and leaves no trace of the token', async () => {
      const { user, k8s } = await fixture.setUp();
      const library = await fixture.setUp();
      await library.user.push({ code: 'from the library' }, 'library');
      const steps = `- git: |
    git -c protocol.file.allow=never clone -q ${library.user.cloneUrl} library
    grep library library/code
- main: "! grep -rq 'Authorizatio[n]' /c3/project/.git /c3/.c3 && ! env | grep -q 'Authorizatio[n]'"`;
      const { status, text } = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps) });
      expect(text).toMatch(/^✅ Passed/);
      expect(text).not.toContain(fixture.world.owner.token);
      expect(status).toMatchObject({ state: 'success' });
    });

    it('builds both of two quick pushes to a branch', async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(fixture.target, k8s, '- git: test "$(git rev-parse HEAD)" = "$C3_SHA"');
      const first = await user.push({ 'c3.yaml': source }, 'first');
      const second = await user.push({ file: 'two' }, 'second');
      expect(await user.waitForEnd(first.sha)).toMatchObject({ state: 'success' });
      expect(await user.waitForEnd(second.sha)).toMatchObject({ state: 'success' });
    });

    it('fails with the step, its exit code and the end of its output, and skips later steps', async () => {
      const { user, k8s } = await fixture.setUp();
      const steps = '- main: echo about to break; exit 3\n  name: test\n- main: echo never\n  name: deploy';
      const { status, text } = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps) });
      expect(status).toMatchObject({
        state: 'failure',
        description: expect.stringMatching(/^failed at test after .*: exit code 3 \(main, build [0-9a-f]{12}\)$/),
      });
      expect(text).toMatch(/^❌ Failed/);
      expect(text).toContain('about to break');
      expect(text).toMatch(/deploy · skipped/);
    });

    it('masks secrets in its reports', async () => {
      const { user, k8s } = await fixture.setUp();
      const secret = await user.seal('secret:DEPLOY_KEY', 'correct horse battery');
      const source = formatPipeline(
        fixture.target,
        k8s,
        '- main: echo "<$DEPLOY_KEY>"; exit 1',
        `secrets: {DEPLOY_KEY: ${secret}}\n`,
      );
      const { text } = await fixture.push(user, { 'c3.yaml': source });
      expect(text).toContain('<***>');
      expect(text).not.toContain('horse');
    });
  });
}
