import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isRunning, setUp, shells } from '../../test/fakes/local-steps.ts';
import { WAIT_MS } from '../../test/time-limits.ts';

const STALE = { kind: 'lost', message: 'container "main": another c3 has taken over this Pod' };

describe.each(shells)('under %s', (shell) => {
  it('a c3 with a smaller epoch is refused for good', async () => {
    const steps = setUp(shell);
    expect(await steps.openAgent({ buildId: 'b2', epoch: 7 }).ready()).toMatchObject({ kind: 'answered' });
    expect(await steps.run('echo never')).toEqual(STALE);
    expect(steps.text()).toBe('');
  });

  it('a c3 that has lost its Pod starts, cancels and sweeps nothing over its open connection', async () => {
    const steps = setUp(shell);
    const other = steps.openAgent({ epoch: 2 });
    const stale = steps.openAgent();
    expect(await steps.run(':', { agent: stale })).toEqual({ kind: 'exited', exitCode: 0 });
    await other.ready();
    const ran = join(steps.workspace.directory, 'ran');
    expect(await steps.run(`touch ${ran}`, { stepId: 's2', agent: stale })).toEqual(STALE);
    expect(existsSync(ran)).toBe(false);
    expect(await steps.openAgent().perform(`cancel ${steps.buildId} s3\n`, () => undefined)).toMatchObject({
      isFinal: true,
    });
    expect(await steps.openAgent().perform(`sweep ${steps.buildId}\n`, () => undefined)).toMatchObject({
      isFinal: true,
    });
    // What was refused is as if it had never been sent: the new holder runs it.
    expect(await steps.run('exit 4', { stepId: 's2', agent: other })).toEqual({ kind: 'exited', exitCode: 4 });
  });

  it('a c3 never gets the end of a step that another c3 killed when it took over the Pod', async () => {
    const steps = setUp(shell);
    const started = steps.seen('on');
    const stale = steps.run('trap "exit 0" TERM; echo on; sleep 300');
    await started;
    const other = steps.openAgent({ buildId: 'b2', epoch: 2 });
    expect(await other.ready()).toMatchObject({ kind: 'answered' });
    expect(await stale).toEqual(STALE);
  });

  it.each([
    ['in the session of a step of this container is killed', 'main', false],
    ['whose session has the number of a step of another container lives', 'other', true],
  ])('when another c3 takes over the Pod, a process %s', async (_, container, lives) => {
    const steps = setUp(shell);
    const leader = spawn('sh', ['-c', 'sleep 300 > /dev/null & echo $!'], { detached: true });
    const [[printed]] = await Promise.all([once(leader.stdout, 'data'), once(leader, 'exit')]);
    const left = Number(String(printed));
    const old = join(steps.root, 'old');
    mkdirSync(old, { recursive: true });
    writeFileSync(join(old, 's1.pid'), `${leader.pid} 1 ${container}`.padEnd(64) + '\n');
    expect(await steps.openAgent({ buildId: 'b2', epoch: 2 }).ready()).toMatchObject({ kind: 'answered' });
    expect(isRunning(left)).toBe(lives);
    if (lives) process.kill(left);
  });

  it('a c3 that has lost its Pod gets nothing of what it ran before, over its open connection', async () => {
    const steps = setUp(shell);
    expect(await steps.run('exit 3')).toEqual({ kind: 'exited', exitCode: 3 });
    await steps.openAgent({ buildId: 'b2', epoch: 2 }).ready();
    expect(await steps.run('exit 3')).toEqual(STALE);
    expect(await steps.run('exit 3', { stepId: 's2' })).toEqual(STALE);
  });

  it('a launch is refused when another c3 comes between its arrival and its start', async () => {
    const steps = setUp(shell);
    const stale = steps.openAgent();
    await stale.ready();
    // The script is long: while it is being read, another c3 comes.
    const ran = join(steps.workspace.directory, 'ran');
    const late = steps.run(`${'# padding\n'.repeat(20_000)}touch ${ran}`, { agent: stale });
    writeFileSync(join(steps.root, 'epoch.9'), '');
    expect(await late).toEqual(STALE);
    expect(existsSync(ran)).toBe(false);
  });

  it('a cancel is sent again when the c3 that held the claim has withdrawn it', async () => {
    const steps = setUp(shell);
    await steps.openAgent().ready();
    const place = join(steps.root, steps.buildId, 's1');
    const [, start] = /\) .(?: \S+){18} (\d+)/.exec(readFileSync('/proc/self/stat', 'utf8')) ?? [];
    writeFileSync(`${place}.claim`, `${process.pid} ${start}\n`);
    steps.controller.abort();
    const ended = steps.run('echo never');
    await vi.waitUntil(() => existsSync(`${place}.cancel`), { timeout: WAIT_MS, interval: 5 });
    rmSync(`${place}.claim`);
    expect(await ended).toEqual({ kind: 'cancelled' });
    expect(steps.text()).toBe('');
  });

  it('every c3 that comes later with a build gets the same start time', async () => {
    const steps = setUp(shell);
    const before = Date.now();
    const first = await steps.openAgent().ready();
    const between = Date.now();
    const second = await steps.openAgent({ epoch: 2 }).ready();
    expect(first).toMatchObject({ kind: 'answered' });
    const begunAtMs = first.kind === 'answered' ? first.value.begunAtMs : 0;
    expect(begunAtMs).toBeGreaterThanOrEqual(before);
    expect(begunAtMs).toBeLessThanOrEqual(between);
    expect(second).toMatchObject({ kind: 'answered', value: { begunAtMs } });
  });

  it('a reader takes the Pod from nobody', async () => {
    const steps = setUp(shell);
    const started = steps.seen('on');
    const result = steps.run('echo on; sleep 0.5; exit 3');
    await started;
    const reader = steps.openAgent({ buildId: 'b2', epoch: 9, mode: 'read' });
    expect(await reader.ready()).toMatchObject({ kind: 'answered', value: { begunAtMs: 0 } });
    expect(await result).toEqual({ kind: 'exited', exitCode: 3 });
    expect(await steps.run('exit 5', { stepId: 's2' })).toEqual({ kind: 'exited', exitCode: 5 });
  });
});

