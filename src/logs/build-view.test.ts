import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { toFile, type Answers } from '../../test/fakes/build-world.ts';
import { toLocalBuildId } from '../../test/fakes/local-workspace.ts';
import { readView, toTexts } from '../../test/fakes/read-view.ts';
import { list, useSeenBuilds } from '../../test/fakes/seen-builds.ts';
import { createRunning } from '../../test/fakes/running-build.ts';
import { createEnded, FAILED } from '../../dev/telegram/build-states.ts';
import { createMasking } from '../sealing/index.ts';
import { createBuildView, type BuildView } from './build-view.ts';
import { SLICE_CHARACTERS, SLICE_LINES } from './log-lines.ts';
import { WAIT_MS } from '../../test/time-limits.ts';

const builds = useSeenBuilds();
const { build, see } = builds;

/** Starts a build, and opens the view of it when it has a state. */
async function start(order: {
  readonly id: string;
  readonly file: Answers['file'];
}): Promise<{ readonly view: BuildView; readonly ended: Promise<unknown> }> {
  const { running, onState, end } = createRunning();
  const begun = Promise.withResolvers<undefined>();
  const ended = builds.world
    .run({ ...order, onState: (state) => (onState(state), begun.resolve(undefined)) })
    .finally(end);
  await begun.promise;
  return { view: await see({ ...order, running }), ended };
}

describe('of a build that this process leads', () => {
  it('a log is waited for, comes as it is written, and ends with its step', async () => {
    const order = {
      id: toLocalBuildId(),
      file: toFile(
        '- main: until [ -e go ]; do sleep 0.05; done\n- main: echo first; printf "%s" "50%"; until [ -e on ]; do sleep 0.05; done; echo " done"',
      ),
    };
    const { view, ended } = await start(order);
    expect(view.isLed).toBe(true);
    const partial = Promise.withResolvers<undefined>();
    const reading = readView(
      view,
      { index: 2 },
      { onPartial: (text) => (text === '50%' ? partial.resolve(undefined) : undefined) },
    );
    const touch = (name: string): void => writeFileSync(join(builds.world.workspace.directory, 'project', name), '');
    await vi.waitUntil(() => view.state.steps[1]?.phase.kind === 'running', { timeout: WAIT_MS });
    touch('go');
    await partial.promise;
    expect(view.state.steps[2]?.phase.kind).toBe('running');
    touch('on');
    const { lines, reading: last } = await reading;
    expect(lines.map(({ text }) => text)).toEqual(['first', '50% done']);
    expect(last.kind).toBe('whole');
    await ended;
    const states = await list(view.changes(new AbortController().signal));
    expect(states.at(-1)?.phase.kind).toBe('ended');
  });

  it('a step that never begins is waited for until the build ends', async () => {
    const order = { id: toLocalBuildId(), file: toFile('- main: exit 1\n- main: echo never') };
    const { view, ended } = await start(order);
    const { reading } = await readView(view, { index: 2 });
    expect(reading).toEqual({ kind: 'failed', to: 0, message: 'step "echo never" was skipped' });
    await ended;
  });

  it('a Pod that cannot be reached is tried again with the next log', async () => {
    const { running, onState, end } = createRunning();
    const order = await build('- main: echo hello', { onState });
    end();
    const looked = { kind: 'failed', message: 'Cannot reach the cluster' } as const;
    const answers = [looked];
    const view = await see({ ...order, running, looked: () => answers.shift() });
    expect((await readView(view, { index: 1 })).reading).toEqual({ ...looked, to: 0 });
    expect(toTexts(await readView(view, { index: 1 }))).toEqual(['hello']);
  });

  it('closing a view ends its readers', async () => {
    const { running, onState, end } = createRunning();
    const cancel = new AbortController();
    const order = { id: toLocalBuildId(), file: toFile('- main: echo up; sleep 1000') };
    const ended = builds.world.run({ ...order, cancel, onState }).finally(end);
    await vi.waitUntil(() => builds.world.states.at(-1)?.steps[1]?.phase.kind === 'running', { timeout: WAIT_MS });
    const view = await see({ ...order, running });
    const up = Promise.withResolvers<undefined>();
    const reading = readView(view, { index: 1 }, { onLines: () => up.resolve(undefined) });
    const waiting = list(view.changes(new AbortController().signal));
    await up.promise;
    view.close();
    expect((await reading).reading).toEqual({ kind: 'aborted' });
    await waiting;
    expect((await readView(view, { index: 1 })).reading).toEqual({ kind: 'aborted' });
    cancel.abort();
    await ended;
  });
});

