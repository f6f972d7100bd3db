import { describe, expect, it } from 'vitest';
import { newest, type StoredMessage } from '../../dev/telegram/world.ts';
import type { ForgeKind } from '../../dev/forge/index.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline, type Target } from './target.ts';
import { deadline } from '../time-limits.ts';

/** The Telegram options of c3.yaml, on any cluster. */
export function describeTelegram(kind: ForgeKind, name: string, getTarget: () => Promise<Target>): void {
  describe(`Telegram, ${kind} and ${name}`, () => {
    // A c3 of its own: with one that other files use, the log waits behind their messages and is given up after a minute.
    const fixture = useFixture(getTarget, { kind, settings: { C3_RATE_LIMIT_NEW: '3000' } });

    function waitFor(find: (message: StoredMessage) => boolean): Promise<StoredMessage> {
      return fixture.world.telegram.waitFor(find, deadline());
    }

    it('notifies of a failure, sends the masked log as a file, and reports when it is fixed', async () => {
      const { user, k8s } = await fixture.setUp();
      const { bot, chat } = fixture.world;
      const telegram = await user.seal('telegram', JSON.stringify({ token: bot, chat }));
      const secret = await user.seal('secret:KEY', 'correct horse battery');
      const extra = `telegram: {to: ${telegram}, log: true}\nsecrets: {KEY: ${secret}}\n`;
      // Long enough for its message to arrive before it ends.
      const steps = '- main: sleep 3; seq 1 2000; echo "the key is $KEY"; exit 3\n  name: unit tests';
      const broken = await fixture.push(user, { 'c3.yaml': formatPipeline(fixture.target, k8s, steps, extra) });
      expect(broken.text).toMatch(/^❌ Failed/);
      const message = await waitFor((one) => newest(one).text.includes(broken.sha.slice(0, 7)));

      const file = await waitFor((one) => one.document !== undefined && one.replyTo === message.messageId);
      const log = Buffer.from(file.document?.bytes ?? []).toString();
      expect(log).toBe(`${Array.from({ length: 2000 }, (_, line) => line + 1).join('\n')}\nthe key is ***\n`);
      expect(file.document?.fileName).toMatch(/^unit-tests-[0-9a-f]{12}\.log$/);
      const ring = await waitFor((one) => one.document === undefined && one.replyTo === message.messageId);
      expect(newest(ring).text).toMatch(
        new RegExp(`^❌ ${user.fullName.split('/').at(-1)} main: unit tests failed, exit code 3`),
      );
      expect([message.isSilent, file.isSilent, ring.isSilent]).toEqual([true, true, false]);

      const mended = await fixture.push(user, {
        'c3.yaml': formatPipeline(fixture.target, k8s, '- main: echo\n  name: unit tests', extra),
      });
      expect(mended.text).toMatch(/^✅ Fixed/);
      // A build that ends before its first message is sent notifies with its only message.
      await waitFor((one) => !one.isSilent && /fixed in|✅ Fixed/.test(newest(one).text));
    });

    it('is silent if c3.yaml configures it', async () => {
      const { user, k8s } = await fixture.setUp();
      const source = formatPipeline(fixture.target, k8s, '- main: exit 1', 'telegram: {notify: never}\n');
      const { sha, text, answer } = await fixture.push(user, { 'c3.yaml': source });
      expect(text).toMatch(/^❌ Failed/);
      const [, id] = answer.body.split(' ');
      const message = await waitFor((one) => newest(one).text.includes(sha.slice(0, 7)));
      // The build is reported when its reporter has sent everything.
      const isOver = (): boolean =>
        fixture.world.c3.log.some((line) => line.includes(`"build":"${id}"`) && line.includes('build reported'));
      await expect.poll(isOver).toBe(true);
      const others = fixture.world.telegram.messages().filter(({ replyTo }) => replyTo === message.messageId);
      expect([message.isSilent, others]).toEqual([true, []]);
    });
  });
}
