import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { setUp, someShells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import { WAIT_MS } from '../../test/time-limits.ts';

const UNPROVEN = {
  kind: 'lost',
  message: 'its exit file says that it passed, but its supervisor did not write that',
};

function toFile({ root, buildId }: LocalSteps, name: string): string {
  return join(root, buildId, name);
}

describe.each(someShells)('under %s', (shell) => {
  it('a step that has passed writes its proof into its exit file, and a failed step writes none', async () => {
    const steps = setUp(shell);
    expect(await steps.run(':')).toEqual({ kind: 'exited', exitCode: 0 });
    expect(readFileSync(toFile(steps, 's1.exit'), 'utf8').trim()).toBe('0 exited end proof-s1');
    expect(await steps.run('exit 3', { stepId: 's2' })).toEqual({ kind: 'exited', exitCode: 3 });
    expect(readFileSync(toFile(steps, 's2.exit'), 'utf8').trim()).toBe('3 exited end');
  });

  it('a step that has passed has passed for a c3 that resumes the build', async () => {
    const steps = setUp(shell);
    await steps.run('echo once');
    expect(await steps.run('echo twice', { agent: steps.openAgent() })).toEqual({ kind: 'exited', exitCode: 0 });
    expect(steps.text()).toBe('once\nonce\n');
  });

  it.each(['0 exited end', '0 exited end proof-s0', '0 exited end proof-s1x'])(
    'no step passes by an exit file in which somebody else has written "%s"',
    async (line) => {
      const steps = setUp(shell);
      await steps.run(':', { stepId: 's0' });
      const go = join(steps.workspace.directory, 'go');
      // It ends by itself as well: the directory may be gone before it looks.
      const wait = `i=0; until [ -e ${go} ] || [ $i -gt 400 ]; do i=$((i + 1)); sleep 0.05; done`;
      const result = steps.run(`${wait}; exit 3`);
      // Somebody waits for the exit file by then.
      const files = (): string[] => readdirSync(toFile(steps, ''));
      await vi.waitUntil(() => files().some((name) => /^s1\..*\.report$/.test(name)), {
        timeout: WAIT_MS,
        interval: 5,
      });
      // At once, so that nobody reads half of it.
      writeFileSync(toFile(steps, 's1.new'), `${line}\n`);
      renameSync(toFile(steps, 's1.new'), toFile(steps, 's1.exit'));
      expect(await result).toEqual(UNPROVEN);
      writeFileSync(go, '');
    },
  );

  it('no step passes that somebody else has claimed and ended before it began', async () => {
    const steps = setUp(shell);
    const ran = join(steps.workspace.directory, 'ran');
    mkdirSync(join(steps.root, steps.buildId), { recursive: true });
    for (const [name, text] of [
      ['s1.claim', '1 1\n'],
      ['s1.log', 'all is well\n'],
      ['s1.exit', '0 exited end\n'],
    ] as const) {
      writeFileSync(toFile(steps, name), text);
    }
    expect(await steps.run(`touch ${ran}`)).toEqual(UNPROVEN);
    expect(existsSync(ran)).toBe(false);
  });

  it('the proof of a step is in no variable, argument or file that the step could see', async () => {
    const steps = setUp(shell);
    const look =
      'cat /proc/$$/cmdline /proc/$PPID/cmdline /proc/$PPID/environ /proc/$$/environ; set; cat "$ROOT"/*/s1.[!l]*';
    await steps.run(look, { env: { ROOT: steps.root } });
    expect(steps.text()).toContain('C3_BUILD_ID');
    expect(steps.text()).not.toContain('proof-s1');
  });
});