/** The view of a build that has ended, whose one step has written this, all in one part. */
function viewLog(log: string, onFetch: () => void = () => {}): BuildView {
  const state = createEnded({ kind: 'passed', allowed: [] }, { steps: FAILED.steps.slice(0, 1) });
  const bytes = Buffer.from(log);
  const part = { kind: 'part', skipped: undefined, offset: bytes.length, base: 0, isCut: false } as const;
  return createBuildView({
    state,
    isLed: false,
    changes: () => (async function* () {})(),
    openLogs: () =>
      Promise.resolve({
        kind: 'open',
        masking: createMasking([]),
        reader: {
          readFiles: () => Promise.resolve({ kind: 'answered', value: { begunAtMs: 1, lines: [] } }),
          openStream: () => {
            throw new Error('nobody copies it');
          },
          readPart: () => (onFetch(), Promise.resolve({ ...part, bytes, isLast: true })),
          close: () => {},
        },
      }),
    now: () => 0,
    close: () => {},
  });
}

describe('a part of a log', () => {
  it.each([
    ['of empty lines', '\n'.repeat(200_000)],
    ['of long lines', `${'x'.repeat(16_384)}\n`.repeat(64)],
    ['of one line', 'x'.repeat(1_000_000)],
  ])('%s is passed on in slices of limited lines and characters', async (_, log) => {
    const { lines, ends, reading } = await readView(viewLog(log), { index: 0 });
    expect(reading.kind).toBe('whole');
    expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBe(log.replaceAll('\n', '').length);
    for (const [index, { count }] of ends.entries()) {
      const slice = lines.slice(ends[index - 1]?.count ?? 0, count);
      expect(slice.length).toBeLessThanOrEqual(SLICE_LINES);
      expect(slice.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(SLICE_CHARACTERS);
    }
  });

  it('is passed on slice by slice, each in its own turn of the event loop, for any number of readers', async () => {
    let [turn, isOver] = [0, false];
    const count = (): void => {
      turn += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const turns: number[] = [];
    const readers = Array.from({ length: 3 }, async () => {
      await readView(viewLog('\n'.repeat(10_000)), { index: 0 }, { onLines: () => void turns.push(turn) });
    });
    await Promise.all(readers);
    isOver = true;
    expect(turns.length).toBeGreaterThanOrEqual(30);
    expect(new Set(turns).size).toBe(turns.length);
  });

  it('is fetched and passed on when its reader has room for it', async () => {
    const room = Promise.withResolvers<void>();
    const told: string[] = [];
    const reading = readView(
      viewLog('a\n', () => told.push('fetched')),
      { index: 0 },
      {
        onLines: () => void told.push('handed over'),
        async within(work) {
          await room.promise;
          const value = await work();
          told.push('over');
          return value;
        },
      },
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toEqual([]);
    room.resolve();
    await reading;
    expect(told).toEqual(['fetched', 'handed over', 'over']);
  });

  it('is not passed on, and does not count as read, when no more is wanted', async () => {
    const enough = new AbortController();
    const { lines, reading } = await readView(
      viewLog('\n'.repeat(10_000)),
      { index: 0 },
      { signal: enough.signal, onLines: () => enough.abort() },
    );
    expect(lines).toHaveLength(SLICE_LINES);
    expect(reading).toEqual({ kind: 'aborted' });
  });
});
