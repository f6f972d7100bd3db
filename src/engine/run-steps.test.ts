import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createWalk, one, parallel, step, type Walk } from '../../test/fakes/walk.ts';
import { isRunning } from '../../test/fakes/local-steps.ts';
import type { Stage, Step } from '../pipeline/pipeline.ts';
import { Superseded } from './verdict.ts';

const PASSED = { kind: 'passed', allowed: [] } as const;

const walks: Walk[] = [];
afterEach(() => {
  for (const walk of walks.splice(0)) walk.close();
});

function setUp(): Walk {
  const walk = createWalk();
  walks.push(walk);
  return walk;
}

/** A script that waits for a file and fails after ten seconds. */
const waitFor = (file: string): string =>
  `i=0; until [ -e "$DIR/${file}" ]; do i=$((i + 1)); [ $i -lt 500 ]; sleep 0.02; done`;

describe('the steps of a parallel stage', () => {
  it('run at once', async () => {
    const walk = setUp();
    const meet = (mine: string, other: string): string => `touch "$DIR/${mine}"; ${waitFor(other)}`;
    const { ending, isClean } = await walk.run([
      parallel(step('a', { sh: meet('a', 'b') }), step('b', { sh: meet('b', 'a') })),
      one('after', { sh: 'test -e "$DIR/a"' }),
    ]);
    expect(ending).toEqual(PASSED);
    expect(isClean).toBe(true);
    expect(walk.states.at(-1)?.steps.map(({ group }) => group)).toEqual([undefined, 1, 1, undefined]);
  });

  it('all run to their end after one has failed, and the first failure in order is the cause', async () => {
    const walk = setUp();
    const { ending } = await walk.run([
      parallel(
        step('slow', { sh: `${waitFor('failed')}; exit 4` }),
        step('quick', { sh: 'touch "$DIR/failed"; exit 3' }),
        step('good', { sh: waitFor('failed') }),
      ),
      one('after', { sh: 'echo never' }),
    ]);
    expect(ending).toEqual({ kind: 'failed', step: 'slow', message: 'exit code 4' });
    expect(walk.phases()).toEqual(['slow: failed 4', 'quick: failed 3', 'good: passed', 'after: skipped']);
  });

  it('all end at a cancel', async () => {
    const walk = setUp();
    let count = 0;
    const { ending, isClean } = await walk.run(
      [parallel(step('a', { sh: 'echo up; sleep 60' }), step('b', { sh: 'echo up; sleep 60' }))],
      {
        onOutput: (text) => {
          if (text.includes('up') && (count += 1) === 2) walk.cancel.abort();
        },
      },
    );
    expect(ending).toEqual({ kind: 'cancelled', message: 'The build was cancelled during step "a"' });
    expect(walk.phases()).toEqual(['a: cancelled', 'b: cancelled']);
    expect(isClean).toBe(true);
  });

  it('wait for a connection where more of them are in one container than it has', async () => {
    const walk = setUp();
    const [first, ...rest] = Array.from({ length: 18 }, (_, index) => step(`n${index}`, { sh: 'true' }));
    const { ending } = await walk.run([parallel(first as Step, ...rest)]);
    expect(ending).toEqual(PASSED);
    expect(walk.workspace.execCount).toBe(16);
  });

  it('leave their connections to the next build', async () => {
    const walk = setUp();
    const stage = parallel(step('a', { sh: 'true' }), step('b', { sh: 'true' }), step('c', { sh: 'true' }));
    await walk.run([stage]);
    expect((await walk.run([stage])).ending).toEqual(PASSED);
    expect(walk.workspace.execCount).toBe(3);
  });
});

describe('a workspace that is lost between two steps', () => {
  /** Lost in the moment in which the step has passed. */
  async function runLosing(walk: Walk, last: string, part: { finally?: Stage[] } = {}): Promise<unknown> {
    const steps = [one('a', { sh: 'true' }), one('b', { sh: 'true', when: { status: ['success'] } })] as const;
    const { ending } = await walk.run([...steps], {
      ...part,
      onState: ({ steps: states }) => {
        if (states.find(({ name }) => name === last)?.phase.kind === 'passed') walk.workspace.lose('Pod x was evicted');
      },
    });
    return ending;
  }
  const lostBefore = (name: string): object => ({
    kind: 'infrastructure-error',
    message: `Step "${name}" was not begun: Pod x was evicted`,
  });

  it('is never a build that passed', async () => {
    const walk = setUp();
    expect(await runLosing(walk, 'a')).toEqual(lostBefore('b'));
    expect(walk.phases()).toEqual(['a: passed', 'b: skipped']);
  });

  it('is none that passed without its finally', async () => {
    expect(await runLosing(setUp(), 'b', { finally: [one('clean', { sh: 'true' })] })).toEqual(lostBefore('clean'));
  });

  it('does no harm to one whose steps have all passed', async () => {
    expect(await runLosing(setUp(), 'b')).toEqual(PASSED);
  });
});

