import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BuildState, UNKNOWN_COMMIT } from '../build/index.ts';
import { createBuild } from '../../test/fakes/sample-build.ts';
import { createBuildProgress, type PlannedState } from './build-progress.ts';
import { createJournal, readJournal } from './journal.ts';
import { createMacs, type MacOptions } from './macs.ts';

const URLS = { repository: 'https://git.example.com/a/b', commit: '' };

function plan(count: number, isAllowed = false): PlannedState[] {
  const step = { container: 'main', isAllowed, group: undefined, skipped: undefined };
  return Array.from({ length: count }, (_, index) => ({ ...step, name: `step ${index}` }));
}

/** A build by a clock that goes a second with each look at it. */
function createProgress(count = 2, { isAllowed = false, startAt = 1000 } = {}): ReturnType<typeof createBuildProgress> {
  let now = startAt;
  const progress = createBuildProgress(createBuild(), { urls: URLS, now: () => (now += 1000) });
  progress.plan(plan(count, isAllowed), true);
  return progress;
}

/** What is known without a journal. */
function known(count = 2): BuildState {
  const build = createBuild({ commit: UNKNOWN_COMMIT });
  const progress = createBuildProgress(build, { urls: URLS, now: () => 1_000_000 });
  progress.plan(plan(count), false);
  return progress.state;
}

const OPTIONS: MacOptions = { key: 'kubeconfig', buildId: 'b1', workspaceId: 'uid' };
const { ofEntry: toMac } = createMacs(OPTIONS);

async function read(lines: readonly string[], state: BuildState): Promise<BuildState | undefined> {
  return await readJournal(lines, state, { toMac });
}

/** The lines that an agent keeps of commands. */
function toLines(commands: string): string[] {
  return commands
    .split('\n')
    .slice(0, -1)
    .map((command) => command.replace(/^note b1 /, ''));
}

function withMac(line: string): string {
  return `${line}${toMac(line)}`;
}

function withOtherMac(line: string, changes: Partial<MacOptions>): string {
  const text = line.slice(0, -32);
  return `${text}${createMacs({ ...OPTIONS, ...changes }).ofEntry(text)}`;
}

/** As a journal can tell it: tails are in the logs, addresses in nobody's but the forge's hands. */
function withoutTails(state: BuildState): BuildState {
  return { ...state, links: undefined, steps: state.steps.map((step) => ({ ...step, tail: '' })) };
}