it('a claim that a refused agent removes at the moment of a look is not taken for a full disk', () => {
  const steps = setUp('bash');
  const file = join(steps.workspace.directory, 's1.claim');
  writeFileSync(file, 'of the refused agent');
  const processes = readFileSync(new URL('./shell/processes.sh', import.meta.url), 'utf8');
  // The look itself removes the file, as the other agent does between the attempt and the look.
  const look = `function [ { case " $* " in *" -e $file "*) rm -f "$file" ;; esac; builtin [ "$@"; }`;
  const script = `${processes}\nfile=$1\n${look}\nclaim "$file" mine; echo "$?"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', file], { encoding: 'utf8' });
  expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  expect(readFileSync(file, 'utf8')).toBe('mine\n');
});

it.each([
  ['the process of the step', 'belongs', '50 7 50 50', true],
  ['a process in the session of the step', 'belongs', '51 9 50 50', true],
  ['a process in the group of the step', 'belongs', '52 9 40 50', true],
  ['the leader of another group in the session of the step', 'belongs', '53 9 50 53', true],
  ['a later process with the number of the step', 'does not belong', '50 9 50 50', false],
  ['any other process', 'does not belong', '54 9 54 54', false],
])('%s %s to the step', (_, _verb, process, isOfStep) => {
  const processes = readFileSync(new URL('./shell/processes.sh', import.meta.url), 'utf8');
  const script = `${processes}\nset -- ${process}\n_leaders=' 50 50-7 ' _pid=$1 _start=$2 _session=$3 _group=$4; is_of_step`;
  expect(spawnSync('bash', ['-c', script]).status).toBe(isOfStep ? 0 : 1);
});

it('a process whose parent ends at the moment of a look belongs to PID 1, not to an exec', () => {
  const processes = readFileSync(new URL('./shell/processes.sh', import.meta.url), 'utf8');
  // 50 is a child of 40, which ends after 50 was read. From then on 50 is a child of PID 1.
  const examine = `examine() {
    _looks="$_looks $1"
    case $_looks in ' 50') _parent=40 ;; *' 50') _parent=1 ;; *' 40') return 1 ;; *) _parent=0 ;; esac
  }`;
  const { stdout } = spawnSync('bash', ['-c', `${processes}\n${examine}\nfind_top 50; echo "$_top:$_looks"`], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('1: 50 40 50 1\n');
});
