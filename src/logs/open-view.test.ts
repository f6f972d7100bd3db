import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { createBuild } from '../../test/fakes/sample-build.ts';
import type { BuildState } from '../build/index.ts';
import { toFile, type LookAnswers } from '../../test/fakes/build-world.ts';
import { toLocalBuildId } from '../../test/fakes/local-workspace.ts';
import { readView, toTexts } from '../../test/fakes/read-view.ts';
import { list, useSeenBuilds } from '../../test/fakes/seen-builds.ts';
import { C3Error } from '../errors.ts';
import type { FindAnswer } from '../engine/cluster.ts';
import type { BuildLook } from './build-view.ts';
import { WAIT_MS } from '../../test/time-limits.ts';

const builds = useSeenBuilds();
const { build, see } = builds;
function withoutTails(state: BuildState | undefined): BuildState | undefined {
  return state && { ...state, links: undefined, steps: state.steps.map((step) => ({ ...step, tail: '' })) };
}

describe('of a build that has ended', () => {
  it('the Pod has the state and the logs, for a c3 that does not know the build', async () => {
    const order = await build(
      '- {container: main, run: "echo once; [ -e again ] || { touch again; exit 3; }", name: try, retry: 1}\n- main: printf "a\\nb"',
    );
    const view = await see({ ...order, before: 'success' });
    expect(view.isLed).toBe(false);
    const told = withoutTails(builds.world.states.at(-1));
    expect(view.state).toMatchObject({
      ...told,
      build: { commit: { subject: 's', author: 'a' }, sha: builds.world.sha },
    });
    expect(view.state.phase).toEqual({ kind: 'ended', ending: { kind: 'passed', allowed: [] } });
    expect(await list(view.changes(new AbortController().signal))).toEqual([view.state]);
    expect(toTexts(await readView(view, { index: 1 }))).toEqual(['once']);
    expect(toTexts(await readView(view, { index: 1, attempt: 2 }))).toEqual(['once']);
    const last = await readView(view, { index: 2 });
    expect(last).toMatchObject({
      reading: { kind: 'whole', to: 3 },
      lines: [
        { text: 'a', seconds: 0 },
        { text: 'b', seconds: 0 },
      ],
    });
    expect(last.ends.at(-1)).toEqual({ end: { offset: 3, pieces: 0 }, count: 2 });
    expect(builds.world.looks).toEqual([
      expect.objectContaining({
        scope: 'f.example/a/b',
        owner: 'protected refs/heads/main',
        root: join(builds.world.workspace.directory, '.c3'),
        buildId: order.id,
        reuse: true,
      }),
    ]);
  });

  it('a step that did not run has no log and is not waited for', async () => {
    const view = await see(await build('- main: exit 4\n- main: echo never'));
    expect(view.state.steps.map(({ phase }) => phase.kind)).toEqual(['passed', 'failed', 'skipped']);
    const failed = (message: string): object => ({ reading: { kind: 'failed', to: 0, message } });
    expect(await readView(view, { index: 2 })).toMatchObject(failed('step "echo never" was skipped'));
    expect(await readView(view, { index: 1, attempt: 2 })).toMatchObject(
      failed('step "exit 4" was not tried so often'),
    );
    expect(await readView(view, { index: 9 })).toMatchObject(failed('the build has no such step'));
    rmSync(join(builds.world.workspace.directory, '.c3', view.state.build.id, 's1.exit'));
    rmSync(join(builds.world.workspace.directory, '.c3', view.state.build.id, 's1.log'));
    expect(await readView(view, { index: 1 })).toMatchObject(failed('there is no such log in the container'));
  });

  it('no secret is shown, by line, by piece, from any place, or in the copy', async () => {
    const order = await build(
      '- main: printf "one %s two\\n" "$KEY"; printf "%s" "$KEY" | base64 -w 0; echo; echo "opened sealed.k8s.value.here tokentoken"; echo "$KEY"',
      {},
      'secrets: {KEY: my.very.secret.value.here}\n',
    );
    const view = await see(order);
    expect(view.state.steps.map(({ command }) => command)).toEqual([
      undefined,
      'printf "one %s two\\n" "$KEY"; printf "%s" "$KEY" | base64 -w 0; echo; echo "*** ***"; echo "$KEY"',
    ]);
    const shown = toTexts(await readView(view, { index: 1 }));
    expect(shown).toEqual(['one *** two', '***=', '*** ***', '***']);
    let copy = '';
    const onBytes = (bytes: Uint8Array): void => void (copy += Buffer.from(bytes).toString());
    const { signal } = new AbortController();
    expect((await view.copyLog({ index: 1, attempt: 1 }, { signal, onBytes })).kind).toBe('whole');
    expect(copy.split('\n')).toEqual([...shown, '']);
    for (let offset = 0; offset < 60; offset += 3) {
      const { lines } = await readView(view, { index: 1, from: { offset, pieces: 0 } });
      expect(lines.map(({ text }) => text).join('\n')).not.toMatch(/very|secret|here/);
    }
  });

  it('a secret is hidden that is for the ref of the build, and none is opened that is for another', async () => {
    const secrets =
      "secrets: {KEY: {value: my.very.own.value, ref: refs/heads/main}, TAGGED: {value: a.b.c.d, ref: 'refs/tags/*'}}";
    const view = await see(
      await build('- main: env | sed -n "s/^KE[Y]=//p; s/^TAGGE[D]=/leaked /p"', {}, `${secrets}\n`),
    );
    expect(toTexts(await readView(view, { index: 1 }))).toEqual(['***']);
  });

  it('each line has the second in which it was written, and the last line that of the step', async () => {
    const times = '../.c3/$C3_BUILD_ID/s1.times';
    const noted = (size: number): string => `until grep -qs " ${size}$" ${times}; do sleep 0.05; done`;
    const view = await see(await build(`- main: echo a; ${noted(2)}; echo b; ${noted(4)}; sleep 2; echo c`));
    const file = join(builds.world.workspace.directory, '.c3', view.state.build.id, 's1.times');
    const [first = 0, second = 0] = readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => Number(line.split(' ')[0]));
    const { lines } = await readView(view, { index: 1 });
    expect(lines.slice(0, 2)).toEqual([
      { text: 'a', seconds: first - 1 },
      { text: 'b', seconds: second - 1 },
    ]);
    expect(lines[2]?.seconds).toBeGreaterThanOrEqual(second);
  });

  it('the lines are the same from every position that was passed on', async () => {
    const view = await see(
      await build('- main: i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i of many"; done; printf end'),
    );
    const whole = await readView(view, { index: 1 });
    expect(whole.lines).toHaveLength(20_001);
    expect(whole.ends.length).toBeGreaterThan(1);
    for (const { end, count } of whole.ends) {
      expect(toTexts(await readView(view, { index: 1, from: end }))).toEqual(toTexts(whole).slice(count));
    }
  });

  it('many readers share few connections, and a stalled one delays nobody', async () => {
    const view = await see(await build('- main: i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo "line $i"; done'));
    const before = builds.world.workspace.execCount;
    const stall = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<undefined>();
    const stalled = Array.from({ length: 6 }, async () =>
      readView(view, { index: 1 }, { onLines: () => (begun.resolve(undefined), stall.promise) }),
    );
    await begun.promise;
    const others = await Promise.all(Array.from({ length: 20 }, async () => await readView(view, { index: 1 })));
    expect(others.map(({ lines }) => lines.length)).toEqual(Array.from({ length: 20 }, () => 9000));
    expect(builds.world.workspace.execCount - before).toBeLessThanOrEqual(4);
    stall.resolve(undefined);
    for (const { lines, reading } of await Promise.all(stalled))
      expect([lines.length, reading.kind]).toEqual([9000, 'whole']);
  });

  it('no reader loses a line when a connection is cut', async () => {
    const order = await build('- main: i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo "line $i"; done');
    for (let cut = 0; cut < 3; cut += 1) builds.world.workspace.plan.push({ kind: 'cut-after', bytes: 10 * cut });
    const view = await see(order);
    for (let cut = 0; cut < 3; cut += 1) builds.world.workspace.plan.push({ kind: 'cut-after', bytes: 20_000 });
    builds.world.workspace.cut();
    const { lines, reading } = await readView(view, { index: 1 });
    expect(lines).toHaveLength(9000);
    expect(lines.at(-1)?.text).toBe('line 9000');
    expect(reading.kind).toBe('whole');
    expect(builds.world.workspace.plan).toEqual([]);
  });

  it('a view changes nothing', async () => {
    const order = await build('- main: echo hello');
    const root = join(builds.world.workspace.directory, '.c3');
    const list = (): string[] => readdirSync(root, { recursive: true }).map(String).toSorted();
    const before = list();
    writeFileSync(join(root, 'epoch.999999'), '');
    const view = await see(order);
    await readView(view, { index: 1 });
    expect(builds.world.events).not.toContain('close');
    view.close();
    expect(builds.world.events.at(-1)).toBe('close');
    expect(list()).toEqual([...before, 'epoch.999999'].toSorted());
    const strange = await builds.world.look({ ...order, id: 'another' });
    expect(strange.kind).toBe('outcome');
    expect(existsSync(join(root, 'another'))).toBe(false);
  });
});