describe('a journal', () => {
  it('tells the state of a build again', async () => {
    const progress = createProgress();
    const journal = createJournal({ buildId: 'b1', epoch: 1, toMac });
    let text = '';
    const note = (): void => void (text += journal.toCommands('main', progress.state));
    note();
    const links = { view: 'https://c3.example/b/look', control: 'https://c3.example/b/control' };
    progress.note({ links, previous: 'failed' });
    progress.warn(['a warning', 'another\none']);
    progress.startStep(0, 1);
    note();
    progress.endStep(0, { kind: 'passed' }, 'tail');
    progress.startStep(1, 1);
    note();
    progress.endStep(1, { kind: 'failed', exitCode: 3 }, 'tail');
    progress.startStep(1, 2);
    note();
    progress.endStep(1, { kind: 'lost', message: 'its container was "killed"' }, '');
    progress.end({ kind: 'failed', step: 'step 1', message: 'exit code 3' });
    note();
    expect(await read(toLines(text), known())).toEqual(withoutTails(progress.state));
    expect(text).not.toContain('c3.example');
    expect(journal.toCommands('main', progress.state)).toBe('');
  });

  it('notes in each container what is not noted there', async () => {
    const progress = createProgress();
    const journal = createJournal({ buildId: 'b1', epoch: 1, toMac });
    progress.startStep(0, 1);
    const first = toLines(journal.toCommands('a', progress.state));
    progress.endStep(0, { kind: 'passed' }, '');
    progress.startStep(1, 1);
    const second = toLines(journal.toCommands('b', progress.state));
    expect(await read(second, known())).toEqual(withoutTails(progress.state));
    expect((await read(first, known()))?.steps[1]?.phase).toEqual({ kind: 'pending' });
    expect(await read([...second, ...first], known())).toEqual(withoutTails(progress.state));
  });

  it('is one line of ASCII without a blank for each value, whatever people write', async () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 2000 });
    await fc.assert(
      fc.asyncProperty(anyText, anyText, async (message, warning) => {
        const progress = createProgress();
        progress.warn([warning]);
        progress.endStep(0, { kind: 'lost', message }, '');
        progress.end({ kind: 'config-error', message, problems: [{ message: warning }] });
        const commands = createJournal({ buildId: 'b1', epoch: 9, toMac }).toCommands('main', progress.state);
        expect(commands).toMatch(/^(?:note b1 \{[!-~]+\}[0-9a-f]{32}\n)+$/);
        for (const line of toLines(commands)) expect(line.length).toBeLessThan(4000);
        const told = await read(toLines(commands), known());
        expect(told?.phase).toMatchObject({ kind: 'ended', ending: { kind: 'config-error' } });
        const text = told?.phase.kind === 'ended' && 'message' in told.phase.ending ? told.phase.ending.message : '';
        expect(message.startsWith(text.replace(/…$/, ''))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('tells the same from lines that come twice, late, or cut', async () => {
    const progress = createProgress();
    const journal = createJournal({ buildId: 'b1', epoch: 1, toMac });
    const lines: string[] = [];
    progress.startStep(0, 1);
    lines.push(...toLines(journal.toCommands('main', progress.state)));
    progress.endStep(0, { kind: 'passed' }, '');
    progress.end({ kind: 'cancelled', message: 'The build was cancelled' });
    lines.push(...toLines(journal.toCommands('main', progress.state)));
    const shuffled = fc.shuffledSubarray([...lines, ...lines], { minLength: lines.length * 2 });
    await fc.assert(
      fc.asyncProperty(shuffled, fc.nat({ max: 60 }), async (some, length) => {
        const cut = `${lines[0]?.slice(0, length)}${some[0]}`;
        expect(
          await read([cut, '', 'nonsense', '{"e":1}', '{"e":1,"n":1,"v":null}', ...some.slice(1)], known()),
        ).toEqual(withoutTails(progress.state));
      }),
    );
  });

  it('tells the newer state of a c3 that took the build up, with the times of the one that began it', async () => {
    const [dead, next] = [createProgress(), createProgress(2, { startAt: 500_000 })];
    dead.startStep(0, 1);
    dead.endStep(0, { kind: 'passed' }, '');
    dead.startStep(1, 1);
    const first = toLines(createJournal({ buildId: 'b1', epoch: 3, toMac }).toCommands('main', dead.state));
    next.startStep(0, 1);
    next.endStep(0, { kind: 'passed' }, '');
    next.startStep(1, 1);
    next.endStep(1, { kind: 'passed' }, '');
    next.end({ kind: 'passed', allowed: [] });
    const second = toLines(createJournal({ buildId: 'b1', epoch: 4, toMac }).toCommands('main', next.state));
    const state = await read([...second, ...first], known());
    expect(state).toMatchObject({
      phase: { kind: 'ended' },
      startedAt: dead.state.startedAt,
      endedAt: next.state.endedAt,
    });
    const [one, two] = dead.state.steps;
    expect(state?.steps[0]).toEqual({ ...one, tail: '' });
    expect(state?.steps[1]).toMatchObject({ startedAt: two?.startedAt, endedAt: next.state.steps[1]?.endedAt });
  });

  it('names the steps that failed and may', async () => {
    const progress = createProgress(2, { isAllowed: true });
    progress.endStep(0, { kind: 'failed', exitCode: 1 }, '');
    progress.endStep(1, { kind: 'passed' }, '');
    progress.end({ kind: 'passed', allowed: ['step 0'] });
    const lines = toLines(createJournal({ buildId: 'b1', epoch: 1, toMac }).toCommands('main', progress.state));
    const base = known();
    const steps = base.steps.map((step) => ({ ...step, isAllowed: true }));
    expect((await read(lines, { ...base, steps }))?.phase).toEqual(progress.state.phase);
  });

  it('cannot say what c3.yaml and the link say', async () => {
    const line = (k: string, v: object): string => withMac(JSON.stringify({ e: 9, n: 9, v: { [k]: v } }));
    const lines = [
      line('commit', { repository: 'javascript:1', sha: 'x', subject: 's', scope: 'x' }),
      line('ref', { kind: 'tag', name: 'v1' }),
      line('step 0', { name: 'x', container: 'y', phase: { kind: 'passed' }, attempt: 1 }),
      line('step 7', { phase: { kind: 'passed' }, attempt: 1 }),
      line('steps', { steps: [] }),
      line('links', { links: { view: 'x' } }),
      line('phase', { phase: { kind: 'won' } }),
    ];
    const state = await read(lines, known());
    expect(state).toEqual({
      ...known(),
      build: { ...known().build, commit: { subject: 's', author: '' } },
      steps: [{ ...known().steps[0], phase: { kind: 'passed' } }, known().steps[1]],
    });
    expect(await read(['', '{}', 'x'], known())).toBeUndefined();
  });

  it.each<[what: string, forge: (line: string) => string]>([
    ['without a MAC', (line) => line.slice(0, -32)],
    ['with the MAC of another line', (line) => line.replace('failed', 'passed')],
    ['with the MAC of another build', (line) => withOtherMac(line, { buildId: 'b2' })],
    ['with the MAC of another Pod', (line) => withOtherMac(line, { workspaceId: 'other' })],
    ['with the MAC of another kubeconfig', (line) => withOtherMac(line, { key: 'other' })],
  ])('ignores a line %s', async (_what, forge) => {
    const step = { 'step 0': { phase: { kind: 'failed', exitCode: 1 }, attempt: 1 } };
    const line = withMac(JSON.stringify({ e: 9, n: 9, v: step }));
    expect((await read([line], known()))?.steps[0]?.phase).toEqual({ kind: 'failed', exitCode: 1 });
    expect(await read([forge(line)], known())).toBeUndefined();
  });

  it('of a build of a hundred steps, each tried twenty times, ends with its end', async () => {
    const progress = createProgress(100);
    const journal = createJournal({ buildId: 'b1', epoch: 1, toMac });
    let text = '';
    for (let index = 0; index < 100; index += 1) {
      for (let attempt = 1; attempt <= 21; attempt += 1) {
        progress.startStep(index, attempt);
        text += journal.toCommands('main', progress.state);
        progress.endStep(index, { kind: 'failed', exitCode: 1 }, 'x'.repeat(8000));
      }
    }
    progress.end({ kind: 'failed', step: 'step 99', message: 'exit code 1' });
    text += journal.toCommands('main', progress.state);
    expect(text.length).toBeLessThan(1.1 * 1024 * 1024);
    expect(await read(toLines(text), known(100))).toEqual(withoutTails(progress.state));
  });
});
