import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isRunning, setUp, someShells, type LocalSteps } from '../../test/fakes/local-steps.ts';
import { WAIT_MS } from '../../test/time-limits.ts';

/**
 * One that ends at TERM and one that ignores it, in the background; one of each below another shell; and what the
 * step itself waits for.
 */
function toTree(directory: string): string {
  const member = (name: string, before = ''): string =>
    `sh -c '${before}echo $$ > ${directory}/${name}.new; mv ${directory}/${name}.new ${directory}/${name}; while :; do sleep 0.1; done'`;
  const deaf = 'trap "" TERM; ';
  return [
    `${member('ends')} &`,
    `${member('deaf', deaf)} &`,
    `(${member('below')} & ${member('deaf-below', deaf)} & wait) &`,
    `echo on; ${member('own')}`,
  ].join('\n');
}

const MEMBERS = ['ends', 'deaf', 'below', 'deaf-below', 'own'];

async function readTree({ workspace }: LocalSteps): Promise<number[]> {
  const files = MEMBERS.map((name) => join(workspace.directory, name));
  await vi.waitUntil(() => files.every((file) => existsSync(file)), { timeout: WAIT_MS });
  return files.map((file) => Number(readFileSync(file, 'utf8')));
}

/** Busybox has a setsid of its own. */
const others = someShells.filter((shell) => shell !== 'busybox');

describe.each(others)('under %s in an image without setsid', (shell) => {
  function start(timeoutMs = 60_000) {
    const steps = setUp(shell, { without: ['setsid'] });
    return { steps, result: steps.run(`set +e\n${toTree(steps.workspace.directory)}`, { timeoutMs }) };
  }

  it('a step runs', async () => {
    const steps = setUp(shell, { without: ['setsid'] });
    expect(await steps.run('command -v setsid || exit 3')).toEqual({ kind: 'exited', exitCode: 3 });
    expect(steps.text()).toBe('');
  });

  it('a cancel ends a step with all that it started', async () => {
    const { steps, result } = start();
    const tree = await readTree(steps);
    steps.controller.abort();
    expect(await result).toEqual({ kind: 'cancelled' });
    await vi.waitUntil(() => !tree.some(isRunning), { timeout: WAIT_MS });
  });

  it('a time limit ends a step with all that it started', async () => {
    const { steps, result } = start(3000);
    const tree = await readTree(steps);
    expect(await result).toEqual({ kind: 'timed-out' });
    await vi.waitUntil(() => !tree.some(isRunning), { timeout: WAIT_MS });
  });

  it('a sweep ends what a step left running', async () => {
    const steps = setUp(shell, { without: ['setsid'] });
    const script = `set +e\n${toTree(steps.workspace.directory)} &\nuntil [ -e ${steps.workspace.directory}/own ]; do sleep 0.05; done`;
    expect(await steps.run(script)).toEqual({ kind: 'exited', exitCode: 0 });
    const tree = await readTree(steps);
    expect(tree.every(isRunning)).toBe(true);
    expect(await steps.sweep()).toBe(true);
    expect(tree.some(isRunning)).toBe(false);
  });

  it('the arrival of the next build ends the step of a c3 that died', async () => {
    const { steps } = start();
    const tree = await readTree(steps);
    steps.workspace.cut();
    expect(await steps.openAgent({ buildId: 'b2', epoch: 2 }).ready()).toMatchObject({ kind: 'answered' });
    expect(tree.some(isRunning)).toBe(false);
  });
});

describe.each(someShells)('under %s', (shell) => {
  // The test's busybox has its programs as files, and its shell may still find them in itself.
  const programs = ['dd', 'ls', 'mkdir', 'sleep', 'chmod', 'rm'].filter(() => shell !== 'busybox');

  it.each(programs)('an image without %s is refused by the name of the program', async (program) => {
    const steps = setUp(shell, { without: [program] });
    expect(await steps.run('echo never')).toMatchObject({
      kind: 'lost',
      message: expect.stringContaining(`the container has no program "${program}", which c3 needs`) as string,
    });
    expect(steps.text()).toBe('');
  });
});
