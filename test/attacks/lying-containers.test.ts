import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createBuild } from '../fakes/sample-build.ts';
import { createBuildProgress } from '../../src/engine/build-progress.ts';
import { createStepAgent, type StepAgent } from '../../src/agent/step-agent.ts';
import { openConnection, type AgentConnection } from '../../src/agent/connection.ts';
import { createPartReader, type PartPlace } from '../../src/agent/part-reader.ts';
import { runTask } from '../../src/engine/run-task.ts';
import { DEFAULT_STEP_LIMITS, runStep, type StepOptions, type StepResult } from '../../src/agent/step.ts';
import { createMasking } from '../../src/sealing/index.ts';
import { createLyingContainer, type LyingContainer } from '../fakes/lying-container.ts';
import { collectGarbage } from '../fakes/memory.ts';
import { createTask } from '../fakes/task.ts';

const MIB = 1024 * 1024;
const ROOTS = ['/c3/.c3', '/tmp/.c3'] as const;
const START: PartPlace = { container: 'main', stepId: 's0', offset: 0, base: 0 };

const TASK = createTask({ index: 0, run: { kind: 'script', text: 'true' } });

/** More than the maximum number of equal messages. */
const PLENTY = 2000;

async function openInto({ workspace }: LyingContainer): Promise<AgentConnection> {
  return await openConnection(workspace, 'main', { buildId: 'b', epoch: 1, roots: ROOTS, silenceMs: 45_000 });
}

function openReader({ workspace }: LyingContainer) {
  return createPartReader({ workspace, buildId: 'b', roots: ROOTS });
}

function openAgent({ workspace }: LyingContainer): StepAgent {
  return createStepAgent(workspace, 'main', { buildId: 'b', epoch: 1, roots: ROOTS, silenceMs: 45_000 });
}

/** Runs a step in the container. */
function runIn(container: LyingContainer, options: Partial<StepOptions> = {}): Promise<StepResult> {
  const open = (): StepAgent => openAgent(container);
  return runStep(
    open(),
    {
      buildId: 'b',
      stepId: 's0',
      proof: 'proof',
      workdir: '/c3/project',
      env: {},
      script: 'true',
      timeoutMs: 3_600_000,
    },
    {
      signal: new AbortController().signal,
      lost: container.workspace.lost,
      openAgent: open,
      limits: DEFAULT_STEP_LIMITS,
      ...options,
    },
  );
}

/** Resolves once c3 has sent the command. */
async function untilAsked(container: LyingContainer, command: string): Promise<void> {
  await expect.poll(() => container.heard).toContain(command);
}