it('each container has the journal, so that one of them is enough', async () => {
  const one = toFile('- main: echo one\n- other: echo two');
  const text = one.kind === 'found' ? one.text : '';
  const other = "containers: [{name: other, image: busybox, command: [sleep, '100000']}, {name: main";
  const order = await build('', { file: { kind: 'found', text: text.replace('containers: [{name: main', other) } });
  const root = join(builds.world.workspace.directory, '.c3', order.id);
  const state = (await see(order)).state;
  expect(state.phase.kind).toBe('ended');
  for (const container of ['main', 'other']) {
    const kept = readFileSync(join(root, `journal.${container}`));
    rmSync(join(root, `journal.${container}`));
    expect((await see(order)).state).toEqual(state);
    writeFileSync(join(root, `journal.${container}`), kept);
  }
  const view = await see(order);
  expect(toTexts(await readView(view, { index: 2 }))).toEqual(['two']);
});

describe('when the notes in the Pod and the forge differ', () => {
  it('the forge counts', async () => {
    const order = await build('- main: echo hello');
    const view = await see({ ...order, before: 'failure' });
    expect(view.state).toMatchObject({
      phase: { kind: 'ended', ending: { kind: 'failed', message: 'as it was' } },
      warnings: [expect.stringContaining('the ending that the forge reports')],
    });
    expect((await readView(view, { index: 1 })).reading.kind).toBe('whole');
  });

  it('a step cannot note a success, also when the forge does not answer', async () => {
    const forged = JSON.stringify({
      e: 1e12,
      n: 1,
      v: { phase: { phase: { kind: 'ended', ending: { kind: 'passed' } } } },
    });
    const journal = '../.c3/$C3_BUILD_ID/journal.main';
    const order = await build(
      `- main: |\n    echo '${forged}' >> ${journal}; echo '${forged}${'0'.repeat(32)}' >> ${journal}; exit 3`,
    );
    const view = await see({ ...order, before: new C3Error('FORGE_UNREACHABLE', 'Cannot reach it') });
    expect(view.state.phase).toMatchObject({ kind: 'ended', ending: { kind: 'failed', message: 'exit code 3' } });
  });

  it('a forge that does not answer causes a warning', async () => {
    const order = await build('- main: echo hello');
    const view = await see({ ...order, before: new C3Error('FORGE_UNREACHABLE', 'Cannot reach it') });
    expect(view.state).toMatchObject({
      phase: { kind: 'ended', ending: { kind: 'passed' } },
      warnings: [expect.stringContaining('The forge does not answer')],
    });
  });
});

