import { describe, expect, it } from 'vitest';
import type { ForgeKind } from '../../dev/forge/index.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline, type Target } from './target.ts';
import { deadline } from '../time-limits.ts';

/** Tests the conditions and the order of steps in c3.yaml, on any cluster. */
export function describeLanguage(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`a c3.yaml on ${kind} whose builds run on ${name}`, () => {
    const fixture = useFixture(getTarget, { kind });
    const format = (k8s: string, steps: string, extra = ''): string =>
      formatPipeline(fixture.target, k8s, steps, extra);

    it('runs parallel, retried and final steps, and passes with allowed failures', async () => {
      const { user, k8s } = await fixture.setUp();
      const meet = (mine: string, other: string): string =>
        `touch ${mine}; i=0; until [ -e ${other} ]; do i=$((i + 1)); [ $i -lt 300 ]; sleep 0.1; done`;
      const steps = `- main: exit 5
  name: audit
  allow_failure: true
- parallel:
  - main: ${meet('a', 'b')}
    name: one
  - git: ${meet('b', 'a')}
    name: other
- main: test -e tried || { touch tried; exit 3; }
  name: flaky
  retry: 2
- main: echo never
  name: release
  when: {event: tag}
finally:
- main: touch /c3/cleaned
  name: clean up`;
      const { status, text } = await fixture.push(user, { 'c3.yaml': format(k8s, steps) });
      expect(status).toMatchObject({
        state: 'success',
        description: expect.stringMatching(/^passed in \S+, with allowed failures: audit \(main, build /),
      });
      expect(text).toMatch(/^⚠️ Passed with allowed failures/);
      expect(text).toMatch(
        /⚠️ audit · .* · exit code 5, allowed\n✅ ∥ one · .*\n✅ ∥ other · .*\n✅ flaky · attempt 2 · /,
      );
      expect(text).toMatch(/⏭ release · skipped: .*when\.event\n✅ clean up/);
    });

    it('is skipped without a report for other refs or paths', async () => {
      const { user, k8s } = await fixture.setUp();
      const source = format(k8s, '- main: echo', "when: {branch: main, path: ['src/**', c3.yaml]}\n");
      await fixture.push(user, { 'c3.yaml': source });
      await fixture.expectNoPod(async () => {
        const branch = await user.push({ file: 'x' }, 'elsewhere', 'refs/heads/dev');
        const docs = await user.push({ 'docs/a': 'x' }, 'only the docs');
        expect(await user.waitForEnd(docs.sha)).toMatchObject({
          state: 'success',
          description: expect.stringContaining('skipped: nothing to do for these paths (main, build'),
        });
        expect(fixture.world.forge.statuses.filter(({ sha }) => sha === branch.sha)).toEqual([]);
        const messages = fixture.world.telegram.messages().map((message) => message.versions.at(-1)?.text ?? '');
        expect(messages.filter((text) => text.includes(branch.sha.slice(0, 7)))).toEqual([]);
        expect(messages.filter((text) => text.includes(docs.sha.slice(0, 7)))).toEqual([]);
      });
      expect(await fixture.push(user, { 'src/a': 'x' })).toMatchObject({ status: { state: 'success' } });
    });

    it('is not read for a commit with [skip ci]', async () => {
      const { user, k8s } = await fixture.setUp();
      const { sha } = await user.push({ 'c3.yaml': format(k8s, '- main: echo') }, 'Draft\n\n[skip ci]');
      expect(await user.waitForAnswer(sha)).toEqual({
        status: 200,
        body: "ignored: the commit's message says [skip ci]",
      });
    });

    it('cancels an older build of the branch for a newer push', async () => {
      const { user, k8s } = await fixture.setUp();
      const extra = 'concurrency: {cancel_previous: true}\n';
      const steps = `- main: touch /c3/up; sleep 600
finally:
- main: echo tidy
  name: tidy`;
      const older = await user.push({ 'c3.yaml': format(k8s, steps, extra) }, 'older');
      await fixture.world.telegram.waitFor((message) => {
        const text = message.versions.at(-1)?.text ?? '';
        return text.includes(older.sha.slice(0, 7)) && text.includes('🔄 main');
      }, deadline());
      const newer = await fixture.push(user, { 'c3.yaml': format(k8s, '- main: echo', extra) });
      expect(newer.status).toMatchObject({ state: 'success' });
      expect(await user.waitForEnd(older.sha)).toMatchObject({
        state: 'error',
        description: expect.stringMatching(
          new RegExp(`^superseded after .*: The build was superseded by ${newer.sha.slice(0, 7)} during step "main"`),
        ),
      });
      const { text } = await user.waitForMessage(older.sha);
      expect(text).toMatch(/^⏭ Superseded/);
      expect(text).toContain('✅ tidy');
    });

    it('is built once for a repeated delivery, during the build and after it', async () => {
      const { user, k8s, url, secret } = await fixture.setUp();
      const { sha, answer } = await fixture.push(user, { 'c3.yaml': format(k8s, '- main: echo') });
      const [, id] = answer.body.split(' ');
      const says = (words: string): boolean =>
        fixture.world.c3.log.some((line) => line.includes(`"build":"${id}"`) && line.includes(words));
      // The build counts as running until its last report has arrived.
      await expect.poll(() => says('build reported')).toBe(true);
      const { forge, telegram } = fixture.world;
      const count = (): number[] => [
        forge.statuses.filter((status) => status.sha === sha).length,
        telegram.messages().filter(({ versions }) => versions.at(-1)?.text.includes(sha.slice(0, 7))).length,
      ];
      const before = count();
      const again = await fixture.deliver(url, secret, fixture.findPush(sha)?.request.body ?? '');
      expect(again).toMatchObject({ status: 200, text: expect.stringContaining('has ended already') });
      expect(count()).toEqual(before);
    });
  });
}