describe('A12 An image whose sh imitates the agent', () => {
  it('cannot make c3 keep more of a log than the requested part', async () => {
    const container = createLyingContainer();
    const asked = openReader(container).readPart(START);
    await untilAsked(container, 'part b s0');
    const size = MIB / 8;
    let offset = 0;
    while (await container.say(Buffer.concat([Buffer.from(`D ${offset} ${size}\n`), Buffer.alloc(size)])))
      offset += size;
    expect(offset).toBe(MIB / 4);
    const message = 'container "main" sends data that c3 did not request';
    expect(await asked).toEqual({ kind: 'cut', message, isFinal: true });
  });

  it.each([
    ['continues at another offset of the log', 'D 7 1\nx'],
    ['skips a part that does not exist', 'K 7 9\n'],
    ['skips a part twice', 'K 0 9\nK 9 20\n'],
    ['ends at another offset', 'X 7 0 exited end\n'],
    ['announces more at another offset', 'P 7 0\n'],
    ['sends endless heartbeats', 'H 0\n'.repeat(100)],
  ])('is refused when it %s', async (_what, words) => {
    const container = createLyingContainer();
    const asked = openReader(container).readPart(START);
    await untilAsked(container, 'part b s0');
    expect(await container.say(words)).toBe(false);
    expect(await asked).toMatchObject({ kind: 'cut', isFinal: true });
  });

  it('cannot make c3 keep more lines of a file than its limit, even empty ones', async () => {
    const container = createLyingContainer();
    const asked = openReader(container).readFiles('main', 'journal.');
    await untilAsked(container, 'tell b journal.');
    expect(await container.repeat(Buffer.from('J\n'.repeat(MIB / 2)), PLENTY)).toBeLessThan(PLENTY);
    const told = await asked;
    expect(told.kind === 'answered' && told.value.lines.length).toBe((16 * MIB) / 64);
  });

  it('cannot make c3 keep more of its standard error than the end, on any of many connections', async () => {
    await collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const lines: AgentConnection[] = [];
    for (let count = 0; count < 20; count += 1) {
      const container = createLyingContainer();
      lines.push(await openInto(container));
      await container.mutter(Buffer.alloc(4 * MIB, 0xff));
    }
    await collectGarbage();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 * MIB);
    expect(lines).toHaveLength(20);
  });

  it('is disconnected when it sends without a command', async () => {
    const container = createLyingContainer();
    const line = await openInto(container);
    expect(await container.repeat(Buffer.from('H 0\n'), PLENTY)).toBe(1000);
    expect(await line.over).toMatchObject({
      isFinal: true,
      message: expect.stringContaining('goes on sending without a command'),
    });
  });

  it('is disconnected when it answers before its hello', async () => {
    const container = createLyingContainer('T\n');
    const line = await openInto(container);
    expect(await line.over).toMatchObject({ isFinal: true, message: expect.stringContaining('before it was ready') });
  });

  it.each([
    ['heartbeats', 'H 0\n'],
    ['pieces of a log', 'D 0 1\nx'],
    ['skipped parts of a log', 'K 0 1\n'],
  ])('does not block the event loop when it floods c3 with %s', async (_what, first) => {
    const container = createLyingContainer();
    let turns = 0;
    const flood = new AbortController();
    void (async () => {
      for (; !flood.signal.aborted; turns += 1) await nextTurn();
    })();
    const result = runIn(container);
    await untilAsked(container, 'run b s0');
    const frames = Array.from({ length: 20_000 }, (_, at) =>
      first.replace(/0 1/, `${at} ${at + 1}`).replace(/^D (\d+) \d+/, 'D $1 1'),
    );
    const before = turns;
    expect(await container.say(frames.join(''))).toBe(true);
    expect(turns - before).toBeGreaterThanOrEqual(frames.length / 64 - 1);
    flood.abort();
    await container.say(`X ${first.startsWith('H') ? 0 : frames.length} 3 exited end\n`);
    expect(await result).toEqual({ kind: 'exited', exitCode: 3 });
  });

  it('fails a step when it sends a larger log end than an agent does', async () => {
    const container = createLyingContainer();
    const ends: number[] = [];
    const result = runIn(container, { onLog: ({ bytes }) => void ends.push(bytes.length) });
    await untilAsked(container, 'run b s0');
    const block = Buffer.alloc(65_536);
    await container.say(Buffer.concat([Buffer.from(`D 0 ${block.length}\n`), block, Buffer.from('H 65536\n')]));
    await container.say(Buffer.concat([Buffer.from(`D 0 ${2 * block.length}\n`), block, Buffer.of(0)]));
    expect(await result).toEqual({ kind: 'lost', message: 'its container sends a log that c3 did not request' });
    expect(ends).toEqual([block.length]);
  });

  it('cannot delay a build that is resumed too late with endless heartbeats', async () => {
    const container = createLyingContainer();
    const progress = createBuildProgress(createBuild(), { urls: { repository: '', commit: '' }, now: Date.now });
    progress.plan([TASK], true);
    const open = (): StepAgent => openAgent(container);
    const none = (): string => '';
    const verdict = runTask(
      TASK,
      { deadline: 0, limit: 'the time limit of the build', signal: new AbortController().signal },
      {
        build: createBuild(),
        workspace: container.workspace,
        workdir: { path: '/c3/project', mayStartElsewhere: false },
        isResumed: true,
        agents: {
          enter: async () => await open().ready(),
          use: async (_container, work) => await work(open()),
          openAnother: open,
          warmUp: none,
          condemn: none,
          sweep: () => Promise.resolve(false),
        },
        progress,
        masking: createMasking([]),
        limits: { ...DEFAULT_STEP_LIMITS, answerMs: 100 },
        takeNotes: none,
        toProof: none,
        reader: openReader(container),
        logs: new Map(),
      },
    );
    const alive = setInterval(() => void container.say('H 0\n'), 10);
    expect(await verdict).toMatchObject({ kind: 'stopped' });
    clearInterval(alive);
  });
});
