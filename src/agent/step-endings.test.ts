import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { setUp, shells } from '../../test/fakes/local-steps.ts';

/** A failing example of a property is found again by its seed. */
const RUNS = 12;

describe.each(shells)('under %s a step', (shell) => {
  it('ends with whatever exit code its script has', async () => {
    const step = setUp(shell);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 255 }), async (exitCode) => {
        runs += 1;
        expect(await step.run(`exit ${exitCode}`, { stepId: `x${runs}` })).toEqual({ kind: 'exited', exitCode });
      }),
      { numRuns: RUNS, examples: [[0], [1], [126], [127], [128], [255]] },
    );
  });

  it.each([
    ['kill -INT $$; exit 1', 130],
    ['kill -HUP $$; exit 1', 129],
    ['kill -SEGV $$; exit 1', 139],
    ['trap "exit 5" INT; kill -INT $$; sleep 5', 5],
    ['exec false', 1],
    ['set +e; false; exit 0', 0],
    ['(exit 3)', 3],
    ['false | true', 0],
    ['kill -9 0', 137],
    ['trap "" PIPE; exit 4', 4],
  ])('`%s` has the exit code that a shell gives it', async (script, exitCode) => {
    expect(await setUp(shell).run(script)).toEqual({ kind: 'exited', exitCode });
  });

  it('starts with no signal ignored', async () => {
    const step = setUp(shell);
    // An agent that waits for the step of another agent handles a signal.
    const started = step.seen('on');
    const other = step.run('echo on; sleep 0.2', { agent: step.openAgent(), stepId: 's0' });
    await started;
    await step.run('never run', { stepId: 's0', isRead: false });
    await other;
    await step.run('exec grep SigIgn /proc/self/status');
    expect(step.text()).toMatch(/^on\nSigIgn:\s0{16}\n$/);
  });

  it('inherits none of the descriptors of the agent', async () => {
    const step = setUp(shell);
    await step.run('for n in 3 4 5 6; do [ -e "/proc/self/fd/$n" ] && echo "$n"; done; true');
    expect(step.text()).toBe('');
  });

  it('has a variable of 120 KiB', async () => {
    const step = setUp(shell);
    await step.run('echo "${#BIG}"', { env: { BIG: 'x'.repeat(120 * 1024) } });
    expect(step.text()).toBe(`${120 * 1024}\n`);
  });

  it('keeps an endless line, carriage returns and characters in two halves as they are', async () => {
    const step = setUp(shell);
    await step.run(
      `printf '10%%\\r20%%\\r\\303'; sleep 0.1; printf '\\251\\n'; head -c 300000 /dev/zero | tr '\\000' x`,
    );
    expect(step.text()).toBe(`10%\r20%\r\u00C3\u00A9\n${'x'.repeat(300_000)}`);
  });

  it('that writes lines as fast as it can keeps all of them', async () => {
    const step = setUp(shell);
    expect(await step.run('seq 1 200000; exit 8')).toEqual({ kind: 'exited', exitCode: 8 });
    const lines = step.text().split('\n');
    expect(lines.length).toBe(200_001);
    expect(lines.every((line, index) => index === 200_000 || line === String(index + 1))).toBe(true);
  });

  it('that an agent claimed which died at once is lost, with the reason', async () => {
    const step = setUp(shell);
    await step.openAgent().ready();
    writeFileSync(join(step.root, step.buildId, 's1.claim'), '4194305 1\n');
    expect(await step.run('echo never')).toEqual({
      kind: 'lost',
      message: 'the agent that claimed it in the container is gone and left no result',
    });
  });

  it('that removes the files of c3 is lost, with the reason', async () => {
    const step = setUp(shell);
    const result = await step.run(`rm -rf "$ROOT"; ${'sleep 0.3; '.repeat(2)} exit 0`, { env: { ROOT: step.root } });
    expect(result).toEqual({ kind: 'lost', message: expect.stringMatching(/files .*were removed/) });
  });

  it('whose files were removed at once is lost, not run again', async () => {
    const step = setUp(shell);
    const ran = join(step.workspace.directory, 'ran');
    const result = await step.run(`echo run >> ${ran}; rm -rf "$ROOT"; exit 0`, { env: { ROOT: step.root } });
    expect(result).toEqual({ kind: 'lost', message: expect.stringMatching(/files .*were removed/) });
    expect(readFileSync(ran, 'utf8')).toBe('run\n');
  });

  it('leaves variables of c3 and of the image alone', async () => {
    const step = setUp(shell);
    const env = { step: 'theirs', root: 'theirs', mine: 'theirs', IFS: ':', code: 'theirs' };
    expect(await step.run('echo "$step $root $mine $code"; exit 2', { env })).toEqual({ kind: 'exited', exitCode: 2 });
    expect(step.text()).toBe('theirs theirs theirs theirs\n');
    expect(await step.run('exit 3', { stepId: 's2' })).toEqual({ kind: 'exited', exitCode: 3 });
  });

  it('that is cancelled before it was sent never runs', async () => {
    const step = setUp(shell);
    step.controller.abort();
    expect(await step.run('echo never')).toEqual({ kind: 'cancelled' });
    expect(step.text()).toBe('');
  });

  it('that has ended has the same end for an agent that comes later', async () => {
    const step = setUp(shell);
    const ran = join(step.workspace.directory, 'ran');
    const script = `echo run >> ${ran}; echo out; exit 9`;
    expect(await step.run(script)).toEqual({ kind: 'exited', exitCode: 9 });
    const agent = step.openAgent({ epoch: 2 });
    expect(await step.run(script, { agent })).toEqual({ kind: 'exited', exitCode: 9 });
    expect(step.text()).toBe('out\nout\n');
    expect(readFileSync(ran, 'utf8')).toBe('run\n');
  });
});
