import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isRunning, setUp, shells } from '../../test/fakes/local-steps.ts';
import { createPartReader } from './part-reader.ts';
import { formatArgv } from './shell.ts';

describe.each(shells)('a step under %s', (shell) => {
  it('ends with the exit code of its script and its whole output, in order', async () => {
    const step = setUp(shell);
    expect(await step.run('echo one; echo two >&2; echo three; exit 3')).toEqual({ kind: 'exited', exitCode: 3 });
    expect(step.text()).toBe('one\ntwo\nthree\n');
  });

  it('starts in the work directory, with its environment, whatever the values hold', async () => {
    const step = setUp(shell);
    const value = `it's "$HOME" \\ \`x\`\n  two lines\t`;
    await step.run('pwd; printf %s "$ODD"', { env: { ODD: value } });
    expect(step.text()).toBe(`${join(step.workspace.directory, 'project')}\n${value}`);
  });

  it('runs in directories whose names contain spaces', async () => {
    const step = setUp(shell, { rootName: ' c3  files ' });
    const workdir = join(step.workspace.directory, 'a  project ');
    expect(await step.run('echo "$PWD|"; sleep 0.3; exit 3', { workdir })).toEqual({ kind: 'exited', exitCode: 3 });
    expect(step.text()).toBe(`${workdir}|\n`);
    const reader = createPartReader({
      workspace: step.workspace,
      buildId: step.buildId,
      roots: [step.root, '/nowhere'],
    });
    const part = await reader.readPart({ container: 'main', stepId: 's1', offset: 0, base: 0 });
    expect(part.kind === 'part' && Buffer.from(part.bytes).toString()).toBe(`${workdir}|\n`);
    expect(await step.sweep()).toBe(true);
    reader.close();
    // A sweep removes the files of all builds except the newest ten.
    for (let build = 0; build < 12; build += 1) mkdirSync(join(step.root, `old-${build}`));
    for (let build = 0; build < 12; build += 1) writeFileSync(join(step.root, `old-${build}`, 'swept.main'), '');
    expect(await step.sweep(step.openAgent())).toBe(true);
    expect(readdirSync(step.root).filter((name) => /^(?:old-|b-)/.test(name) || name === step.buildId)).toHaveLength(
      10,
    );
  });

  it('runs nothing where its work directory cannot be: what is in the image would be tested, and pass', async () => {
    const step = setUp(shell);
    const file = join(step.workspace.directory, 'file');
    writeFileSync(file, '');
    for (const workdir of [file, `${file}/project`]) {
      const stepId = workdir === file ? 's1' : 's2';
      expect(await step.run('echo ran', { workdir, stepId })).toEqual({ kind: 'exited', exitCode: 126 });
      expect(step.text()).toContain(`c3: ${workdir} cannot be entered or made`);
    }
    expect(step.text()).not.toContain('ran');
    const elsewhere = { workdir: file, mayStartElsewhere: true, stepId: 's3' };
    expect(await step.run('echo ran', elsewhere)).toEqual({ kind: 'exited', exitCode: 0 });
    expect(step.text()).toMatch(/\nran\n$/);
  });

  it("has its container's variables as they are, whatever they are called", async () => {
    const program = ['processes', 'log', 'step', 'agent']
      .map((name) => readFileSync(new URL(`shell/${name}.sh`, import.meta.url), 'utf8'))
      .join('');
    const words = new Set(program.match(/\b[a-z][a-z0-9_]*/g));
    const variables = [...words].map((word) => `${word}=its ${word}`);
    const step = setUp(shell, { env: Object.fromEntries(variables.map((variable) => variable.split('='))) });
    await step.run('env');
    expect(step.text().split('\n')).toEqual(expect.arrayContaining(variables));
  });

  it('has its variables in no file, which a container beside it could read', async () => {
    const step = setUp(shell);
    const env = { ROOT: step.root, SECRET: 'hunter2hunter2' };
    await step.run('echo "${SECRET#hunter2}"; grep -rl "$SECRET" "$ROOT"', { env });
    expect(step.text()).toBe('hunter2\n');
  });

  it('has its script in no file, which a container beside it could change, in no argument and in no variable', async () => {
    const step = setUp(shell);
    const look = 'grep -rlE "a-word-of-the-scrip[t]" "$ROOT" || :\ncat /proc/$$/cmdline; set; env';
    await step.run(`: a-word-of-the-script\n${look}`, { env: { ROOT: step.root } });
    expect(step.text()).toContain('C3_BUILD_ID');
    expect(step.text()).not.toContain('a-word-of-the-script');
    expect(step.text()).not.toContain('C3_SCRIPT=');
  });

  it('names the line of an error, and has no arguments', async () => {
    const step = setUp(shell);
    await step.run('# one\necho "$0 $#"\n\nno-such-command-here');
    expect(step.text()).toMatch(/^sh 0\nsh: .*\b4: .*not found\n$/);
  });

  it('runs a script as long as a c3.yaml, of short lines or of one, to its last line', async () => {
    const step = setUp(shell);
    expect(await step.run(`${':\n'.repeat(32_000)}exit 3`)).toEqual({ kind: 'exited', exitCode: 3 });
    expect(await step.run(`: ${'x'.repeat(96_000)}\nexit 4`, { stepId: 's2' })).toEqual({
      kind: 'exited',
      exitCode: 4,
    });
    expect(step.text()).toBe('');
  });

  it('fails when its script is longer than Linux takes, and says so', async () => {
    const step = setUp(shell);
    expect(await step.run(`: ${'x'.repeat(140_000)}`)).toEqual({ kind: 'exited', exitCode: 126 });
    expect(step.text()).toContain('Argument list too long');
  });

  it('stops at the first command that fails', async () => {
    const step = setUp(shell);
    expect(await step.run('echo before\nfalse\necho after')).toEqual({ kind: 'exited', exitCode: 1 });
    expect(step.text()).toBe('before\n');
  });

  it.each([
    ['no-such-command-here', 127],
    ['kill -9 $$', 137],
    ['kill -TERM $$', 143],
    ['exit 255', 255],
    ['cat <<END > /dev/null\nhere\nEND\nexit 7', 7],
    ['exec sh -c "exit 9"', 9],
  ])('has the exit code of `%s`', async (script, exitCode) => {
    expect(await setUp(shell).run(script)).toEqual({ kind: 'exited', exitCode });
  });

  it('runs a list command without word splitting', async () => {
    const step = setUp(shell);
    await step.run(formatArgv(['printf', '%s|', 'a b', '$HOME', "it's"]));
    expect(step.text()).toBe("a b|$HOME|it's|");
  });

  it('fails a script with a syntax error', async () => {
    const result = await setUp(shell).run('if true; then echo (; fi');
    expect(result).toMatchObject({ kind: 'exited' });
    expect(result).not.toEqual({ kind: 'exited', exitCode: 0 });
  });

  it('carries binary output byte for byte', async () => {
    const step = setUp(shell);
    const bytes = randomBytes(200_000);
    const source = join(step.workspace.directory, 'source');
    writeFileSync(source, bytes);
    expect(await step.run(`cat ${source}; cat ${source}`)).toEqual({ kind: 'exited', exitCode: 0 });
    expect(Buffer.from(step.text(), 'latin1').equals(Buffer.concat([bytes, bytes]))).toBe(true);
  });

  it.each([0, 10, 5000])('runs once and keeps its log whole when connections are cut after %i bytes', async (bytes) => {
    const step = setUp(shell);
    step.workspace.plan.push({ kind: 'refuse', message: 'dialing backend: EOF' });
    for (let cut = 0; cut < 4; cut += 1) step.workspace.plan.push({ kind: 'cut-after', bytes: bytes + cut });
    const marker = join(step.workspace.directory, 'ran');
    const script = `echo run >> ${marker}\ni=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i + 1)); done; exit 4`;
    expect(await step.run(script)).toEqual({ kind: 'exited', exitCode: 4 });
    expect(readFileSync(marker, 'utf8')).toBe('run\n');
    expect(step.text()).toBe(Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join(''));
  });

  it('goes on while nobody is connected', async () => {
    const step = setUp(shell);
    const started = step.seen('started');
    const result = step.run('echo started; sleep 1; echo done');
    await started;
    step.workspace.cut();
    expect(await result).toEqual({ kind: 'exited', exitCode: 0 });
    expect(step.text()).toBe('started\ndone\n');
  });

  it('is ended at its time limit with all it started, TERM ignored or not', async () => {
    const step = setUp(shell);
    const result = await step.run('trap "" TERM; echo on; while :; do sleep 1; done', { timeoutMs: 1000 });
    expect(result).toEqual({ kind: 'timed-out' });
  });

  // The shell of busybox has a sleep of its own.
  it.skipIf(shell === 'busybox')(
    'is ended at its time limit where the pauses of its supervisor take too long',
    async () => {
      const step = setUp(shell);
      const naps = join(step.workspace.directory, 'naps');
      const sleep = join(step.workspace.directory, 'bin', 'sleep');
      rmSync(sleep, { force: true });
      const body = `[ "$1" = 1 ] || exec /usr/bin/sleep "$1"\necho nap >> '${naps}'\nexec /usr/bin/sleep 3`;
      writeFileSync(sleep, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
      const result = await step.run('while :; do /usr/bin/sleep 60; done', { timeoutMs: 5000 });
      expect(result).toEqual({ kind: 'timed-out' });
      // Those of the grace are such too. Counted they would be five.
      expect(readFileSync(naps, 'utf8').split('\n').length - 1).toBeLessThanOrEqual(3);
    },
  );

  it('is ended by a cancel', async () => {
    const step = setUp(shell);
    const started = step.seen('on');
    const result = step.run('echo on; sleep 100');
    await started;
    step.controller.abort();
    expect(await result).toEqual({ kind: 'cancelled' });
  });

  it('is lost, not passed, when its supervisor is killed', async () => {
    const step = setUp(shell);
    const result = step.run('read -r pid rest < "$ROOT/$C3_BUILD_ID/s1.claim"; kill -9 $pid; sleep 2', {
      env: { ROOT: step.root },
    });
    expect(await result).toEqual({ kind: 'lost', message: 'its supervisor in the container was killed' });
  });

  it('is lost with the message of the workspace when that is lost', async () => {
    const step = setUp(shell);
    const started = step.seen('on');
    const result = step.run('echo on; sleep 100');
    await started;
    step.workspace.lose('the Pod was evicted: out of disk');
    expect(await result).toEqual({ kind: 'lost', message: 'the Pod was evicted: out of disk' });
    expect(await step.sweep(step.openAgent())).toBe(true);
  });

  it('is lost with the message of the workspace that comes after a refused connection', async () => {
    const step = setUp(shell);
    const started = step.seen('on');
    const result = step.run('echo on; sleep 100');
    await started;
    step.workspace.plan.push({ kind: 'refuse', message: 'container not found ("main")', isFinal: true });
    step.workspace.cut();
    await vi.waitUntil(() => step.workspace.execCount === 2);
    setTimeout(() => step.workspace.lose('container "main" ran out of memory'), 300);
    expect(await result).toEqual({ kind: 'lost', message: 'container "main" ran out of memory' });
    expect(await step.sweep(step.openAgent())).toBe(true);
  });

  it('leaves nothing running after the sweep, not even daemons', async () => {
    const step = setUp(shell);
    const pidFile = join(step.workspace.directory, 'daemon');
    await step.run(
      `setsid sh -c 'echo $$ > ${pidFile}; exec sleep 300' > /dev/null 2>&1 & while [ ! -s ${pidFile} ]; do sleep 0.05; done`,
    );
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(isRunning(pid)).toBe(true);
    expect(await step.sweep()).toBe(true);
    expect(isRunning(pid)).toBe(false);
  });

  it('is killed when the next build arrives after its c3 died', async () => {
    const step = setUp(shell);
    const pidFile = join(step.workspace.directory, 'abandoned');
    const started = step.seen('on');
    void step.run(`echo $$ > ${pidFile}; echo on; exec sleep 300`);
    await started;
    step.workspace.cut();
    const answer = await step
      .openAgent({ buildId: 'b2', epoch: 2 })
      .perform('sweep b2\n', (frame) => (frame.kind === 'swept' ? frame.isClean : undefined));
    expect(answer).toEqual({ kind: 'answered', value: true });
    expect(isRunning(Number(readFileSync(pidFile, 'utf8')))).toBe(false);
  });

  it('ends when its script ends, however short it is', async () => {
    const step = setUp(shell);
    // Two hundred times: a signal to a shell that was forked a moment ago can be lost, which once made one in a
    // hundred hang.
    for (let i = 0; i < 200; i += 1) {
      expect(await step.run(':', { stepId: `n${i}`, timeoutMs: 15_000 })).toEqual({ kind: 'exited', exitCode: 0 });
    }
  });

  it('needs one exec for many steps', async () => {
    const step = setUp(shell);
    for (let i = 0; i < 5; i += 1)
      expect(await step.run('true', { stepId: `s${i}` })).toEqual({ kind: 'exited', exitCode: 0 });
    expect(step.workspace.execCount).toBe(1);
  });
});