describe('after a failure', () => {
  it('only steps that ask for one run, and then finally', async () => {
    const walk = setUp();
    const { ending } = await walk.run(
      [
        one('test', { sh: 'exit 3' }),
        one('deploy', { sh: 'true' }),
        one('report', { sh: 'exit 5', when: { status: ['failure'] } }),
        one('always', { sh: 'true', when: { status: ['success', 'failure'] } }),
      ],
      {
        finally: [
          one('clean', { sh: 'true' }),
          one('rejoice', { sh: 'true', when: { status: ['success'] } }),
          one('mourn', { sh: 'true', when: { status: ['failure'] } }),
        ],
      },
    );
    expect(ending).toEqual({ kind: 'failed', step: 'test', message: 'exit code 3' });
    expect(walk.phases()).toEqual([
      'test: failed 3',
      'deploy: skipped',
      'report: failed 5',
      'always: passed',
      'clean: passed',
      'rejoice: skipped',
      'mourn: passed',
    ]);
  });

  it('a step that reached its own time limit is such a failure', async () => {
    const walk = setUp();
    const { ending } = await walk.run([
      one('test', { sh: 'sleep 60', timeoutMs: 1000 }),
      one('report', { sh: 'true', when: { status: ['failure'] } }),
    ]);
    expect(ending).toEqual({ kind: 'timed-out', message: 'Step "test" was ended at its time limit' });
    expect(walk.phases()).toEqual(['test: timed-out', 'report: passed']);
  });

  it('nothing but finally runs once the build has no time left', async () => {
    const walk = setUp();
    const { ending } = await walk.run(
      [one('test', { sh: 'sleep 60', retry: 2 }), one('report', { sh: 'true', when: { status: ['failure'] } })],
      { timeoutMs: 15_000, finally: [one('clean', { sh: 'true' })] },
    );
    expect(ending).toEqual({ kind: 'timed-out', message: 'Step "test" was ended at the time limit of the build' });
    expect(walk.phases()).toEqual(['test: timed-out', 'report: skipped', 'clean: passed']);
  });

  it('a step whose failure is allowed lets the build pass, and is named', async () => {
    const walk = setUp();
    const { ending } = await walk.run([
      one('audit', { sh: 'exit 2', allowFailure: true }),
      one('slow', { sh: 'sleep 60', timeoutMs: 1000, allowFailure: true }),
      one('deploy', { sh: 'true' }),
    ]);
    expect(ending).toEqual({ kind: 'passed', allowed: ['audit', 'slow'] });
    expect(walk.phases()).toEqual(['audit: failed 2', 'slow: timed-out', 'deploy: passed']);
  });
});

describe('finally', () => {
  it('fails a build that had passed', async () => {
    const walk = setUp();
    const { ending } = await walk.run([one('test', { sh: 'true' })], {
      finally: [one('clean', { sh: 'exit 9' }), one('tell', { sh: 'true' })],
    });
    expect(ending).toEqual({ kind: 'failed', step: 'clean', message: 'exit code 9' });
    expect(walk.phases()).toEqual(['test: passed', 'clean: failed 9', 'tell: passed']);
  });

  it('runs after a cancel, in time of its own, and a second cancel ends it', async () => {
    const walk = setUp();
    const { ending, isClean } = await walk.run([one('test', { sh: 'echo up; sleep 60' })], {
      finally: [one('clean', { sh: 'touch "$DIR/cleaned"; echo down; sleep 60' }), one('tell', { sh: 'true' })],
      onOutput: (text) => {
        if (text.includes('up')) walk.cancel.abort(new Superseded('abcdef0123456789'));
        if (text.includes('down')) walk.halt.abort();
      },
    });
    expect(ending).toEqual({
      kind: 'superseded',
      message: 'The build was superseded by abcdef0 during step "test"',
    });
    expect(walk.phases()).toEqual(['test: cancelled', 'clean: cancelled', 'tell: skipped']);
    expect(existsSync(join(walk.workspace.directory, 'cleaned'))).toBe(true);
    expect(isClean).toBe(true);
  });

  it('does not run where the Pod is lost', async () => {
    const walk = setUp();
    const { ending, isClean } = await walk.run([one('test', { sh: 'echo up; sleep 60' })], {
      finally: [one('clean', { sh: 'true' })],
      onOutput: (text) => {
        if (text.includes('up')) walk.workspace.lose('the Pod was evicted');
      },
    });
    expect(ending).toMatchObject({ kind: 'infrastructure-error', message: expect.stringContaining('evicted') });
    expect(walk.phases()).toEqual(['test: lost', 'clean: skipped']);
    expect(isClean).toBe(false);
  });
});

