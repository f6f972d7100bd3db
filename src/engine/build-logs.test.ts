import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { toFile } from '../../test/fakes/build-world.ts';
import { toLocalBuildId } from '../../test/fakes/local-workspace.ts';
import { readView, toTexts } from '../../test/fakes/read-view.ts';
import { list, useSeenBuilds } from '../../test/fakes/seen-builds.ts';
import { createRunning } from '../../test/fakes/running-build.ts';

vi.setConfig({ testTimeout: 60_000 });

const builds = useSeenBuilds();
const { build, see } = builds;

describe('of a build that this process leads', () => {
  it('a log is waited for, comes as it is written, and ends with its step', async () => {
    const { running, onState, end } = createRunning();
    const order = {
      id: toLocalBuildId(),
      file: toFile(
        '- main: until [ -e go ]; do sleep 0.05; done\n- main: echo first; printf "%s" "50%"; until [ -e on ]; do sleep 0.05; done; echo " done"',
      ),
    };
    const begun = Promise.withResolvers<undefined>();
    const ended = builds.world
      .run({ ...order, onState: (state) => (onState(state), begun.resolve(undefined)) })
      .finally(end);
    await begun.promise;
    const view = await see({ ...order, running });
    expect(view.isLed).toBe(true);
    const partial = Promise.withResolvers<undefined>();
    const reading = readView(
      view,
      { index: 2 },
      { onPartial: (text) => (text === '50%' ? partial.resolve(undefined) : undefined) },
    );
    const touch = (name: string): void => writeFileSync(join(builds.world.workspace.directory, 'project', name), '');
    await vi.waitUntil(() => view.state.steps[1]?.phase.kind === 'running', { timeout: 20_000 });
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

  it('what never begins ends the waiting with the build', async () => {
    const { running, onState, end } = createRunning();
    const order = { id: toLocalBuildId(), file: toFile('- main: exit 1\n- main: echo never') };
    const begun = Promise.withResolvers<undefined>();
    const ended = builds.world
      .run({ ...order, onState: (state) => (onState(state), begun.resolve(undefined)) })
      .finally(end);
    await begun.promise;
    const view = await see({ ...order, running });
    const { reading } = await readView(view, { index: 2 });
    expect(reading).toEqual({ kind: 'failed', to: 0, message: 'step "main" did not run' });
    await ended;
  });

  it('a Pod that cannot be reached now is asked for again with the next log', async () => {
    const { running, onState, end } = createRunning();
    const order = await build('- main: echo hello', { onState });
    end();
    const looked = { kind: 'failed', message: 'Cannot reach the cluster' } as const;
    const answers = [looked];
    const view = await see({ ...order, running, looked: () => answers.shift() });
    expect((await readView(view, { index: 1 })).reading).toEqual({ ...looked, to: 0 });
    expect(toTexts(await readView(view, { index: 1 }))).toEqual(['hello']);
  });

  it('closing a view ends what is read from it', async () => {
    const { running, onState, end } = createRunning();
    const cancel = new AbortController();
    const order = { id: toLocalBuildId(), file: toFile('- main: echo up; sleep 1000') };
    const ended = builds.world.run({ ...order, cancel, onState }).finally(end);
    await vi.waitUntil(() => builds.world.states.at(-1)?.steps[1]?.phase.kind === 'running', { timeout: 20_000 });
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
