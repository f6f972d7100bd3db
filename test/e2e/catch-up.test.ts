import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startC3 } from '../../dev/demo/c3-process.ts';
import type { User } from '../../dev/demo/user.ts';
import type { Delivery } from '../../dev/forge/index.ts';
import { runCli } from '../../src/cli/commands.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { openSharedTarget } from '../fakes/shared-cluster.ts';
import { deadline } from '../time-limits.ts';
import { useFixture } from './fixture.ts';
import { formatPipeline } from './target.ts';

/** Cuts every connection to a port of a c3 that was stopped, so that no other program takes the port. */
async function holdPort(port: number): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  return () => new Promise((resolve) => void server.close(() => resolve()));
}

describe('after c3 was away, c3 catch-up', () => {
  const fixture = useFixture(openSharedTarget);

  async function catchUp(user: User, token: string): Promise<{ exitCode: number; out: string; err: string }> {
    const [out, err]: [string[], string[]] = [[], []];
    const terminal: Terminal = {
      env: { C3_FORGES: fixture.world.settings['C3_FORGES'] },
      isInputTerminal: false,
      readInput: () => Promise.resolve(token),
      readFile: () => '',
      writeFile: () => {},
      print: (text) => void out.push(text),
      tell: (text) => void err.push(text),
    };
    const exitCode = await runCli(['catch-up', '--repo', user.scope], terminal);
    return { exitCode, out: out.join('\n'), err: err.join('\n') };
  }

  function attemptsOf(user: User): readonly Delivery[] {
    return fixture.world.forge.deliveries.filter(
      ({ repository, event }) => repository === user.fullName && event === 'push',
    );
  }

  it('starts the builds of the missed pushes, and finds nothing more to do', async () => {
    const { settings, forge, owner } = fixture.world;
    const before = await startC3(settings);
    const { user, k8s } = await fixture.setUp({ c3: before });
    await before.stop();
    const { port } = new URL(before.url);
    const release = await holdPort(Number(port));
    const source = formatPipeline(fixture.target, k8s, '- git: test "$(git rev-parse HEAD)" = "$C3_SHA"');
    const first = await user.push({ 'c3.yaml': source }, 'first');
    const second = await user.push({ file: 'two' }, 'second');
    const isMissed = (): true | undefined =>
      attemptsOf(user).filter(({ answer }) => answer?.kind === 'failed').length === 2 || undefined;
    await forge.waitFor(isMissed, deadline());

    await release();
    const after = await startC3({ ...settings, C3_PORT: port });
    try {
      const { exitCode, out } = await catchUp(user, owner.token);
      expect(out.split('\n')).toEqual([
        expect.stringMatching(/ {2}push {2}[0-9a-f]{8} {2}sent again: no answer \(.+\)$/),
        expect.stringMatching(/ {2}push {2}[0-9a-f]{8} {2}sent again: no answer/),
        'c3 missed 2 events in the last 72 hours: 2 sent again',
      ]);
      expect(exitCode).toBe(0);
      for (const { sha } of [first, second]) expect(await user.waitForEnd(sha)).toMatchObject({ state: 'success' });

      const isSettled = (): true | undefined => attemptsOf(user).every(({ answer }) => answer) || undefined;
      await forge.waitFor(isSettled, deadline());
      expect(await catchUp(user, owner.token)).toMatchObject({
        exitCode: 0,
        out: 'c3 missed no event in the last 72 hours',
      });
      expect(attemptsOf(user).map(({ answer }) => answer)).toMatchObject([
        { kind: 'failed' },
        { kind: 'failed' },
        { kind: 'answered', status: 202 },
        { kind: 'answered', status: 202 },
      ]);
    } finally {
      await after.stop();
    }
  });

  it('says which right a token lacks', async () => {
    const { user } = await fixture.setUp();
    const token = 'github_pat_of_a_writer';
    fixture.world.forge.setUser({ login: 'wim', token, permissions: { '*': 'write' } });
    const { exitCode, out, err } = await catchUp(user, token);
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
    expect(err).toContain(`Cannot list the webhooks of ${user.scope}: the forge answers 403`);
    expect(err).toContain('needs the permission "Webhooks: read and write"');
    expect(err).not.toContain(token);
  });
});