it('in a Pod of its own a build kills nothing at its end: the Pod goes, and all that runs in it', async () => {
  const walk = setUp();
  const steps = [one('test', { sh: 'sleep 60 & echo $! > "$DIR/daemon"' })] as const;
  const shared = await walk.run(steps);
  const daemon = (): number => Number(readFileSync(join(walk.workspace.directory, 'daemon'), 'utf8'));
  expect(isRunning(daemon())).toBe(false);
  const alone = await walk.run(steps, {
    pod: { reuse: false, share: true, idleMs: 1, maxAgeMs: 1, startTimeoutMs: 600_000 },
  });
  expect(isRunning(daemon())).toBe(true);
  process.kill(daemon(), 'SIGKILL');
  expect([shared.isClean, alone.isClean]).toEqual([true, false]);
});

describe('a step with retries', () => {
  const FLAKY = 'echo run >> "$DIR/runs"; test "$(wc -l < "$DIR/runs")" -ge 3';

  it('is run again until it passes, and shows its attempt', async () => {
    const walk = setUp();
    const { ending } = await walk.run([one('flaky', { sh: FLAKY, retry: 5 })]);
    expect(ending).toEqual(PASSED);
    expect(readFileSync(join(walk.workspace.directory, 'runs'), 'utf8')).toBe('run\nrun\nrun\n');
    const attempts = walk.states.map(({ steps }) => steps[1]).filter((state) => state?.phase.kind === 'running');
    expect([...new Set(attempts.map((state) => state?.attempt))]).toEqual([1, 2, 3]);
  });

  it('fails when it has used them', async () => {
    const walk = setUp();
    const { ending } = await walk.run([one('flaky', { sh: FLAKY, retry: 1 })]);
    expect(ending).toEqual({ kind: 'failed', step: 'flaky', message: 'exit code 1' });
    expect(walk.states.at(-1)?.steps[1]).toMatchObject({ attempt: 2, phase: { kind: 'failed', exitCode: 1 } });
  });

  it('is not run again after a cancel', async () => {
    const walk = setUp();
    const { ending } = await walk.run([one('flaky', { sh: 'echo run >> "$DIR/runs"; echo up; sleep 60', retry: 3 })], {
      onOutput: (text) => {
        if (text.includes('up')) walk.cancel.abort();
      },
    });
    expect(ending).toMatchObject({ kind: 'cancelled' });
    expect(readFileSync(join(walk.workspace.directory, 'runs'), 'utf8')).toBe('run\n');
  });
});

it('a step that c3.yaml leaves out is shown with the reason', async () => {
  const walk = setUp();
  const { ending } = await walk.run([
    one('test', { sh: 'true' }),
    one('release', { sh: 'true', when: { event: ['tag'] } }),
  ]);
  expect(ending).toEqual(PASSED);
  expect(walk.states.at(-1)?.steps[2]?.phase).toEqual({
    kind: 'skipped',
    reason: 'a push to a branch does not match when.event',
  });
});

describe('in a container without a shell', () => {
  const bare = (name: string, ...argv: string[]): Stage =>
    one(name, { sh: '', container: 'bare', run: { kind: 'argv', argv } });

  it('a list command runs, with a warning, and the Pod does not serve another build', async () => {
    const walk = setUp();
    const { ending, isClean } = await walk.run([bare('good', 'exit', '0'), bare('bad', 'exit', '4')]);
    expect(ending).toEqual({ kind: 'failed', step: 'bad', message: 'exit code 4' });
    expect(walk.states.at(-1)?.steps[2]?.tail).toBe('from a bare container\n');
    expect(walk.states.at(-1)?.warnings[0]).toBe(
      'Step "good" runs in container "bare", which has no shell: it gets no variables and no working directory, and only the cluster reports its end',
    );
    expect(isClean).toBe(false);
  });

  it('a shell command fails, with what to write', async () => {
    const walk = setUp();
    const { ending } = await walk.run([one('test', { sh: 'make', container: 'bare' })]);
    expect(ending).toEqual({
      kind: 'failed',
      step: 'test',
      message: expect.stringMatching(
        /^container "bare" has no POSIX shell "sh": .*; a command given as a list, \["program", "argument"\], needs none$/,
      ),
    });
    expect(walk.phases()).toEqual(['test: failed undefined']);
  });

  it('a list command is not run again by a c3 that cannot know whether it ran', async () => {
    const walk = setUp();
    const { ending } = await walk.run([bare('good', 'exit', '0')], { isResumed: true });
    expect(ending).toMatchObject({ kind: 'infrastructure-error', message: expect.stringContaining('keeps no trace') });
  });
});