it.each([
  ['exit 3', { kind: 'failed', exitCode: 3 }],
  ['exit 0', { kind: 'passed' }],
])('of a build whose c3 died, a step that ended since (%s) is shown so', async (script, phase) => {
  const order = await build(`- main: echo hello; ${script}`);
  const journal = join(builds.world.workspace.directory, '.c3', order.id, 'journal.main');
  const lines = readFileSync(journal, 'utf8').split('\n');
  writeFileSync(journal, `${lines.slice(0, -2).join('\n')}\n`);
  const view = await see(order);
  expect(view.state.phase).toEqual({ kind: 'running' });
  expect(view.state.steps.map((step) => step.phase)).toEqual([{ kind: 'passed' }, phase]);
  expect(await readView(view, { index: 1 })).toMatchObject({ reading: { kind: 'whole' }, lines: [{ text: 'hello' }] });
});

it('of a build whose c3 died, a step is not shown as passed by an exit file that another program has written', async () => {
  const order = await build('- main: echo hello; exit 3');
  const directory = join(builds.world.workspace.directory, '.c3', order.id);
  const lines = readFileSync(join(directory, 'journal.main'), 'utf8').split('\n');
  writeFileSync(join(directory, 'journal.main'), `${lines.slice(0, -2).join('\n')}\n`);
  const [, proof = ''] = /end (\w+)/.exec(readFileSync(join(directory, 's0.exit'), 'utf8')) ?? [];
  expect(proof).not.toBe('');
  for (const forged of ['', proof]) {
    writeFileSync(join(directory, 's1.exit'), `0 exited end ${forged}\n`);
    expect((await see(order)).state.steps[1]?.phase).toMatchObject({ kind: 'lost' });
  }
});

