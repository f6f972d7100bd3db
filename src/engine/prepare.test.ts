import { describe, expect, it } from 'vitest';
import type { BuildState } from '../build/index.ts';
import { toFile, useWorlds, type World } from '../../test/fakes/build-world.ts';
import { C3Error } from '../errors.ts';
import { Cancelled, Superseded } from './verdict.ts';

const createWorld = useWorlds();

const PASSED = { kind: 'passed', allowed: [] } as const;

const last = (world: World): BuildState | undefined => world.states.at(-1);

describe('before it asks the cluster for anything, a build', () => {
  it('ends a build that c3.yaml leaves out, and opens nothing', async () => {
    const world = createWorld();
    const ending = await world.run({ file: toFile('- main: echo', 'when: {branch: dev}\n') });
    expect(ending).toEqual({ kind: 'skipped', message: 'branch "main" does not match when.branch' });
    expect(world.events).toEqual(['prove', 'status pending']);
    expect(last(world)?.phase).toEqual({ kind: 'ended', ending });
  });

  it('asks the forge what changed, where a condition wants to know', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', "when: {path: 'src/**'}\n");
    const build = { before: 'b'.repeat(40) };
    expect(await world.run({ file, build, paths: ['docs/a'] })).toMatchObject({ kind: 'skipped' });
    expect(world.events).toEqual(['prove', 'status pending', `compare ${build.before}`]);
    expect(await world.run({ file, build, paths: ['src/a'] })).toEqual(PASSED);
  });

  it('runs where what changed is not known, and asks nothing of a new branch', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', "when: {path: 'src/**'}\n");
    expect(await world.run({ file, build: { before: 'b'.repeat(40) }, paths: undefined })).toEqual(PASSED);
    expect(await world.run({ file, paths: ['docs/a'] })).toEqual(PASSED);
    expect(world.events.filter((event) => event.startsWith('compare'))).toHaveLength(1);
  });

  it('refuses a job that the operator does not allow, with every reason, and opens nothing', async () => {
    const world = createWorld();
    const faults = ['job.spec.hostNetwork: must not be true', 'job.spec.hostPID: must not be true'];
    expect(await world.run({ faults })).toEqual({
      kind: 'config-error',
      message: faults[0],
      problems: faults.map((message) => ({ message })),
    });
    expect(world.events).toEqual(['prove', 'status pending']);
  });

  it('refuses secrets that are too long to be hidden, before it asks the cluster for anything', async () => {
    const world = createWorld();
    const opened = Array.from({ length: 4000 }, (_, line) => `line ${line} of a <long> "secret"`).join('\n');
    const ending = await world.run({ file: toFile('- main: echo', 'secrets: {KEY: aa.bb.cc.dd}\n'), opened });
    expect(ending.kind).toBe('config-error');
    expect(JSON.stringify(ending)).toMatch(
      /c3.yaml: its secrets are too long to be hidden .* use fewer or shorter ones"/,
    );
    expect(world.events).toEqual(['prove', 'status pending', 'open k8s', 'open secret:KEY']);
  });

  it('cancels older builds where c3.yaml says so, before it opens anything', async () => {
    const world = createWorld();
    const file = toFile('- main: echo', 'concurrency: {cancel_previous: true}\n');
    expect(await world.run({ file })).toEqual(PASSED);
    expect(world.events).toEqual(['prove', 'status pending', 'cancel previous', 'open k8s', 'pod']);
  });

  it('warns of a hook URL that was sealed with an old key', async () => {
    const world = createWorld();
    await world.run({ isOldKey: true });
    expect(last(world)?.warnings).toEqual(['the hook URL is sealed with an old key of this c3; make a new one']);
  });

  it.each(['success', 'failure', 'error'] as const)(
    'runs and reports nothing again once its status says %s',
    async (before) => {
      const world = createWorld();
      expect(await world.run({ before })).toEqual({
        kind: 'skipped',
        message: `this delivery was built before, as the commit's status "${before}" says`,
      });
      expect(world.events).toEqual(['prove']);
      expect(world.states).toEqual([]);
    },
  );

  it('is taken up again when its status says pending: only the Pod where it began will do', async () => {
    const world = createWorld();
    await world.run({ before: 'pending' });
    await world.run({ isResumed: true });
    await world.run();
    expect(world.orders.map(({ isResumed }) => isResumed)).toEqual([true, true, false]);
  });

  it('stops when the forge does not say what became of it before', async () => {
    const world = createWorld();
    const before = new C3Error('FORGE_REFUSED', 'Cannot read the statuses');
    expect(await world.run({ before })).toEqual({ kind: 'refused', message: 'Cannot read the statuses' });
    expect(world.events).toEqual(['prove']);
  });

  it('is cancelled, not broken, when that comes before its first step', async () => {
    const world = createWorld();
    const cancel = new AbortController();
    cancel.abort(new Superseded('abcdef0123'));
    expect(await world.run({ cancel, proof: new C3Error('FORGE_UNREACHABLE', 'aborted') })).toEqual({
      kind: 'superseded',
      message: 'The build was superseded by abcdef0 before its first step',
    });
  });

  it('says who cancelled it', async () => {
    const world = createWorld();
    const cancel = new AbortController();
    cancel.abort(new Cancelled('somebody with the control link'));
    expect(await world.run({ cancel, proof: new C3Error('FORGE_UNREACHABLE', 'aborted') })).toEqual({
      kind: 'cancelled',
      message: 'The build was cancelled by somebody with the control link before its first step',
    });
  });

  it('warns of what the Pod could be got by only half', async () => {
    const world = createWorld();
    const workspace = {
      ...world.workspace,
      exec: world.workspace.exec,
      warnings: ['this kubeconfig may not use Leases'],
    };
    await world.run({ workspace: { kind: 'ready', workspace } });
    expect(last(world)?.warnings).toEqual(['this kubeconfig may not use Leases']);
  });
});
