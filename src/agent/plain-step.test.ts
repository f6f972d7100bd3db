import { expect, it } from 'vitest';
import { createBareWorkspace } from '../../test/fakes/bare-workspace.ts';
import type { ExecAnswer, ExecEnd, ExecOptions, Workspace } from '../engine/cluster.ts';
import { runPlainStep } from './plain-step.ts';
import type { StepResult } from './step.ts';

interface Played {
  readonly workspace: Workspace;
  readonly argvs: (readonly string[])[];
  readonly isClosed: boolean;
  lose(message: string): void;
}

/** A workspace whose execs write `out` and end with these answers. The last answer is for all later execs. */
function play(...answers: (ExecEnd | 'never' | 'refused' | 'refused-for-good')[]): Played {
  const argvs: (readonly string[])[] = [];
  const lost = Promise.withResolvers<string>();
  let isClosed = false;
  async function exec(_container: string, argv: readonly string[], options: ExecOptions): Promise<ExecAnswer> {
    const answer = answers[Math.min(argvs.length, answers.length - 1)];
    argvs.push(argv);
    if (answer === 'refused' || answer === undefined) {
      return { kind: 'refused', message: 'too many requests', isTransient: true };
    }
    if (answer === 'refused-for-good') return { kind: 'refused', message: 'container not found', isTransient: false };
    await options.onStdout(Buffer.from('out'));
    options.signal.addEventListener('abort', () => {
      isClosed = true;
    });
    const done = answer === 'never' ? new Promise<ExecEnd>(() => {}) : Promise.resolve(answer);
    return { kind: 'open', session: { done, write: () => Promise.resolve(), close: () => {} } };
  }
  return {
    argvs,
    get isClosed() {
      return isClosed;
    },
    lose: lost.resolve,
    workspace: { ...createBareWorkspace(exec), lost: lost.promise },
  };
}

interface Outcome {
  readonly result: StepResult;
  readonly output: string;
}

async function run(
  played: Played,
  { timeoutMs = 60_000, signal = new AbortController().signal } = {},
): Promise<Outcome> {
  let output = '';
  const result = await runPlainStep(
    played.workspace,
    { container: 'scratch', argv: ['/app', '--check'], timeoutMs },
    {
      signal,
      onOutput(bytes) {
        output += Buffer.from(bytes).toString();
      },
    },
  );
  return { result, output };
}

const SUCCESS: ExecEnd = { kind: 'status', exitCode: 0, message: 'Success' };

it('runs the program itself and ends with what the status says', async () => {
  const played = play(SUCCESS);
  expect(await run(played)).toEqual({ result: { kind: 'exited', exitCode: 0 }, output: 'out' });
  expect(played.argvs).toEqual([['/app', '--check']]);
  const failed = play({ kind: 'status', exitCode: 7, message: 'exit code 7' });
  expect((await run(failed)).result).toEqual({ kind: 'exited', exitCode: 7 });
});

const CUT: ExecEnd = { kind: 'cut', message: 'gone' };
const UNTOLD: ExecEnd = { kind: 'status', exitCode: undefined, message: 'gone' };

it('is lost, not passed, when the connection breaks or the status has no exit code', async () => {
  const outcomes = await Promise.all([run(play(CUT)), run(play(UNTOLD))]);
  const message = 'how it ended is unknown: gone';
  for (const { result } of outcomes) expect(result).toEqual({ kind: 'lost', message });
});

it.each<[what: string, end: ExecEnd | 'refused-for-good']>([
  ['Success', SUCCESS],
  ['a kill', { kind: 'status', exitCode: 137, message: 'exit code 137' }],
  ['nothing', UNTOLD],
  ['that the connection broke', CUT],
  ['that there is no such container', 'refused-for-good'],
])(
  'is lost with the message of the cluster when the container died with it, though the exec reports %s before',
  async (_what, end) => {
    const played = play(end);
    const running = run(played);
    setTimeout(() => played.lose('container "scratch" ran out of memory'), 300);
    expect((await running).result).toEqual({ kind: 'lost', message: 'container "scratch" ran out of memory' });
  },
);

it('is tried again only while nothing ran', async () => {
  const played = play('refused', 'refused', SUCCESS);
  expect((await run(played)).result).toEqual({ kind: 'exited', exitCode: 0 });
  expect(played.argvs.length).toBe(3);
});

it('ends at its limit and when it is cancelled, and closes its connection', async () => {
  const late = play('never');
  expect((await run(late, { timeoutMs: 20 })).result).toEqual({ kind: 'timed-out' });
  expect(late.isClosed).toBe(true);
  const cancelled = play('never');
  expect((await run(cancelled, { signal: AbortSignal.abort() })).result).toEqual({ kind: 'cancelled' });
});