it('a build of which nothing was noted is shown with its steps and its logs', async () => {
  const order = await build('- main: echo hello');
  rmSync(join(builds.world.workspace.directory, '.c3', order.id, 'journal.main'));
  const view = await see(order);
  expect(view.state).toMatchObject({
    phase: { kind: 'running' },
    build: { commit: { subject: '' } },
    startedAt: expect.any(Number) as unknown,
  });
  expect(view.state.steps.map(({ name, phase }) => [name, phase.kind])).toEqual([
    ['checkout', 'pending'],
    ['main', 'pending'],
  ]);
  expect(toTexts(await readView(view, { index: 1 }))).toEqual(['hello']);
  expect((await readView(view, { index: 1, attempt: 2 })).reading).toMatchObject({ kind: 'failed' });
});

it('a build that another c3 leads is shown as far as it has come, and its log goes on', async () => {
  const cancel = new AbortController();
  const order = {
    id: toLocalBuildId(),
    file: toFile('- main: echo up; until [ -e on ]; do sleep 0.05; done; echo down'),
  };
  const ended = builds.world.run({ ...order, cancel });
  const log = join(builds.world.workspace.directory, '.c3', order.id, 's1.log');
  await vi.waitUntil(() => existsSync(log) && readFileSync(log, 'utf8') === 'up\n', { timeout: WAIT_MS });
  const view = await see(order);
  expect(view.isLed).toBe(false);
  expect(view.state.phase).toEqual({ kind: 'running' });
  expect(view.state.steps.map(({ phase }) => phase.kind)).toEqual(['passed', 'running']);
  const reading = readView(
    view,
    { index: 1 },
    { onLines: () => writeFileSync(join(builds.world.workspace.directory, 'project/on'), '') },
  );
  expect(toTexts(await reading)).toEqual(['up', 'down']);
  await ended;
});

