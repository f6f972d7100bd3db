import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { WAIT_MS } from '../../test/time-limits.ts';
import type { BuildState } from '../build/index.ts';
import { toFile, useWorlds, type World } from '../../test/fakes/build-world.ts';
import { C3Error } from '../errors.ts';

const createWorld = useWorlds();

const PASSED = { kind: 'passed', allowed: [] } as const;

const last = (world: World): BuildState | undefined => world.states.at(-1);

describe('a build', () => {
  it('proves, then says pending, then opens, then runs', async () => {
    const world = createWorld();
    expect(await world.run()).toEqual(PASSED);
    expect(world.events).toEqual(['prove', 'status pending', 'open k8s', 'pod']);
    expect(last(world)?.steps).toMatchObject([
      { name: 'checkout', phase: { kind: 'passed' } },
      { name: 'main', phase: { kind: 'passed' }, tail: 'hello\n' },
    ]);
    expect(world.released).toEqual([true]);
  });

  it('opens nothing and runs nothing for a push that the forge does not confirm', async () => {
    const world = createWorld();
    const ending = await world.run({ proof: { kind: 'refused', message: 'The token may not push' } });
    expect(ending).toEqual({ kind: 'refused', message: 'The token may not push' });
    expect(world.events).toEqual(['prove']);
    expect(last(world)?.phase).toEqual({ kind: 'ended', ending });
  });

  it('runs nothing when the pending status is refused, and keeps the Pod', async () => {
    const world = createWorld();
    const ending = await world.run({ status: new C3Error('FORGE_REFUSED', 'The forge refused the status') });
    expect(ending).toEqual({ kind: 'refused', message: 'The forge refused the status' });
    expect(world.events).toEqual(['prove', 'status pending', 'open k8s', 'pod']);
    expect(last(world)?.steps).toEqual([]);
    expect(world.released).toEqual([true]);
  });

  it('runs with a warning when the forge accepts no more statuses of the commit', async () => {
    const world = createWorld();
    const message = 'The status of aaaaaaaaaaaa stays as it is: the forge answers 422';
    expect(await world.run({ status: new C3Error('STATUS_LIMIT', message) })).toEqual(PASSED);
    expect(last(world)?.warnings).toContain(message);
  });

  it('starts no step before the forge has the pending status', async () => {
    const world = createWorld();
    const statusSet = Promise.withResolvers<undefined>();
    const ending = world.run({ statusSet: statusSet.promise });
    await vi.waitUntil(() => world.events.includes('pod'), { timeout: WAIT_MS });
    await setImmediate();
    expect(last(world)?.steps).toEqual([]);
    statusSet.resolve(undefined);
    expect(await ending).toEqual(PASSED);
  });

  it.each([
    ['a value that does not open', { open: new C3Error('SEALED_INVALID', 'damaged') }],
    ['a job that is not allowed', { faults: ['job.spec.hostPID: must not be true'] }],
    ['a cluster that refuses', { cluster: new C3Error('KUBECONFIG_INVALID', 'no server') }],
  ])(
    'that ends because of %s waits for the pending status first, so that the final one is the last',
    async (_, answers) => {
      const world = createWorld();
      const statusSet = Promise.withResolvers<undefined>();
      const ending = world.run({ statusSet: statusSet.promise, ...answers });
      await vi.waitUntil(() => world.events.includes('status pending'), { timeout: WAIT_MS });
      await setImmediate();
      expect(last(world)?.phase.kind).not.toBe('ended');
      statusSet.resolve(undefined);
      expect((await ending).kind).toBe('config-error');
      expect(last(world)?.phase.kind).toBe('ended');
    },
  );

  it('tells a forge that cannot be reached from one that refuses', async () => {
    const ending = await createWorld().run({ proof: new C3Error('FORGE_UNREACHABLE', 'Cannot reach f.example') });
    expect(ending).toEqual({ kind: 'infrastructure-error', message: 'Cannot reach f.example' });
  });

  it('says that there is no c3.yaml', async () => {
    const world = createWorld();
    const ending = await world.run({ file: { kind: 'missing' } });
    expect(ending).toEqual({ kind: 'config-error', message: `There is no c3.yaml at ${world.sha.slice(0, 7)}` });
  });

  it('says what is wrong in c3.yaml with its line, and opens nothing', async () => {
    const world = createWorld();
    const ending = await world.run({ file: toFile('- mian: echo hello') });
    expect(ending).toMatchObject({
      kind: 'config-error',
      message: expect.stringMatching(/^c3\.yaml:9:3 error: .*mian/),
    });
    expect(world.events).toEqual(['prove']);
  });

  it('says which value does not open', async () => {
    const ending = await createWorld().run({ open: new C3Error('SEALED_INVALID', 'It does not open') });
    expect(ending).toEqual({ kind: 'config-error', message: 'c3.yaml: k8s: It does not open' });
  });

  it('passes the words of the cluster on', async () => {
    const failed = { kind: 'failed', message: 'Image "x" cannot be pulled' } as const;
    const ending = await createWorld().run({ workspace: failed });
    expect(ending).toEqual({ kind: 'infrastructure-error', message: 'Image "x" cannot be pulled' });
  });

  it('stops at the first step that fails and skips the rest', async () => {
    const world = createWorld();
    const ending = await world.run({
      file: toFile('- main: echo one\n- main: exit 3\n  name: two\n- main: echo three'),
    });
    expect(ending).toEqual({ kind: 'failed', step: 'two', message: 'exit code 3' });
    expect(last(world)?.steps.map(({ phase }) => phase)).toEqual([
      { kind: 'passed' },
      { kind: 'passed' },
      { kind: 'failed', exitCode: 3 },
      { kind: 'skipped', reason: undefined },
    ]);
  });

  it('ends a step at its time limit and names whose limit it was', async () => {
    const ending = await createWorld().run({ file: toFile('- main: sleep 60\n  timeout: 1s') });
    expect(ending).toEqual({ kind: 'timed-out', message: 'Step "main" was ended at its time limit' });
  });

  it('ends at the time limit of the build, whichever step runs', async () => {
    const world = createWorld();
    const ending = await world.run({ file: toFile('- main: sleep 60\n  timeout: 5m', 'timeout: 20s\n') });
    expect(ending).toEqual({ kind: 'timed-out', message: 'Step "main" was ended at the time limit of the build' });
  });

  it('gives steps the environment, the secrets and the event, and masks the secrets', async () => {
    const world = createWorld();
    const file = toFile(
      '- main: echo "$A $B $DEPLOY_KEY $C3_SHA"\n  env: {B: step}',
      'env: {A: a, B: b}\nsecrets: {DEPLOY_KEY: sealed.a.b.c}\n',
    );
    expect(await world.run({ file })).toEqual(PASSED);
    expect(last(world)?.steps[1]?.tail).toBe(`a step *** ${world.sha}\n`);
    expect(JSON.stringify(world.states)).not.toContain('opened sealed.a.b.c');
  });

  it('never serves a protected and another ref from one Pod', async () => {
    const world = createWorld();
    await world.run();
    await world.run({ proof: { kind: 'proven', trust: 'other', isHead: true } });
    expect(world.orders.map(({ owner }) => owner)).toEqual(['protected refs/heads/main', 'branches']);
  });

  it('gives a new Pod ten minutes to start, or what c3.yaml says', async () => {
    const world = createWorld();
    await world.run();
    await world.run({ file: toFile('- main: "true"', 'pod: {start_timeout: 25m}\n') });
    expect(world.orders.map(({ startTimeoutMs }) => startTimeoutMs)).toEqual([600_000, 1_500_000]);
  });

  it('is over once its Pod is given back, and waits for its reports after that', async () => {
    const world = createWorld();
    const reported = Promise.withResolvers<undefined>();
    const over = Promise.withResolvers<readonly boolean[]>();
    const run = world.run({
      finish: async () => await reported.promise,
      onOver: () => over.resolve([...world.released]),
    });
    const isReported = run.then(() => true);
    expect(await over.promise).toEqual([true]);
    expect(await Promise.race([isReported, Promise.resolve(false)])).toBe(false);
    reported.resolve(undefined);
    expect(await run).toEqual(PASSED);
  });

  it('leaves its connection to the next build in the Pod', async () => {
    const world = createWorld();
    await world.run();
    await world.run();
    expect(await world.run({ file: toFile('- main: exit 5') })).toMatchObject({ kind: 'failed' });
    expect(world.workspace.execCount).toBe(1);
  });

  it('opens another connection when the one that was left is cut', async () => {
    const world = createWorld();
    await world.run();
    world.workspace.cut();
    expect(await world.run()).toEqual(PASSED);
    expect(world.workspace.execCount).toBe(2);
  });

  it('gives up a Pod in which a step was lost', async () => {
    const world = createWorld();
    const file = toFile('- main: read -r pid rest < DIRECTORY/.c3/$C3_BUILD_ID/s1.claim; kill -9 $pid; sleep 5');
    expect(await world.run({ file })).toMatchObject({ kind: 'infrastructure-error' });
    expect(world.released).toEqual([false]);
  });

  it('begins again in a new Pod when it cannot begin in a warm one', async () => {
    const world = createWorld();
    world.workspace.plan.push({ kind: 'refuse', message: 'no such container', isFinal: true });
    expect(await world.run({ isWarm: true })).toEqual(PASSED);
    expect(world.released).toEqual([false, true]);
    expect(last(world)?.warnings).toEqual([
      expect.stringMatching(/^the build began again in another Pod: Step "checkout" .*no such container/),
    ]);
  });

  it('begins again once when its Pod is lost while it starts', async () => {
    const world = createWorld();
    const lost = { kind: 'failed', message: 'Pod p was deleted while it was starting', isLost: true } as const;
    expect(await world.run({ failures: [lost] })).toEqual(PASSED);
    expect(world.orders).toHaveLength(2);
    expect(await createWorld().run({ failures: [lost, lost] })).toMatchObject({ message: lost.message });
  });

  it('begins again when its Pod is lost before its first step', async () => {
    const world = createWorld();
    let count = 0;
    const ending = await world.run({
      onState({ steps }) {
        if (steps[0]?.phase.kind === 'passed' && count++ === 0) world.workspace.lose('Pod p was evicted');
      },
    });
    expect(world.released[0]).toBe(false);
    expect(world.orders).toHaveLength(2);
    expect(ending.kind).not.toBe('passed');
  });

  it.each([
    ['in a new Pod', { isWarm: false }],
    ['and is resumed, so that its steps may have run', { isWarm: true, isResumed: true }],
  ])('does not begin again when it cannot begin %s', async (_, part) => {
    const world = createWorld();
    world.workspace.plan.push({ kind: 'refuse', message: 'no such container', isFinal: true });
    expect(await world.run(part)).toMatchObject({ kind: 'infrastructure-error' });
    expect(world.orders).toHaveLength(1);
    expect(world.released).toEqual([false]);
  });
});