describe('a variable that no program can be given', () => {
  it.each([
    ['of 128 KiB', { A: 'x'.repeat(128 * 1024 - 2) }, /^Variable A of step "test" is 131073 bytes long/],
    [
      'together with others',
      Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`V${index}`, 'x'.repeat(127_000)])),
      /^The variables of step "test" are \d+ bytes long in total, most of it V\d/,
    ],
  ])('%s ends the build before anything runs', async (_what, env, message) => {
    const walk = setUp();
    const { ending } = await walk.run([one('test', { sh: 'true', env })]);
    expect(ending).toEqual({ kind: 'config-error', message: expect.stringMatching(message) });
    expect(walk.workspace.execCount).toBe(0);
  });

  it('but for one byte is given', async () => {
    const walk = setUp();
    const env = { A: 'x'.repeat(128 * 1024 - 3) };
    expect((await walk.run([one('test', { sh: 'test ${#A} -eq 131069', env })])).ending).toEqual(PASSED);
  });
});

describe('a build that is taken up again', () => {
  const STEPS = [
    one('first', { sh: 'echo first >> "$DIR/runs"; echo one' }),
    one('flaky', { sh: 'echo flaky >> "$DIR/runs"; test "$(grep -c flaky "$DIR/runs")" -ge 2', retry: 2 }),
  ] as const;

  it('runs nothing twice and has the same ending and the whole log', async () => {
    const walk = setUp();
    const last = { finally: [one('clean', { sh: 'echo clean >> "$DIR/runs"; exit 4' })], id: 'again' };
    const before = (await walk.run(STEPS, last)).ending;
    const after = (await walk.run(STEPS, { ...last, isResumed: true })).ending;
    expect(before).toEqual({ kind: 'failed', step: 'clean', message: 'exit code 4' });
    expect(after).toEqual(before);
    expect(readFileSync(join(walk.workspace.directory, 'runs'), 'utf8')).toBe('first\nflaky\nflaky\nclean\n');
    expect(walk.states.at(-1)?.steps[1]?.tail).toBe('one\n');
  });

  it('counts its time limit from when it began, and begins nothing after that', async () => {
    const walk = setUp();
    const steps = [one('first', { sh: 'sleep 1.5; exit 3', allowFailure: true })] as const;
    expect((await walk.run(steps, { id: 'late' })).ending).toMatchObject({ kind: 'passed' });
    const more = [...steps, one('second', { sh: 'touch "$DIR/second"; sleep 5' })] as const;
    const { ending } = await walk.run(more, { id: 'late', isResumed: true, timeoutMs: 1000 });
    expect(ending).toEqual({
      kind: 'timed-out',
      message: 'Step "second" was not begun: the time limit of the build was reached',
    });
    expect(walk.phases()).toEqual(['first: failed 3', 'second: skipped']);
    expect(existsSync(join(walk.workspace.directory, 'second'))).toBe(false);
  });
});

describe('the output of a step', () => {
  const SECRET = 'hunter2-hunter2!';

  it('shows no half of a secret where the middle of the log is left out', async () => {
    const walk = setUp();
    const lines = new Set<string>();
    let rest = '';
    const { ending } = await walk.run([one('loud', { sh: `yes '${SECRET}' | head -c 20000000` })], {
      masked: [SECRET],
      onOutput(text) {
        const [last = '', ...others] = `${rest}${text}`.split('\n').toReversed();
        for (const line of others) lines.add(line.replace(/\d+/, 'N'));
        rest = last;
      },
    });
    expect(ending).toEqual(PASSED);
    expect([...lines].toSorted()).toEqual(['', '***', '… N bytes left out …']);
  });

  it('shows neither half of a secret with a colour in the middle', async () => {
    const walk = setUp();
    const script = String.raw`printf 'a\nkey hunter2-\033[1mhunter2!\033[m\n\033[1mb\033[m\n'`;
    await walk.run([one('coloured', { sh: script })], { masked: [SECRET] });
    expect(walk.states.at(-1)?.steps.at(-1)?.tail).toBe('a\nkey ***\n\u001B[1mb\u001B[m\n');
  });
});