describe('without a Pod that knows the build', () => {
  const ID = { id: 'b1', before: 'failure' } as const;
  async function look(part: Partial<LookAnswers>): Promise<BuildLook> {
    return await builds.world.look({ ...ID, ...part });
  }

  it('the outcome is what the forge knows', async () => {
    const message = 'its Pod build-1 was deleted, and its logs with it';
    expect(await look({ looked: () => ({ kind: 'gone', message }) })).toEqual({
      kind: 'outcome',
      outcome: {
        build: createBuild({
          id: 'b1',
          scope: { host: 'f.example', owner: 'a', name: 'b' },
          sha: builds.world.sha,
          commit: { subject: 's', author: 'a' },
        }),
        urls: { repository: 'https://f.example/a/b', commit: 'u' },
        status: {
          state: 'failure',
          buildId: 'b1',
          ending: { kind: 'failed', step: 'a step', message: 'as it was' },
          refName: 'main',
          text: 'as it was',
        },
        message,
        problems: [],
      },
    });
    expect(await builds.world.look({ id: 'b1', looked: () => ({ kind: 'gone', message }) })).toMatchObject({
      outcome: { status: undefined },
    });
  });

  it('a wrong c3.yaml is shown with its problems', async () => {
    const file = toFile('- main: ls\n  wen: {}');
    expect(await look({ file })).toMatchObject({
      kind: 'outcome',
      outcome: {
        message: expect.stringContaining('unknown key "wen"') as unknown,
        problems: [
          {
            location: expect.stringMatching(/^c3\.yaml:\d+:3$/) as unknown,
            url: expect.stringMatching(/^https:\/\/f\.example\/c3\.yaml#L\d+$/) as unknown,
            message: 'unknown key "wen"',
            hint: 'did you mean "when"?',
          },
        ],
      },
    });
    expect(await look({ file: { kind: 'missing' } })).toMatchObject({
      outcome: { message: `There is no c3.yaml at ${builds.world.sha.slice(0, 7)}` },
    });
    expect(await look({ faults: ['The job is privileged'] })).toMatchObject({
      outcome: { message: 'The job is privileged' },
    });
    expect(builds.world.looks).toEqual([]);
  });

  it('a sealed value that does not open, or opens to no kubeconfig, is an outcome', async () => {
    expect(await look({ open: new C3Error('SEALED_INVALID', 'It does not open here') })).toMatchObject({
      kind: 'outcome',
      outcome: { message: 'c3.yaml: k8s: It does not open here' },
    });
    const cluster = new C3Error('KUBECONFIG_INVALID', 'It names a program', { hint: 'use a token' });
    expect(await look({ cluster })).toMatchObject({
      kind: 'outcome',
      outcome: { message: 'It names a program (use a token)' },
    });
  });

  it('a build whose files later builds removed is an outcome', async () => {
    await build('- main: ls');
    expect(await look({ file: toFile('- main: ls') })).toMatchObject({
      kind: 'outcome',
      outcome: { message: 'its Pod local has nothing of it any more: later builds ran there' },
    });
    expect(builds.world.events.at(-1)).toBe('close');
  });

  it('a forge or a cluster that does not answer is no outcome', async () => {
    const before = new C3Error('FORGE_UNAUTHORIZED', 'The token was revoked');
    const looked = (): FindAnswer => ({ kind: 'gone', message: 'gone' });
    expect(await look({ before, looked })).toEqual({ kind: 'failed', message: 'The token was revoked' });
    expect(await look({ looked: () => ({ kind: 'failed', message: 'Cannot reach the cluster' }) })).toEqual({
      kind: 'failed',
      message: 'Cannot reach the cluster',
    });
    // The world's c3.yaml has this for its kubeconfig.
    const message = 'Cannot reach "opened sealed.k8s.value.here"';
    const hidden = { message: 'Cannot reach "***"' };
    expect(await look({ looked: () => ({ kind: 'failed', message }) })).toEqual({ kind: 'failed', ...hidden });
    expect(await look({ looked: () => ({ kind: 'gone', message }) })).toMatchObject({ outcome: hidden });
    builds.world.workspace.plan.push({ kind: 'refuse', message: 'no exec for you', isFinal: true });
    expect(await look({})).toEqual({ kind: 'failed', message: 'no exec for you' });
  });
});
